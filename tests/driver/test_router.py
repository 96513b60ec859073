"""Where subscribers are sent: a table of files, a host route, or nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from meghdwar.driver import router
from meghdwar.driver.hypervisor import HypervisorError
from meghdwar.driver.instance import Instance

ARENA = Instance("arena", "arena", "arena", "container", "counter", address="10.50.0.80", ports=(80,))


def test_a_table_names_the_gateway_and_forgets_it(tmp_path: Path) -> None:
    table = router.make(f"table:{tmp_path / 'routes'}")
    table.point(ARENA, "edge_a", None, "127.0.1.1:80")
    table.point(ARENA, "edge_b", None, "127.0.1.2:80")
    found = json.loads((tmp_path / "routes" / "arena.json").read_text())
    assert found == {"gateway": "edge_b", "endpoint": "127.0.1.2:80"}
    assert table.shown(ARENA) == "edge_b"
    table.withdraw(ARENA)
    table.withdraw(ARENA)
    assert table.shown(ARENA) is None
    assert list((tmp_path / "routes").iterdir()) == []


def test_a_table_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    (tmp_path / "routes").write_text("in the way")
    with pytest.raises(HypervisorError, match=r"cannot route arena at edge_a: .*routes") as caught:
        router.make(f"table:{tmp_path / 'routes'}").point(ARENA, "edge_a", None, "127.0.1.1:80")
    assert caught.value.retry


@pytest.mark.parametrize("text", ["", "table", "table:", "smoke-signals"])
def test_an_unknown_way_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"cannot route by .*table:FOLDER"):
        router.make(text)


def test_nothing_is_routed_by_none() -> None:
    nowhere = router.make("none")
    nowhere.point(ARENA, "edge_a", None, "")
    assert nowhere.shown(ARENA) is None


def test_a_gateway_without_an_address_cannot_be_routed_to() -> None:
    with pytest.raises(HypervisorError, match=r"--address"):
        router.make("iproute").point(ARENA, "edge_a", None, "10.50.0.80:80")


def test_without_an_address_of_its_own_there_is_no_route() -> None:
    router.make("iproute:no-such-namespace").point(replace(ARENA, address=None), "edge_a", "10.0.0.2", "")


@pytest.fixture
def namespace() -> Iterator[str]:
    """A network namespace of our own with one interface, 10.0.0.1/24."""
    name = f"mdw-{uuid4().hex[:8]}"
    if shutil.which("ip") is None or subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        pytest.skip("network namespaces: the right to make one (root) and iproute2 are needed")
    try:
        ip = ["ip", "-n", name]
        subprocess.run([*ip, "link", "add", "veth0", "type", "veth", "peer", "veth1"], check=True)
        subprocess.run([*ip, "addr", "add", "10.0.0.1/24", "dev", "veth0"], check=True)
        for link in ("veth0", "veth1"):
            subprocess.run([*ip, "link", "set", link, "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def test_a_host_route_follows(namespace: str) -> None:
    routed = router.make(f"iproute:{namespace}")
    assert routed.shown(ARENA) is None
    routed.point(ARENA, "edge_a", "10.0.0.2", "")
    routed.point(ARENA, "edge_b", "10.0.0.3", "")
    routed.point(ARENA, "edge_b", "10.0.0.3", "")
    assert routed.shown(ARENA) == "10.0.0.3"
    routed.withdraw(ARENA)
    routed.withdraw(ARENA)
    assert routed.shown(ARENA) is None


def test_a_namespace_that_is_not_there_is_an_error() -> None:
    if shutil.which("ip") is None:
        pytest.skip("iproute2 is not installed")
    with pytest.raises(HypervisorError, match=r"cannot route arena at edge_a"):
        router.make("iproute:no-such-namespace").point(ARENA, "edge_a", "10.0.0.2", "")
