"""What is read out of a package that is right, and what is only warned of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from meghdwar.archive import LIMITS
from meghdwar.compiler import compile_file
from meghdwar.onboard.images import Image
from meghdwar.onboard.package import Artifact, Package, read
from tests.onboard.hostile_packages import MANIFEST, META, METADATA, RUN, VNFD, listed, package

VNF = b"""\
tosca_definitions_version: tosca_simple_yaml_1_2
imports: [etsi_nfv_sol001_common_types.yaml, etsi_nfv_sol001_vnfd_types.yaml, types/more.yaml]
topology_template:
  node_templates:
    vnf:
      type: tosca.nodes.nfv.VNF
      properties:
        descriptor_id: b1bb0ce7-ebca-4fa7-95ed-4840d7000000
        provider: Example
        product_name: Arena
        software_version: '1.10'
        descriptor_version: '2.0'
        flavour_id: simple
        flavour_description: the only one
        vnfm_info: ['etsivnfm:v3.3.1']
    vdu:
      type: tosca.nodes.nfv.Vdu.Compute
      properties: {name: vdu, description: one, vdu_profile: {min_number_of_instances: 1, max_number_of_instances: 1}}
      capabilities:
        virtual_compute: {properties: {virtual_cpu: {num_virtual_cpu: 1}, virtual_memory: {virtual_mem_size: 512 MB}}}
"""
MORE = b"tosca_definitions_version: tosca_simple_yaml_1_2\n"


def read_of(tmp_path: Path, files: Mapping[str, bytes | str]) -> tuple[Package | None, list[str]]:
    path = tmp_path / "arena.csar"
    path.write_bytes(package(files))
    found, diagnostics = read(path)
    return found, [f"{d.rule.code} {d.span}" for d in diagnostics]


def whole(tmp_path: Path, files: Mapping[str, bytes | str]) -> Package:
    found, said = read_of(tmp_path, files)
    assert found is not None, said
    return found


def test_what_a_package_says_of_itself(tmp_path: Path) -> None:
    text = METADATA + listed("vnfd.yaml", VNF) + listed("types/more.yaml", MORE, "SHA-512")
    found = whole(tmp_path, {"vnfd.yaml": VNF, "types/more.yaml": MORE, "vnfd.mf": text})
    assert (found.vnfd_id, found.provider, found.product_name, found.software_version, found.vnfd_version) == (
        "b1bb0ce7-ebca-4fa7-95ed-4840d7000000", "Example", "Arena", "1.10", "2.0",
    )  # fmt: skip
    assert found.descriptor == "vnfd.yaml"
    assert found.descriptors == ("vnfd.yaml", "types/more.yaml")
    assert found.manifest == "vnfd.mf"
    assert found.metadata["vnf_provider_id"] == "example"
    assert found.files == ("vnfd.yaml", "types/more.yaml", "vnfd.mf")
    assert found.signed_by == ""


def test_an_application_of_mec_is_a_vnf_that_brings_its_types(tmp_path: Path) -> None:
    types = (
        MORE
        + b"""\
imports: [etsi_nfv_sol001_common_types.yaml, etsi_nfv_sol001_vnfd_types.yaml]
node_types:
  tosca.nodes.mec.MecApp:
    derived_from: tosca.nodes.nfv.VNF
    properties:
      mec_version: {type: list, entry_schema: string}
  example.Arena:
    derived_from: tosca.nodes.mec.MecApp
    properties:
      product_name: {type: string, default: Arena at the edge}
"""
    )
    app = VNF.replace(b"tosca.nodes.nfv.VNF\n", b"example.Arena\n").replace(b"        product_name: Arena\n", b"")
    app = app.replace(b"flavour_id: simple\n", b"flavour_id: simple\n        mec_version: ['2.2.1']\n")
    found = whole(tmp_path, {"vnfd.yaml": app, "types/more.yaml": types})
    assert (found.vnfd_id, found.product_name) == ("b1bb0ce7-ebca-4fa7-95ed-4840d7000000", "Arena at the edge")
    assert compile_file(str(tmp_path / "arena.csar")).bundle is not None


@pytest.mark.parametrize("algorithm", ["SHA-224", "SHA-256", "SHA-384", "SHA-512"])
def test_every_hash_of_the_standard_is_checked(tmp_path: Path, algorithm: str) -> None:
    text = METADATA + listed("vnfd.yaml", VNFD, algorithm)
    found = whole(tmp_path, {"vnfd.yaml": VNFD, "vnfd.mf": text})
    digest = hashlib.new(algorithm.replace("-", "").lower(), VNFD).hexdigest()
    assert found.artifacts == (Artifact("vnfd.yaml", algorithm, digest),)
    assert read_of(tmp_path, {"vnfd.yaml": VNFD + b"#", "vnfd.mf": text})[1] == ["MDW779 arena.csar/vnfd.mf:8:1"]


def test_non_mano_sets_and_other_keys_stay_with_their_files(tmp_path: Path) -> None:
    sets = "non_mano_artifact_sets:\n  example.tests:\n    " + listed("run.sh", RUN).replace("\n", "\n    ").strip()
    text = METADATA + listed("vnfd.yaml", VNFD) + sets + "\n    Content-Type: text/x-shellscript\n"
    found = whole(tmp_path, {"vnfd.yaml": VNFD, "run.sh": RUN, "vnfd.mf": text})
    assert [(a.path, a.non_mano_set, a.metadata) for a in found.artifacts] == [
        ("vnfd.yaml", "", {}),
        ("run.sh", "example.tests", {"Content-Type": "text/x-shellscript"}),
    ]


def test_files_that_tosca_meta_lists_are_checked_as_well(tmp_path: Path) -> None:
    block = listed("run.sh", RUN).replace("Source:", "Name:")
    files = {"TOSCA-Metadata/TOSCA.meta": f"{META}\n{block}", "vnfd.yaml": VNFD, "run.sh": RUN}
    assert [a.path for a in whole(tmp_path, files).artifacts] == ["run.sh"]
    files["run.sh"] = b"another"
    assert read_of(tmp_path, files)[1] == ["MDW771 arena.csar:1:1", "MDW779 arena.csar/TOSCA-Metadata/TOSCA.meta:8:1"]


def test_the_manifest_that_tosca_meta_names_counts(tmp_path: Path) -> None:
    meta = META.replace("vnfd.yaml", "Definitions/vnfd.yaml") + "ETSI-Entry-Manifest: other.mf\n"
    files = {"TOSCA-Metadata/TOSCA.meta": meta, "Definitions/vnfd.yaml": VNFD}
    files["other.mf"] = METADATA + listed("Definitions/vnfd.yaml", VNFD)  # type: ignore[assignment]
    assert whole(tmp_path, files).manifest == "other.mf"


@pytest.mark.parametrize(
    ("files", "warnings"),
    [
        ({"vnfd.yaml": VNFD}, ["MDW771 arena.csar:1:1"]),
        ({"vnfd.yaml": VNFD, "vnfd.mf": listed("vnfd.yaml", VNFD)}, ["MDW774 arena.csar/vnfd.mf:1:1"]),
        ({"vnfd.yaml": VNFD, "vnfd.mf": METADATA + "Source: vnfd.yaml\n"}, ["MDW783 arena.csar/vnfd.mf:6:1"]),
    ],
)
def test_what_is_missing_is_warned_of(tmp_path: Path, files: Mapping[str, bytes], warnings: list[str]) -> None:
    found, said = read_of(tmp_path, files)
    assert found is not None
    assert said == warnings


def test_a_package_that_takes_too_long_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "arena.csar"
    path.write_bytes(package({"vnfd.yaml": VNFD, "vnfd.mf": MANIFEST, "run.sh": RUN}))
    found, diagnostics = read(path, limits=replace(LIMITS, seconds=-1.0))
    assert found is None
    assert [d.rule.code for d in diagnostics] == ["MDW799"]


def test_a_package_that_is_not_there_is_told(tmp_path: Path) -> None:
    found, diagnostics = read(tmp_path / "nothing.csar")
    assert found is None
    assert "no such file" in diagnostics[0].message
    assert read(tmp_path)[1][0].message.startswith("cannot read")


def test_files_are_read_through_the_archive_and_checked_again(tmp_path: Path) -> None:
    content = b"".join(hashlib.sha256(bytes([i % 256, i // 256])).digest() for i in range(40_000))
    text = METADATA + listed("vnfd.yaml", VNFD) + listed("image.img", content)
    found = whole(tmp_path, {"vnfd.yaml": VNFD, "vnfd.mf": text, "image.img": content})
    with found.open_file("image.img") as file:
        assert file.read(10) == content[:10]
        assert file.read() == content[10:]
    assert found.size("image.img") == len(content)
    for outside in ("../arena.csar", "/etc/hostname", "images/image.img"):
        with pytest.raises(KeyError):
            found.open_file(outside)
    data = bytearray((tmp_path / "arena.csar").read_bytes())
    at = data.index(b"image.img") + 40
    data[at : at + 9] = bytes(9)
    with open(tmp_path / "arena.csar", "r+b") as file:
        file.write(data)  # somebody changes it after it was checked
    with pytest.raises(OSError, match="cannot unpack"), found.open_file("image.img") as file:
        file.read()


IMAGE = b"an image"
PICTURED = VNF.replace(
    b"      properties: {name: vdu,",
    b"      artifacts: {system: {type: tosca.artifacts.nfv.SwImage, file: images/vdu.qcow2}}\n"
    b"      properties: {sw_image_data: {name: vdu-image, version: '1', container_format: bare, disk_format: qcow2, "
    b"min_disk: 1 GiB, size: 8 B, checksum: {algorithm: sha-256, hash: HASH}}, name: vdu,",
)


def test_images_are_listed_and_have_to_be_those_that_are_meant(tmp_path: Path) -> None:
    right = PICTURED.replace(b"HASH", hashlib.sha256(IMAGE).hexdigest().encode())
    files = {"vnfd.yaml": right, "types/more.yaml": MORE, "images/vdu.qcow2": IMAGE}
    assert whole(tmp_path, files).images == (
        Image(
            "vdu", "vdu-image", "1", "", "SHA-256", hashlib.sha256(IMAGE).hexdigest(), "BARE", "QCOW2", 2**30, 0, 8,
            "images/vdu.qcow2",
        ),
    )  # fmt: skip
    files["images/vdu.qcow2"] = b"another"
    found, said = read_of(tmp_path, files)
    assert found is None
    assert said == ["MDW771 arena.csar:1:1", "MDW779 arena.csar/vnfd.yaml:18:19"]


def test_a_vnf_with_flavours_is_known_by_what_stands_above_them(tmp_path: Path) -> None:
    folder = Path(__file__).parents[1] / "golden/nfv-flavours"
    files = {f"{name}.yaml": (folder / f"{name}.yaml").read_bytes() for name in ("types", "small", "large")}
    meta = META.replace("vnfd.yaml", "service.yaml")
    package_ = {"TOSCA-Metadata/TOSCA.meta": meta, "service.yaml": (folder / "service.yaml").read_bytes(), **files}
    found = whole(tmp_path, package_)
    assert (found.vnfd_id, found.product_name) == ("b1bb0ce7-ebca-4fa7-95ed-4840d70a1177", "Cache of Acme")
