"""mdw serve: it listens, says who may come in, and ends in order."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from meghdwar.cli import mdw
from tests import postgresql
from tests.api.csar import csar
from tests.api.served import Served, served
from tests.contract.pairs import eventually


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("serve")) as running:
        yield running


def test_it_says_which_versions_there_are_to_everybody(server: Served) -> None:
    answer = server.ask("GET", "/", token="")
    assert answer.status == 200
    assert answer.data["versions"][0]["id"] == "v1.0"
    assert answer.headers["X-Openstack-Request-Id"].startswith("req-")


def test_what_is_not_there_is_a_problem(server: Served) -> None:
    answer = server.ask("GET", "/nothing")
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.data["status"] == 404
    assert answer.data["request_id"] == answer.headers["X-Openstack-Request-Id"]


def test_a_method_that_is_not_there_is_405(server: Served) -> None:
    answer = server.ask("DELETE", "/")
    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]


def test_the_token_file_is_for_this_user_alone(server: Served) -> None:
    path = server.home / "state" / "meghdwar" / "tokens"
    assert path.stat().st_mode & 0o777 == 0o600
    assert server.token not in (server.home / "server.log").read_text()


def test_it_ends_in_order(tmp_path: Path) -> None:
    with served(tmp_path) as running:
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(30) == 0


def test_several_workers_answer(tmp_path: Path) -> None:
    with served(tmp_path, "--workers", "2") as running:
        assert {running.ask("GET", "/").status for _ in range(20)} == {200}
        text = running.ask("GET", "/metrics").body.decode()
        assert 'meghdwar_api_requests_total{method="GET",route="/",status="200"} 20.0' in text  # of both


@pytest.mark.real
def test_several_workers_on_postgresql(tmp_path: Path) -> None:
    try:
        database = postgresql.Server()
    except postgresql.MissingError as error:
        pytest.skip(str(error))
    with closing(database), served(tmp_path, "--workers", "2", config=f"database = {database.database()}") as running:
        path, package = "/vnfpkgm/v1/vnf_packages", csar()
        name = running.ask("POST", path, {}).data["id"]
        sent = running.ask(
            "PUT", f"{path}/{name}/package_content", package, headers={"Content-Type": "application/zip"}
        )
        assert sent.status == 202
        eventually(lambda: running.ask("GET", f"{path}/{name}").data["onboardingState"] == "ONBOARDED", 60)
        assert running.ask("GET", f"{path}/{name}/package_content").body == package
        assert [each["id"] for each in running.ask("GET", path).data] == [name]
        gateway = {"name": "edge_a", "hypervisor": "local", "endpoint": f"{tmp_path}/edge_a"}
        assert running.ask("POST", "/v1/gateways", gateway).status == 201
        for room in ("applications", "cloudlets", "moves", "operations", "gateways"):
            found = running.ask("GET", f"/v1/{room}").data[room]
            assert len(found) == (room == "gateways")


def test_tls(tmp_path: Path) -> None:
    certificate, key = tmp_path / "a.crt", tmp_path / "a.key"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]  # fmt: skip
    subprocess.run([*words, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    with served(tmp_path / "home", "--tls-cert", str(certificate), "--tls-key", str(key)) as running:
        assert running.url.startswith("https://")
        trusting = ssl.create_default_context(cafile=str(certificate))
        with urllib.request.urlopen(running.url, context=trusting, timeout=30) as answer:  # noqa: S310 - ours
            assert answer.status == 200


# what cannot be served is said before anything listens
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--listen", "nowhere"], "it has to be HOST:PORT"),
        (["--listen", "0.0.0.0:0", "--auth", "none"], "whoever reaches it could do everything"),
        (["--tls-cert", "a.crt"], "give both --tls-cert and --tls-key"),
        (["--tls-cert", "a.crt", "--tls-key", "a.key"], "No such file"),
        (["--config", "nothing.conf"], "cannot read the settings nothing.conf: there is no such file"),
    ],
)
def test_what_cannot_be_served(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert mdw.main(["serve", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mdw: cannot ")
    assert said in error


def test_a_port_that_is_taken(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert mdw.main(["serve", "--listen", f"127.0.0.1:{taken.getsockname()[1]}"]) == 2
    assert "give another --listen" in capsys.readouterr().err
