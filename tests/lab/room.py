"""The namespaces that a lab lives in: network, mounts, processes and host name of its own.

One process holds them. Everything of the lab is started inside, so that nothing of the machine is changed but one
network device and one route, and when the holder ends the kernel ends all the rest.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.hypervisors.processes import alive, run, start, stop, wait_until
from tests.lab import HERE, ROOT
from tests.lab.place import Place


def holder(place: Place) -> int:
    """The process id of the first process inside, as it is seen from outside; 0 while there is none."""
    parent = alive(place.state / "room.pid")
    if not parent:
        return 0
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    except OSError:
        return 0
    return int(children[0]) if children else 0


def make(place: Place) -> None:
    """The namespaces and the wire between them and this machine."""
    if not holder(place):
        _cut(place)
        ready = place.state / "room.ready"
        ready.unlink(missing_ok=True)
        (place.state / "sbin").mkdir(exist_ok=True)
        argv = ["unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
        first = ["/usr/bin/python3", "-I", HERE / "first.py", place.state, place.lib("nfs"), place.address]
        start([*argv, "--propagation", "private", *first], place.state / "room.pid", place.log("room"))
        if not wait_until(ready.exists, 20):
            raise RuntimeError(f"cannot make the lab's namespaces: see {place.log('room')}")
    if not Path("/sys/class/net", place.device).exists():
        inside = holder(place)
        run(["ip", "link", "add", place.device, "type", "veth", "peer", "name", "lab0", "netns", str(inside)])
        run(["ip", "address", "add", f"{place.here}/24", "dev", place.device])
        run(["ip", "link", "set", place.device, "up"])
        for argv in (
            ["ip", "address", "add", f"{place.address}/24", "dev", "lab0"],
            ["ip", "link", "set", "lab0", "up"],
            ["ip", "link", "add", "br-outside", "type", "bridge"],
            ["ip", "address", "add", f"{place.outside}.1/24", "dev", "br-outside"],
            ["ip", "link", "set", "br-outside", "up"],
            ["ip", "route", "add", "default", "via", place.here],
            ["sysctl", "-qw", "net.ipv4.ip_forward=1"],
        ):
            run(enter(place, argv))
        run(["ip", "route", "replace", f"{place.outside}.0/24", "via", place.address])


def enter(place: Place, argv: Sequence[str | Path]) -> list[str]:
    """The command that runs another one inside. Raises RuntimeError when the lab is down."""
    inside = holder(place)
    if not inside:
        raise RuntimeError("cannot get into the lab: it is down; bring it up with python -m tests.lab up")
    options = ["--target", str(inside), "--net", "--mount", "--uts", "--ipc", "--pid", f"--wd={ROOT}"]
    return ["nsenter", *options, "--", *map(str, argv)]


def ourselves(place: Place, *arguments: str) -> int:
    """This very program inside, with other arguments; its exit status."""
    return subprocess.call(enter(place, [sys.executable, "-m", "tests.lab", *arguments, "--state", place.state]))


def is_inside() -> bool:
    return Path("/run/meghdwar-lab").exists()


def leave(place: Place) -> None:
    """Ends the holder, and with it everything inside."""
    inside = holder(place)
    stop(place.state / "room.pid", 5)
    deadline = time.monotonic() + 10
    while inside and Path(f"/proc/{inside}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    (place.state / "room.ready").unlink(missing_ok=True)
    _cut(place)


def _cut(place: Place) -> None:
    if Path("/sys/class/net", place.device).exists():
        run(["ip", "link", "del", place.device], check=False)
