"""python-tackerclient 2.6.0, unmodified, does every command on packages against `mdw serve`."""

from __future__ import annotations

import functools
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.api.csar import ARTIFACTS, VNFD, csar
from tests.api.served import served, tokens
from tests.api.tacker import Tacker, tackerclient

pytestmark = pytest.mark.real
TOKEN, OTHER = "operator-of-here-00", "operator-of-there-0"


@pytest.fixture(scope="module")
def command() -> Path:
    return tackerclient()


@pytest.fixture
def tacker(command: Path, tmp_path: Path, files: str) -> Iterator[Tacker]:
    config = f"hosts = {files}\nprivate_hosts = {files}\npage_size = 2"
    with served(tmp_path / "home", "--auth", "none", config=config) as server:
        yield Tacker(command, "--os-auth-type", "none", "--os-endpoint", server.url)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[str]:
    """A server of files, where a package is to be fetched; its host and port."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "vnf.csar").write_bytes(csar("fetched"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_every_command_on_packages(tacker: Tacker, tmp_path: Path, files: str) -> None:
    package, back = tmp_path / "vnf.csar", tmp_path / "back"
    package.write_bytes(csar())
    # create, update of user data, upload, show
    name = tacker.data("create", "--user-data", "color=blue")["ID"]
    tacker("update", name, "--user-data", "color=red")
    assert tacker.data("show", name)["User Defined Data"] == {"color": "red"}
    assert "has to be ONBOARDED first" in tacker("download", name, "--file", str(back), fails=True)
    assert "has been accepted" in tacker("upload", name, "--path", str(package))
    found = tacker.onboarded(name)
    assert found["VNF Product Name"] == "Tiny"
    assert "it is ONBOARDED" in tacker("upload", name, "--path", str(package), fails=True)
    # download
    tacker("download", name, "--file", str(back))
    assert back.read_bytes() == package.read_bytes()
    given = {"more": "", "vnfd_id": "b1bb0ce7-ebca-4fa7-95ed-4840d70a1177", "provider": "Acme", "product": "Tiny"}
    tacker("download", name, "--vnfd", "--type", "text/plain", "--file", str(back))
    assert back.read_text() == VNFD.format(**given, wrong="")
    for kind in ("application/zip", "both"):
        tacker("download", name, "--vnfd", "--type", kind, "--file", str(back))
        if kind == "application/zip":
            assert "Definitions/vnfd.yaml" in zipfile.ZipFile(back).namelist()
    for artifact in ("Scripts/start.sh", "Files/notes.txt", "Files/inner.zip"):
        tacker("artifact", "download", name, artifact, "--file", str(back))
        assert back.read_bytes() == ARTIFACTS[artifact]
    # upload from a uri
    fetched = tacker.data("create")["ID"]
    tacker("upload", fetched, "--url", f"http://{files}/vnf.csar", "--user-name", "kim", "--password", "secret")
    assert tacker.onboarded(fetched)["VNFD ID"] == "fetched"
    refused = tacker.data("create")["ID"]
    said = tacker("upload", refused, "--url", "http://169.254.169.254/latest/meta-data", fails=True)
    assert "the operator has not allowed it" in said
    # list, in pages of two
    assert {each["Id"] for each in tacker.data("list")} == {name, fetched, refused}
    assert len(tacker.data("list", "--filter", "(eq,onboardingState,ONBOARDED)")) == 2
    assert "Checksum" in tacker.data("list", "--all_fields")[0]
    assert tacker.data("list", "--fields", "userDefinedData")[0]["User Defined Data"] == {"color": "red"}
    tacker("list", "--exclude_fields", "checksum")
    tacker("list", "--exclude_default")
    assert "is no operator" in tacker("list", "--filter", "(is,id,1)", fails=True)
    # disable, delete
    assert "disable it first" in tacker("delete", name, fails=True)
    assert tacker.data("update", name, "--operational-state", "DISABLED")["Operational State"] == "DISABLED"
    tacker("update", fetched, "--operational-state", "DISABLED")
    assert "deleted successfully" in tacker("delete", name, fetched, refused)
    assert tacker.data("list") == []


def test_with_tokens_of_two_projects(command: Path, tmp_path: Path) -> None:
    path, package = tokens(tmp_path, f"{TOKEN} here operator bob", f"{OTHER} there operator eve"), tmp_path / "vnf.csar"
    package.write_bytes(csar())
    with served(tmp_path / "home", config=f"tokens = {path}") as server:
        ours, others, nobodys = (
            Tacker(command, "--os-auth-type", "admin_token", "--os-endpoint", server.url, "--os-token", token)
            for token in (TOKEN, OTHER, "x" * 20)
        )
        name = ours.data("create")["ID"]
        ours("upload", name, "--path", str(package))
        assert ours.onboarded(name)["VNF Provider"] == "Acme"
        assert others.data("list") == []
        assert "cannot find package" in others("show", name, fails=True)
        assert "cannot find package" in others("delete", name, fails=True)
        nobodys("list", fails=True)
        ours("download", name, "--file", str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == package.read_bytes()
