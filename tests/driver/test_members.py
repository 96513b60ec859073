"""Drivers that share the work out: who is there, what is whose, and that it does no harm to be wrong about it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from meghdwar.driver.members import Members
from meghdwar.driver.operation import DriverError

NAMES = [f"arena-{number}" for number in range(300)]
QUICK = {"every_s": 0.1, "gone_s": 1.0}


def until(true: Callable[[], object], within_s: float = 10.0) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def memcached() -> Iterator[str]:
    program = shutil.which("memcached")
    if program is None:
        pytest.skip("memcached is not installed (as root: apt-get install memcached)")
    pytest.importorskip("pymemcache", reason="pymemcache is not installed (pip install 'tooz[memcached]')")
    port = free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    server = subprocess.Popen([program, "-l", "127.0.0.1", "-p", str(port), "-m", "16", *user])
    try:
        until(lambda: _answers(port))
        yield f"memcached://127.0.0.1:{port}?membership_timeout=2"
    finally:
        server.terminate()
        server.wait(10)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture(params=["file", pytest.param("memcached", marks=pytest.mark.real)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return f"file://{tmp_path}/members"
    found: str = request.getfixturevalue("memcached")
    return found


@pytest.fixture
def join(url: str) -> Iterator[Callable[[str], Members]]:
    made: list[Members] = []

    def join(name: str) -> Members:
        made.append(Members(url, name, **QUICK))
        return made[-1]

    yield join
    for members in made:
        members.close()


Join = Callable[[str], Members]


def test_alone_everything_is_ours(join: Join) -> None:
    one = join("one")
    assert all(map(one.mine, NAMES))
    until(lambda: one._ring is not None)
    assert all(map(one.mine, NAMES))
    assert one.names() == ["one"]


def test_everything_is_exactly_one_drivers(join: Join) -> None:
    drivers = [join(name) for name in ("one", "two", "three")]
    until(lambda: all(len(driver.names()) == 3 for driver in drivers))
    parts = [{name for name in NAMES if driver.mine(name)} for driver in drivers]
    assert sorted(name for part in parts for name in part) == sorted(NAMES)
    assert min(map(len, parts)) > len(NAMES) / 10


def test_who_leaves_leaves_its_part_to_the_others(join: Join) -> None:
    one, two = join("one"), join("two")
    until(lambda: len(one.names()) == 2 and len(two.names()) == 2)
    before = {name for name in NAMES if one.mine(name)}
    two.close()
    until(lambda: one.names() == ["one"])
    assert all(map(one.mine, NAMES))
    assert before < set(NAMES)


def test_who_dies_leaves_its_part_to_the_others(join: Join, url: str) -> None:
    one = join("one")
    program = (
        "import time; from meghdwar.driver.members import Members\n"
        f"Members({url!r}, 'two', every_s=0.1); time.sleep(60)"
    )
    two = subprocess.Popen([sys.executable, "-c", program])
    try:
        until(lambda: one.names() == ["one", "two"])
        assert not all(map(one.mine, NAMES))
        time.sleep(1.5)
        until(lambda: one.names() == ["one", "two"])  # it lives, and goes on saying so
        two.send_signal(signal.SIGKILL)
        until(lambda: one.names() == ["one"])
        assert all(map(one.mine, NAMES))
    finally:
        two.kill()
        two.wait()


def test_who_stood_still_comes_back(join: Join, url: str) -> None:
    one, two = join("one"), join("two")
    until(lambda: len(one.names()) == 2)
    two._coordinator.leave_group(b"meghdwar").get()  # taken for dead
    until(lambda: two.names() == ["one", "two"] and one.names() == ["one", "two"])


def test_a_place_that_cannot_be_reached_leaves_everything_to_everybody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    one = Members(f"file://{tmp_path}/file/members", "one", **QUICK)
    try:
        until(lambda: "cannot see the other drivers" in caplog.text)
        assert all(map(one.mine, NAMES))
        (tmp_path / "file").unlink()
        two = Members(f"file://{tmp_path}/file/members", "two", **QUICK)
        until(lambda: one.names() == ["one", "two"])
        assert not all(map(one.mine, NAMES))
        two.close()
    finally:
        one.close()
    assert caplog.text.count("cannot see the other drivers") == 1


@pytest.mark.parametrize("url", ["nowhere://host", "", "zake", "redis2://user:hunter2@host"])
def test_a_url_that_nobody_understands_is_told(url: str) -> None:
    with pytest.raises(DriverError, match="cannot share the work through") as told:
        Members(url, "one")
    assert "hunter2" not in str(told.value)
