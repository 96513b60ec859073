"""/vnfpkgm/v1/vnf_packages as SOL005 has it: states, statuses and who sees what."""

from __future__ import annotations

import hashlib
import io
import subprocess
import zipfile
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from meghdwar.onboard.store import TooLarge
from tests.api.conftest import PACKAGES, Here, MakeHere
from tests.api.csar import ARTIFACTS, csar
from tests.onboard.authorities import root
from tests.onboard.hostile_signatures import SIGNED

CONTENT, VNFD = "package_content", "vnfd"


# made, listed, shown
def test_a_package_is_created(here: Here) -> None:
    answer = here.ask("POST", PACKAGES, json={"userDefinedData": {"a": "b"}})
    assert answer.status_code == 201
    url = f"http://localhost{PACKAGES}/{answer.json['id']}"
    assert answer.headers["Location"] == url
    assert answer.json == {
        "id": answer.json["id"],
        "onboardingState": "CREATED",
        "operationalState": "DISABLED",
        "usageState": "NOT_IN_USE",
        "userDefinedData": {"a": "b"},
        "_links": {"self": {"href": url}, "packageContent": {"href": f"{url}/package_content"}},
    }
    assert answer.headers["Version"] == "1.3.0"


IMAGE = """
    disk:
      type: tosca.nodes.nfv.Vdu.VirtualBlockStorage
      artifacts: {system: {type: tosca.artifacts.nfv.SwImage, file: ../Files/image.bin}}
      properties:
        virtual_block_storage_data: {size_of_storage: 2 GiB}
        sw_image_data:
          name: tiny-image
          version: '3'
          container_format: bare
          disk_format: raw
          min_disk: 1 GiB
          size: 16 KiB
          checksum: {algorithm: sha-512, hash: HASH}
"""


def test_software_images_are_shown_with_all_that_has_to_be_said(here: Here) -> None:
    hash_ = hashlib.sha512(ARTIFACTS["Files/image.bin"]).hexdigest()
    (image,) = here.show(here.onboard(csar(wrong=IMAGE.replace("HASH", hash_))))["softwareImages"]
    assert image.pop("createdAt").endswith("Z")
    assert image == {
        "id": "disk",
        "name": "tiny-image",
        "provider": "Acme",
        "version": "3",
        "checksum": {"algorithm": "SHA-512", "hash": hash_},
        "isEncrypted": False,
        "containerFormat": "BARE",
        "diskFormat": "RAW",
        "minDisk": 2**30,
        "minRam": 0,
        "size": 2**14,
        "imagePath": "Files/image.bin",
    }


def test_it_is_onboarded_and_comes_back_as_it_went_in(here: Here) -> None:
    content = csar()
    name = here.onboard(content)
    found = here.show(name)
    assert found["onboardingState"] == "ONBOARDED"
    assert found["operationalState"] == "ENABLED"
    assert found["vnfdId"] == "b1bb0ce7-ebca-4fa7-95ed-4840d70a1177"
    assert (found["vnfProvider"], found["vnfProductName"]) == ("Acme", "Tiny")
    assert (found["vnfSoftwareVersion"], found["vnfdVersion"]) == ("2.0", "1.0")
    assert {each["artifactPath"] for each in found["additionalArtifacts"]} >= set(ARTIFACTS)
    answer = here.ask("GET", f"{PACKAGES}/{name}/{CONTENT}", headers={"Accept": "application/zip"})
    assert (answer.status_code, answer.content_type, answer.data) == (200, "application/zip", content)


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [
        ("", {"id", "vnfdId", "_links"}, {"additionalArtifacts", "userDefinedData", "checksum"}),
        ("?exclude_default", {"id", "vnfdId"}, {"additionalArtifacts", "userDefinedData", "checksum"}),
        ("?all_fields", {"additionalArtifacts", "userDefinedData", "checksum"}, set()),
        ("?fields=checksum", {"id", "checksum"}, {"additionalArtifacts", "userDefinedData"}),
        ("?fields=checksum/hash&exclude_default", {"id", "checksum"}, {"additionalArtifacts"}),
        ("?exclude_fields=checksum", {"additionalArtifacts", "id"}, {"checksum"}),
    ],
)
def test_a_list_shows_what_is_asked_for(here: Here, query: str, shown: set[str], hidden: set[str]) -> None:
    name = here.onboard(color="blue")
    answer = here.ask("GET", f"{PACKAGES}{query}", by="ann")
    assert answer.status_code == 200, answer.text
    assert [each["id"] for each in answer.json] == [name]
    assert shown <= set(answer.json[0])
    assert not hidden & set(answer.json[0])


@pytest.mark.parametrize(
    ("filter_", "count"),
    [
        ("(eq,onboardingState,ONBOARDED)", 1),
        ("(neq,onboardingState,ONBOARDED)", 1),
        ("(eq,userDefinedData/color,blue)", 1),
        ("(in,onboardingState,ONBOARDED,CREATED)", 2),
        ("(eq,onboardingState,CREATED);(eq,operationalState,DISABLED)", 1),
        ("(cont,vnfProductName,in)", 1),
        ("(eq,additionalArtifacts/artifactPath,Scripts/start.sh)", 1),
        ("(eq,vnfProvider,'Acme, Inc.')", 0),
    ],
)
def test_a_list_is_filtered(here: Here, filter_: str, count: int) -> None:
    here.onboard()
    here.create(color="blue")
    answer = here.ask("GET", PACKAGES, query_string={"filter": filter_})
    assert (answer.status_code, len(answer.json)) == (200, count), answer.text


@pytest.mark.parametrize(
    "query",
    [
        {"filter": "(eq,nothing,1)"},
        {"filter": "eq,id,1"},
        {"filter": "(is,id,1)"},
        {"filter": "(eq,id)"},
        {"filter": "(eq,id,1,2)"},
        {"filter": "(eq,id,1);"},
        {"filter": "(eq,id,1)(eq,id,2)"},
        {"filter": "(eq,id,'1)"},
        {"filter": ""},
        {"filter": "(" * 5000},
        {"filter": ";".join(["(eq,id,1)"] * 40)},
        {"filter": "(eq,id,'; DROP TABLE packages--"},
        {"fields": "nothing"},
        {"fields": "id", "all_fields": ""},
        {"nextpage_opaque_marker": "x"},
        {"nextpage_opaque_marker": "WzEsIFtdXQ=="},
    ],
)
def test_what_cannot_be_asked_for_is_400(here: Here, query: dict[str, str]) -> None:
    answer = here.ask("GET", PACKAGES, query_string=query)
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    assert answer.json["status"] == 400
    assert answer.json["detail"].startswith("cannot ")


def test_a_long_list_comes_in_pages(make_here: MakeHere) -> None:
    here = make_here("page_size = 2")
    made = [here.create(number=str(i)) for i in range(5)]
    there = here.create(by="eve")
    url, seen = f"{PACKAGES}?exclude_default", []
    while url:
        answer = here.ask("GET", url)
        assert len(answer.json) <= 2
        seen += [each["id"] for each in answer.json]
        link = answer.headers.get("Link", "")
        assert not link or link.endswith('>; rel="next"')
        url = link.partition(">")[0].removeprefix("<http://localhost")
    assert seen == made
    assert there not in seen


# what is not so, and methods that there are not
def test_what_is_not_there_is_404(here: Here) -> None:
    for path in (f"{PACKAGES}/{uuid4()}", f"{PACKAGES}/nothing", f"{PACKAGES}/{uuid4()}/vnfd"):
        assert here.ask("GET", path).status_code == 404
    name = here.onboard()
    for path in ("nothing", "../../etc/passwd", "Scripts", "%2e%2e/vnf.mf", "Scripts/start.sh/", "/etc/passwd"):
        assert here.ask("GET", f"{PACKAGES}/{name}/artifacts/{path}").status_code == 404, path


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("", {"GET", "HEAD", "POST"}),
        ("/{id}", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("/{id}/vnfd", {"GET", "HEAD"}),
        ("/{id}/package_content", {"GET", "HEAD", "PUT"}),
        ("/{id}/package_content/upload_from_uri", {"POST"}),
        ("/{id}/artifacts/a", {"GET", "HEAD"}),
        ("/../subscriptions", {"GET", "HEAD", "POST"}),
        ("/../subscriptions/{id}", {"GET", "HEAD", "DELETE"}),
        ("/../api_versions", {"GET", "HEAD"}),
    ],
)
def test_every_other_method_is_405(here: Here, path: str, allowed: set[str]) -> None:
    url = (PACKAGES + path.format(id=uuid4())).replace("/vnf_packages/..", "")
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = here.ask(method, url)
        assert (answer.status_code == 405) == (method not in allowed), (method, answer.status_code)
        if method not in allowed:
            assert set(answer.headers["Allow"].split(", ")) == allowed


def test_the_versions(here: Here) -> None:
    for path in ("/vnfpkgm/api_versions", "/vnfpkgm/v1/api_versions"):
        answer = here.ask("GET", path, by="")
        assert answer.json["apiVersions"] == [{"version": "1.3.0", "isDeprecated": False}]
    assert here.ask("GET", PACKAGES, headers={"Version": "1.1.0"}).status_code == 200
    assert here.ask("GET", PACKAGES, headers={"Version": "2.0.0"}).status_code == 406


# states
def test_before_it_is_onboarded_there_is_nothing_to_read(here: Here) -> None:
    name = here.create()
    for path in (CONTENT, VNFD, "artifacts/Scripts/start.sh"):
        answer = here.ask("GET", f"{PACKAGES}/{name}/{path}")
        assert (answer.status_code, answer.json["status"]) == (409, 409)
    assert here.switch(name, "ENABLED").status_code == 409


def test_content_comes_once(here: Here) -> None:
    name = here.onboard()
    assert here.upload(name, csar()).status_code == 409
    assert here.show(name)["onboardingState"] == "ONBOARDED"


def test_it_is_disabled_before_it_is_deleted(here: Here) -> None:
    name = here.onboard()
    assert here.ask("DELETE", f"{PACKAGES}/{name}").status_code == 409
    assert here.switch(name, "ENABLED").status_code == 409
    answer = here.switch(name, "DISABLED")
    assert (answer.status_code, answer.json) == (200, {"operationalState": "DISABLED"})
    assert here.switch(name, "DISABLED").status_code == 409
    answer = here.ask("DELETE", f"{PACKAGES}/{name}")
    assert (answer.status_code, answer.data) == (204, b"")
    assert here.ask("GET", f"{PACKAGES}/{name}").status_code == 404
    assert [name for name in here.files() if name.startswith("content/")] == []


def test_what_is_used_is_not_deleted(here: Here) -> None:
    name = here.onboard()
    here.switch(name, "DISABLED")
    records = here.backend.catalogue.records
    records.use(records.get(name), "arena")
    assert here.show(name)["usageState"] == "IN_USE"
    assert here.ask("DELETE", f"{PACKAGES}/{name}").status_code == 409
    records.unuse("arena")
    assert here.ask("DELETE", f"{PACKAGES}/{name}").status_code == 204


def test_user_data_is_patched(here: Here) -> None:
    name = here.create(a="1", b="2")
    answer = here.ask("PATCH", f"{PACKAGES}/{name}", json={"userDefinedData": {"b": None, "c": "3"}})
    assert answer.status_code == 200
    assert here.show(name)["userDefinedData"] == {"a": "1", "c": "3"}


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("POST", b"{", 400),
        ("POST", b"[]", 400),
        ("POST", b'{"userDefinedData": 3}', 400),
        ("POST", b'{"other": 3}', 400),
        ("POST", b"[" * 100_000, 400),
        ("POST", b" " * 2_000_000, 413),
        ("PATCH", b"{}", 400),
        ("PATCH", b'{"operationalState": "ON"}', 400),
        ("PATCH", b'{"onboardingState": "ONBOARDED"}', 400),
    ],
)
def test_a_body_that_is_wrong(here: Here, method: str, body: bytes, status: int) -> None:
    path = PACKAGES if method == "POST" else f"{PACKAGES}/{here.create()}"
    answer = here.ask(method, path, data=body, content_type="application/json")
    assert (answer.status_code, answer.json["status"]) == (status, status)


def test_a_body_of_another_type(here: Here) -> None:
    assert here.ask("POST", PACKAGES, data=b"a=b", content_type="application/x-www-form-urlencoded").status_code == 415
    assert here.upload(here.create(), csar(), content_type="application/json").status_code == 415


# what is wrong with a package
def test_a_descriptor_that_does_not_compile_says_where(here: Here) -> None:
    name = here.create()
    wrong = "    other:\n      type: tosca.nodes.nfv.Vdu.Computer\n"
    assert here.upload(name, csar(wrong=wrong)).status_code == 202
    found = here.settled(name)
    assert found["onboardingState"] == "CREATED"
    failure = found["onboardingFailureDetails"]
    assert failure["status"] == 422
    assert failure["detail"].startswith("Definitions/vnfd.yaml:21:13: error MDW150 ")
    first = failure["diagnostics"][0]
    assert (first["file"], first["line"], first["column"]) == ("Definitions/vnfd.yaml", 21, 13)
    assert [name for name in here.files() if name.startswith("content/")] == []
    assert here.upload(name, csar()).status_code == 202
    assert here.settled(name)["onboardingState"] == "ONBOARDED"
    assert "onboardingFailureDetails" not in here.show(name)


@pytest.mark.parametrize("content", [b"", b"no zip", csar()[:500], csar()[500:]])
def test_what_is_no_package_is_not_kept(here: Here, content: bytes) -> None:
    name = here.create()
    assert here.upload(name, content).status_code == 202
    found = here.settled(name)
    assert (found["onboardingState"], found["onboardingFailureDetails"]["status"]) == ("CREATED", 422)
    assert [name for name in here.files() if name.startswith("content/")] == []


def test_a_package_twice_is_refused(here: Here) -> None:
    here.onboard()
    name = here.create()
    here.upload(name, csar())
    failure = here.settled(name)["onboardingFailureDetails"]
    assert failure["status"] == 409
    assert "twice" in failure["detail"]
    here.onboard(by="eve")  # another project may have it as well


def test_a_content_that_two_have_stays_until_the_last_is_deleted(here: Here) -> None:
    one, other = here.onboard(), here.onboard(by="eve")
    here.switch(one, "DISABLED")
    assert here.ask("DELETE", f"{PACKAGES}/{one}").status_code == 204
    assert here.ask("GET", f"{PACKAGES}/{other}/{CONTENT}", by="eve").data == csar()


def test_a_package_that_is_too_large(make_here: MakeHere) -> None:
    here = make_here("package_mib_max = 1")
    name = here.create()
    assert here.upload(name, bytes(2**20 + 1)).status_code == 413
    assert here.show(name)["onboardingState"] == "CREATED"
    catalogue = here.backend.catalogue
    upload = catalogue.begin(catalogue.records.get(name))
    with pytest.raises(TooLarge), closing(upload):  # however large it was said to be
        upload.take([bytes(2**20), b"x"])
    assert here.show(name)["onboardingState"] == "CREATED"
    assert [each for each in here.files() if each != "lock"] == []


# out
def test_a_vnfd_of_one_file_is_text(here: Here) -> None:
    name = here.onboard()
    answer = here.ask("GET", f"{PACKAGES}/{name}/{VNFD}", headers={"Accept": "text/plain"})
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.text.startswith("tosca_definitions_version")
    answer = here.ask("GET", f"{PACKAGES}/{name}/{VNFD}", headers={"Accept": "application/zip"})
    assert "Definitions/vnfd.yaml" in zipfile.ZipFile(io.BytesIO(answer.data)).namelist()


def test_a_vnfd_of_several_files_is_a_zip(here: Here) -> None:
    name = here.onboard(csar(several=True))
    path = f"{PACKAGES}/{name}/{VNFD}"
    assert here.ask("GET", path, headers={"Accept": "text/plain"}).status_code == 406
    for accepted in ("text/plain,application/zip", "application/zip", "*/*"):
        answer = here.ask("GET", path, headers={"Accept": accepted})
        assert (answer.status_code, answer.content_type) == (200, "application/zip")
        names = set(zipfile.ZipFile(io.BytesIO(answer.data)).namelist())
        assert names == {"Definitions/vnfd.yaml", "Definitions/more.yaml", "TOSCA-Metadata/TOSCA.meta"}


def test_content_is_a_zip_and_nothing_else(here: Here) -> None:
    name = here.onboard()
    assert here.ask("GET", f"{PACKAGES}/{name}/{CONTENT}", headers={"Accept": "text/plain"}).status_code == 406


def test_a_package_that_is_signed_as_a_whole(make_here: MakeHere, tmp_path: Path) -> None:
    """It comes back with its signature, and its files are those of the package inside."""
    key, certificate, inner, signature = (tmp_path / name for name in ("a.key", "a.crt", "vnf.csar", "vnf.cms"))
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=Acme", "-keyout", key, "-out", certificate]  # fmt: skip
    subprocess.run(words, check=True, capture_output=True)
    inner.write_bytes(csar())
    words = ["openssl", "cms", "-sign", "-binary", "-in", inner, "-signer", certificate, "-inkey", key, "-outform",
             "PEM", "-out", signature]  # fmt: skip
    subprocess.run(words, check=True, capture_output=True)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.write(inner, "vnf.csar")
        file.write(signature, "vnf.cms")
    here = make_here(f"trust = {certificate}")
    name = here.onboard(made.getvalue())
    assert here.ask("GET", f"{PACKAGES}/{name}/{CONTENT}").data == made.getvalue()
    assert here.ask("GET", f"{PACKAGES}/{name}/{VNFD}").text.startswith("tosca_definitions_version")
    unsigned = here.create()
    here.upload(unsigned, csar("other"))
    assert "MDW797" in here.settled(unsigned)["onboardingFailureDetails"]["detail"]


@pytest.mark.parametrize("what", ["expired", "no certificate", "signature damaged"])
def test_a_signature_that_is_not_good(make_here: MakeHere, tmp_path: Path, what: str) -> None:
    (tmp_path / "root.pem").write_bytes(root().pem)
    code, made = SIGNED[what]
    here = make_here(f"trust = {tmp_path}/root.pem")
    name = here.create()
    assert here.upload(name, made()).status_code == 202
    found = here.settled(name)
    assert (found["onboardingState"], found["onboardingFailureDetails"]["status"]) == ("CREATED", 422)
    assert code in {each["code"] for each in found["onboardingFailureDetails"]["diagnostics"]}
    assert [each for each in here.files() if each != "lock"] == []


@pytest.mark.parametrize("artifact", sorted(ARTIFACTS))
def test_artifacts_come_out_as_they_are(here: Here, artifact: str) -> None:
    answer = here.ask("GET", f"{PACKAGES}/{here.onboard()}/artifacts/{artifact}")
    assert (answer.status_code, answer.data) == (200, ARTIFACTS[artifact])


@pytest.mark.parametrize("what", [CONTENT, "artifacts/Files/image.bin"])
def test_a_range(here: Here, what: str) -> None:
    content = csar()
    path = f"{PACKAGES}/{here.onboard(content)}/{what}"
    whole = content if what == CONTENT else ARTIFACTS["Files/image.bin"]
    size = len(whole)
    for wished, first, end in (("bytes=0-9", 0, 10), ("bytes=100-", 100, size), ("bytes=-7", size - 7, size),
                               (f"bytes=5-{size * 2}", 5, size)):  # fmt: skip
        answer = here.ask("GET", path, headers={"Range": wished})
        assert (answer.status_code, answer.data) == (206, whole[first:end]), wished
        assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/{size}"
        assert answer.headers["Content-Length"] == str(end - first)
    for wished in (f"bytes={size}-", "bytes=9-1", "bytes=-0"):
        answer = here.ask("GET", path, headers={"Range": wished})
        assert answer.status_code in (416, 200), wished
        if answer.status_code == 416:
            assert answer.headers["Content-Range"] == f"bytes */{size}"
    assert here.ask("GET", path, headers={"Range": f"bytes={size}-"}).status_code == 416


# who sees what
def test_projects_never_see_each_others_packages(here: Here) -> None:
    name = here.onboard()
    assert here.ask("GET", PACKAGES, by="eve").json == []
    path = f"{PACKAGES}/{name}"
    for method, what in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/vnfd"), ("GET", "/package_content"),
                         ("PUT", "/package_content"), ("GET", "/artifacts/Scripts/start.sh")):  # fmt: skip
        body = {"json": {"operationalState": "DISABLED"}} if method == "PATCH" else {}
        if method == "PUT":
            body = {"data": csar(), "content_type": "application/zip"}
        answer = here.ask(method, path + what, by="eve", **body)
        assert answer.status_code == 404, (method, what)
        assert "Acme" not in answer.text
    assert here.show(name)["operationalState"] == "ENABLED"


def test_readers_change_nothing(here: Here) -> None:
    name = here.onboard()
    assert here.ask("GET", f"{PACKAGES}/{name}", by="ann").status_code == 200
    for method, path in (("POST", PACKAGES), ("PATCH", f"{PACKAGES}/{name}"), ("DELETE", f"{PACKAGES}/{name}"),
                         ("PUT", f"{PACKAGES}/{name}/{CONTENT}"), ("POST", "/vnfpkgm/v1/subscriptions")):  # fmt: skip
        assert here.ask(method, path, by="ann").status_code == 403
        assert here.ask(method, path, by="").status_code == 401
