"""Every kind of package that must be refused although its archive is sound, and the code that it is refused with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial

from tests.onboard.zips import DEFLATED, File, archive

Made = Callable[[], bytes]

VNFD = b"""\
tosca_definitions_version: tosca_simple_yaml_1_3
topology_template:
  node_templates:
    web: {type: tosca.nodes.Compute}
"""
METADATA = "metadata:\n  vnf_product_name: arena\n  vnf_provider_id: example\n  vnf_package_version: '1.0'\n\n"


def listed(path: str, content: bytes, algorithm: str = "SHA-256") -> str:
    digest = hashlib.new(algorithm.replace("-", "").lower(), content).hexdigest()
    return f"Source: {path}\nAlgorithm: {algorithm}\nHash: {digest}\n\n"


RUN = b"#!/bin/sh\necho run\n"
MANIFEST = METADATA + listed("vnfd.yaml", VNFD) + listed("run.sh", RUN)


def package(files: Mapping[str, bytes | str]) -> bytes:
    given = {name: content.encode() if isinstance(content, str) else content for name, content in files.items()}
    return archive([File(name, content, DEFLATED) for name, content in given.items()])


def with_manifest(text: str | bytes, **more: bytes) -> Made:
    """A package that is right but for its manifest."""
    return partial(package, {"vnfd.yaml": VNFD, "run.sh": RUN, "vnfd.mf": text, **more})


def with_descriptor(text: str | bytes, **more: bytes) -> Made:
    return partial(package, {"vnfd.yaml": text, **more})


def importing(what: str) -> Made:
    return with_descriptor(f"tosca_definitions_version: tosca_simple_yaml_1_3\nimports: [{what!r}]\n")


def source(line: str) -> Made:
    return with_manifest(f"{MANIFEST}Source: {line}\nAlgorithm: SHA-256\nHash: {'0' * 64}\n")


def with_meta(text: str) -> Made:
    return partial(package, {"TOSCA-Metadata/TOSCA.meta": text, "vnfd.yaml": VNFD})


META = "TOSCA-Meta-File-Version: 1.0\nCSAR-Version: 1.1\nCreated-By: us\nEntry-Definitions: vnfd.yaml\n"
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join(9 * ['*' + a])}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
HEAD = "tosca_definitions_version: tosca_simple_yaml_1_3\n"

PACKAGES: dict[str, tuple[str, Made]] = {
    # TOSCA.meta
    "no descriptor": ("MDW019", partial(package, {"readme.txt": b"hello"})),
    "two descriptors": ("MDW020", partial(package, {"a.yaml": VNFD, "b.yaml": VNFD})),
    "descriptor outside": ("MDW019", with_meta(META.replace("vnfd.yaml", "../../etc/vnfd.yaml"))),
    "descriptor over the network": ("MDW019", with_meta(META.replace("vnfd.yaml", "http://127.0.0.1:9/vnfd.yaml"))),
    "TOSCA.meta of other bytes": ("MDW018", with_meta("\0\1\2")),
    "TOSCA.meta of another version": ("MDW018", with_meta(META.replace("1.1", "9.9"))),
    # the manifest
    "manifest that is not there": ("MDW772", with_meta(META + "ETSI-Entry-Manifest: vnfd.mf\n")),
    "manifest of other bytes": ("MDW773", with_manifest(b"\xff\xfe\0\1" * 20)),
    "hash of no file": ("MDW773", with_manifest(METADATA.replace("metadata:", "") + "Hash: 00\n")),
    "manifest that is a YAML bomb": ("MDW773", with_manifest(LAUGHS)),
    "two hashes of a file": ("MDW773", with_manifest(MANIFEST.rstrip() + "\nHash: 00\n")),
    "source over http": ("MDW775", source("http://169.254.169.254/latest/meta-data")),
    "source over https": ("MDW775", source("https://example.com/image.img")),
    "source of this machine": ("MDW775", source("file:///etc/shadow")),
    "source out of the package": ("MDW776", source("../../etc/shadow")),
    "absolute source": ("MDW776", source("/etc/shadow")),
    "source by backslashes": ("MDW776", source("..\\..\\secret")),
    "source that is missing": ("MDW777", source("image.img")),
    "source of TOSCA.meta that is missing": ("MDW777", with_meta(META + "\nName: run.sh\nContent-Type: x\n")),
    "file that is not listed": ("MDW778", with_manifest(MANIFEST, **{"extra.sh": RUN})),
    "wrong hash": ("MDW779", with_manifest(MANIFEST, **{"run.sh": b"#!/bin/sh\necho evil\n"})),
    "wrong hash of the descriptor": ("MDW779", with_manifest(MANIFEST, **{"vnfd.yaml": VNFD + b"# changed\n"})),
    "wrong hash in TOSCA.meta": (
        "MDW779",
        with_meta(META + f"\nName: vnfd.yaml\nAlgorithm: SHA-256\nHash: {'0' * 64}\n"),
    ),
    "MD5": ("MDW780", with_manifest(MANIFEST.replace("SHA-256", "MD5"))),
    "CRC": ("MDW780", with_manifest(MANIFEST.replace("SHA-256", "CRC-32"))),
    "hash without algorithm": ("MDW780", with_manifest(MANIFEST.replace("Algorithm: SHA-256\n", ""))),
    "short hash": ("MDW781", with_manifest(MANIFEST.replace("Hash: ", "Hash: 00 "))),
    "hash that is to be filled in": (
        "MDW781",
        with_manifest(METADATA + "Source: vnfd.yaml\nAlgorithm: SHA-256\nHash: <>"),
    ),
    "file listed twice": ("MDW782", with_manifest(MANIFEST + listed("run.sh", RUN))),
    "endless manifest": ("MDW784", with_manifest("".join(f"# {i * 7919:x}\n" for i in range(600_000)))),
    "signature that is none": ("MDW785", with_manifest(MANIFEST + "-----BEGIN CMS-----\nhello\n-----END CMS-----\n")),
    "text after the signature": (
        "MDW794",
        with_manifest(MANIFEST + "-----BEGIN CMS-----\nhello\n-----END CMS-----\nSource: extra.sh\n"),
    ),
    "signature that is missing": ("MDW796", with_manifest(MANIFEST.rstrip() + "\nSignature: run.sh.sig\n")),
    # archives among the files
    "archive in an archive in a package": (
        "MDW766",
        lambda: package({"vnfd.yaml": VNFD, "files/a.zip": package({"b.zip": package({"c": RUN})})}),
    ),
    "hostile archive in a package": (
        "MDW732",
        lambda: package({"vnfd.yaml": VNFD, "files/a.zip": archive([File("../evil.sh")])}),
    ),
    "bomb in a package": (
        "MDW762",
        lambda: package({"vnfd.yaml": VNFD, "files/a.zip": package({"bomb": bytes(2**24)})}),
    ),
    # descriptors
    "many aliases": ("MDW008", with_descriptor(HEAD + LAUGHS)),
    "deep descriptor": ("MDW008", with_descriptor(HEAD + "a: " + "[" * 5000 + "]" * 5000)),
    "alias of itself": ("MDW007", with_descriptor(HEAD + "a: &a [*a]\n")),
    "tag that makes objects": ("MDW006", with_descriptor(HEAD + "a: !!python/object/apply:os.system ['id']\n")),
    "a key twice": ("MDW002", with_descriptor(HEAD + "description: a\ndescription: b\n")),
    "two documents": ("MDW004", with_descriptor(HEAD + "---\n" + HEAD)),
    "descriptor of other bytes": ("MDW009", with_descriptor(b"\0\1\2\3")),
    "import over http": ("MDW051", importing("http://127.0.0.1:9/types.yaml")),
    "import of this machine": ("MDW051", importing("file:///etc/hostname")),
    "import out of the package": ("MDW058", importing("../../etc/hostname")),
    "absolute import": ("MDW058", importing("/etc/hostname")),
    "import of itself": ("MDW052", importing("vnfd.yaml")),
}
