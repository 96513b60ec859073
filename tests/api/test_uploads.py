"""Uploads to a real server: cut off, killed in the middle, on a disk that is full. Nothing is half onboarded, and
nothing that was acknowledged is lost."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.api.conftest import PACKAGES
from tests.api.csar import csar
from tests.api.served import Served, served

ZIP = {"Content-Type": "application/zip"}
WAIT_S = 60


def until(so: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not so():
        assert time.monotonic() < end
        time.sleep(0.02)


def create(server: Served) -> str:
    return str(server.ask("POST", PACKAGES, {}).data["id"])


def state(server: Served, name: str) -> str:
    return str(server.ask("GET", f"{PACKAGES}/{name}").data["onboardingState"])


def half(server: Served, name: str, content: bytes, kept: Path) -> socket.socket:
    """An upload of which half has come to the disk."""
    where = urlsplit(server.url)
    made = socket.create_connection((where.hostname, where.port))
    head = f"PUT {PACKAGES}/{name}/package_content HTTP/1.1\r\nHost: here\r\nX-Auth-Token: {server.token}\r\n"
    head += f"Content-Type: application/zip\r\nContent-Length: {len(content)}\r\n\r\n"
    made.sendall(head.encode() + content[: len(content) // 2])
    path = kept / "incoming" / name
    until(lambda: path.exists() and path.stat().st_size > len(content) // 4)
    return made


def kept(home: Path) -> Path:
    return home / "state" / "meghdwar" / "packages"


def contents(home: Path) -> list[str]:
    return sorted(path.name for part in ("incoming", "content") for path in (kept(home) / part).iterdir())


def test_killed_in_the_middle_nothing_is_half_onboarded(tmp_path: Path) -> None:
    content = csar(size=3_000_000)
    with served(tmp_path) as server:
        name = create(server)
        with half(server, name, content, kept(tmp_path)):
            assert state(server, name) == "UPLOADING"
            server.kill()
    assert contents(tmp_path) == [name]
    with served(tmp_path) as server:
        until(lambda: state(server, name) == "CREATED")
        found = server.ask("GET", f"{PACKAGES}/{name}").data
        assert "cut off" in found["onboardingFailureDetails"]["detail"]
        until(lambda: contents(tmp_path) == [])
        assert server.ask("PUT", f"{PACKAGES}/{name}/package_content", content, headers=ZIP).status == 202
        until(lambda: state(server, name) == "ONBOARDED")
        assert server.ask("GET", f"{PACKAGES}/{name}/package_content").body == content


def test_killed_when_it_was_acknowledged_nothing_is_lost(tmp_path: Path) -> None:
    content = csar()
    with served(tmp_path) as server:
        name = create(server)
        assert server.ask("PUT", f"{PACKAGES}/{name}/package_content", content, headers=ZIP).status == 202
        server.kill()
    with served(tmp_path) as server:
        until(lambda: state(server, name) == "ONBOARDED")
        assert server.ask("GET", f"{PACKAGES}/{name}/package_content").body == content


def test_a_client_that_goes_away_leaves_nothing(tmp_path: Path) -> None:
    content = csar(size=1_000_000)
    with served(tmp_path) as server:
        name = create(server)
        half(server, name, content, kept(tmp_path)).close()
        until(lambda: state(server, name) == "CREATED")
        until(lambda: contents(tmp_path) == [])


def test_another_server_leaves_an_upload_alone_that_goes_on(tmp_path: Path) -> None:
    content = csar(size=1_000_000)
    with served(tmp_path) as server:
        name = create(server)
        with half(server, name, content, kept(tmp_path)) as connection:
            with served(tmp_path) as other:  # which looks for what was left, and then ends
                assert state(other, name) == "UPLOADING"
                taken = other.ask("PUT", f"{PACKAGES}/{name}/package_content", csar(), headers=ZIP)
                assert taken.status == 409
            connection.sendall(content[len(content) // 2 :])
            until(lambda: state(server, name) == "ONBOARDED")
            assert b"202 ACCEPTED" in connection.recv(4096)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own with 2 MB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a disk that is full takes root, to mount one")
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", place], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a disk cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.real
def test_a_disk_that_is_full_is_said_and_nothing_is_kept(tmp_path: Path, small_disk: Path) -> None:
    with served(tmp_path / "home", config=f"content = {small_disk}") as server:
        name = create(server)
        answer = server.ask("PUT", f"{PACKAGES}/{name}/package_content", csar(size=3_000_000), headers=ZIP)
        assert answer.status == 507
        assert "there is no room left" in json.loads(answer.body)["detail"]
        assert state(server, name) == "CREATED"
        assert [path for path in small_disk.rglob("*") if path.is_file() and path.name != "lock"] == []
        assert server.ask("PUT", f"{PACKAGES}/{name}/package_content", csar(), headers=ZIP).status == 202
        until(lambda: state(server, name) == "ONBOARDED")
