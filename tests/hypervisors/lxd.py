"""Two LXD daemons on one machine, edge-1 and edge-2, each in the network namespace of its gateway.

Each has a mount namespace of its own too, in which its folder is /var/lib/lxd: nothing that it mounts is seen outside,
and what a crash leaves mounted goes with the namespace. The namespace is held by a process that does nothing, so that
a daemon that was killed finds its mounts again when it is started once more.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING

from meghdwar.driver.hypervisor import Access
from tests.hypervisors import image, network, processes
from tests.hypervisors.network import GATEWAYS, Network
from tests.hypervisors.processes import run

if TYPE_CHECKING:
    from tests.hypervisors.lxd_pair import LxdPair

PORT = 8443
POOL_SIZE = "12GiB"  # sparse
IMAGE = "cloudlet"
PROGRAMS = {
    "lxd": "lxd",
    "lxc": "lxd-client",
    "mkfs.btrfs": "btrfs-progs",
    "newuidmap": "uidmap",
    "dnsmasq": "dnsmasq-base",
    "openssl": "openssl",
    "nsenter": "util-linux",
}

# LXD looks for the host's end of a network device in the /sys of its mount namespace, and that shows the network
# namespace in which it was mounted; the control groups below it have to stay.
HOLD = """\
set -e
mkdir -p /run/mdw-cgroup-$$
mount --rbind /sys/fs/cgroup /run/mdw-cgroup-$$
mount -t sysfs sysfs /sys
mount --rbind /run/mdw-cgroup-$$ /sys/fs/cgroup
umount -l /run/mdw-cgroup-$$
rmdir /run/mdw-cgroup-$$
mkdir -p /var/lib/lxd
mount --bind "$1" /var/lib/lxd
mkdir -p /run/lxc
mount -t tmpfs -o size=1m tmpfs /run/lxc
touch "$1/held"
exec sleep infinity
"""


def missing() -> list[str]:
    """The Debian packages that have to be installed before `up`."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    packages = {package for program, package in PROGRAMS.items() if not shutil.which(program, path=path)}
    static = image.BUSYBOX.exists() and b"/ld-linux" not in image.BUSYBOX.read_bytes()[:4096]
    return sorted(packages | (set() if static else {"busybox-static"}) | set(network.missing()))


def up(state: Path) -> None:
    """Both daemons run, know the driver's certificate, and have pools, "default" on btrfs and "plain" of folders."""
    lab = network.up(state)
    _make_client_certificate(state)
    image.build(state / "images" / f"{IMAGE}.tar.gz")
    for gateway in GATEWAYS:
        start(state, lab, gateway)
    for gateway in GATEWAYS:
        _wait_ready(state, gateway)
        if not (folder(state, gateway) / "seeded").exists():
            _seed(state, gateway)


def down(state: Path) -> None:
    """Ends everything that `up` has started and removes what it has made; the network stays."""
    for gateway in GATEWAYS:
        here = folder(state, gateway)
        if processes.alive(here / "lxd.pid"):
            _stop_instances(state, gateway)
        processes.stop(here / "lxd.pid", within_s=5)
        holder = processes.alive(here / "holder.pid")
        if holder:
            namespace = os.readlink(f"/proc/{holder}/ns/mnt")
            processes.end(set(processes.within(namespace)) - {holder}, within_s=3)
            processes.stop(here / "holder.pid", within_s=3)
        shutil.rmtree(here, ignore_errors=True)


def status(state: Path) -> list[str]:
    lab = network.find(state)
    return [
        f"lxd: {gateway} "
        + (f"https://{lab.address(gateway)}:{PORT}" if lab and _running(state, gateway) else "down")
        + f", {folder(state, gateway) / 'lib' / 'unix.socket'}"
        for gateway in GATEWAYS
    ]


# for tests and benchmarks
def accesses(state: Path) -> tuple[Access, Access]:
    """How the driver reaches both gateways: https with pinned certificates."""
    one, two = (access(state, gateway) for gateway in GATEWAYS)
    return one, two


def access(state: Path, gateway: str, **options: str) -> Access:
    lab = network.find(state)
    if not lab:
        raise RuntimeError("cannot reach the gateways: the network is not up")
    return Access(
        gateway=gateway,
        hypervisor="lxd",
        endpoint=f"https://{lab.address(gateway)}:{PORT}",
        certificate=fingerprint(state, gateway),
        client_certificate=state / "client.crt",
        client_key=state / "client.key",
        address=lab.address(gateway),
        images=state / "images",
        options={"pool": "default", "parent": "eth0", **options},
    )


def fingerprint(state: Path, gateway: str) -> str:
    """The SHA-256 of the certificate that a gateway shows."""
    pem = (folder(state, gateway) / "lib" / "server.crt").read_text()
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def folder(state: Path, gateway: str) -> Path:
    return state / "lxd" / gateway


def start(state: Path, lab: Network, gateway: str) -> None:
    """Starts a daemon, also one that was killed: it finds its mounts and its containers as it left them."""
    here = folder(state, gateway)
    (here / "lib").mkdir(parents=True, exist_ok=True)
    if not processes.alive(here / "holder.pid"):
        held = here / "lib" / "held"
        held.unlink(missing_ok=True)
        net = f"--net=/run/netns/{lab.namespace(gateway)}"
        hold = [
            "nsenter",
            net,
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            HOLD,
            "hold",
            here / "lib",
        ]
        processes.start(hold, here / "holder.pid", here / "out")
        if not processes.wait_until(held.exists, 10):
            raise RuntimeError(f"cannot start LXD at {gateway}: {(here / 'out').read_text()[-500:]}")
    daemon = [*inside(state, gateway), "lxd", "--group", "root", "--logfile", "/var/lib/lxd/daemon.log"]
    processes.start(daemon, here / "lxd.pid", here / "out", env={"LXD_DIR": "/var/lib/lxd"})


def kill(state: Path, gateway: str) -> None:
    """The daemon dies at once; its containers go on."""
    pid = processes.alive(folder(state, gateway) / "lxd.pid")
    if pid:
        os.kill(pid, 9)
        processes.wait_until(lambda: not processes.alive(folder(state, gateway) / "lxd.pid"), 10)


def wait_ready(state: Path, gateway: str) -> None:
    _wait_ready(state, gateway)


def inside(state: Path, gateway: str) -> list[str]:
    """The words that run a command where a daemon runs, with its /var/lib/lxd and its network."""
    return ["nsenter", "-t", str(processes.alive(folder(state, gateway) / "holder.pid")), "--mount", "--net"]


def lxc(state: Path, gateway: str, *argv: str, check: bool = True) -> str:
    """What `lxc ARGV` prints at a gateway, past the driver."""
    command = ["env", "LXD_DIR=/var/lib/lxd", f"HOME={folder(state, gateway)}", "lxc", *argv]
    return run([*inside(state, gateway), *command], check=check)


def pools(state: Path, gateway: str) -> Path:
    """The storage pools of a gateway as they are mounted there: what is on its disks, past LXD."""
    return Path(f"/proc/{processes.alive(folder(state, gateway) / 'holder.pid')}/root/var/lib/lxd/storage-pools")


def sweep(state: Path, gateway: str) -> None:
    """No instance, volume or profile is left there, whoever made it."""
    names = listed(state, gateway, "instances")
    if names:
        lxc(state, gateway, "delete", "--force", *names)
    for pool in ("default", "plain"):
        for volume in listed(state, gateway, f"storage-pools/{pool}/volumes/custom"):
            lxc(state, gateway, "storage", "volume", "delete", pool, volume)
    for profile in listed(state, gateway, "profiles"):
        if profile != "default":
            lxc(state, gateway, "profile", "delete", profile)


def listed(state: Path, gateway: str, path: str) -> list[str]:
    """The names of what is there, without snapshots; past the driver, and without a process for it."""
    connection = HTTPConnection("lxd")
    connection.sock = socket.socket(socket.AF_UNIX)
    with closing(connection):
        connection.sock.connect(str(folder(state, gateway) / "lib" / "unix.socket"))
        connection.request("GET", f"/1.0/{path}")
        urls: list[str] = json.load(connection.getresponse())["metadata"]
    return [url.rpartition("/")[2] for url in urls if "/snapshots/" not in url]


def pair(folder: Path) -> LxdPair:
    """Two gateways for tests/contract and tests/crash."""
    from tests.hypervisors import lxd_pair

    return lxd_pair.pair(folder)


# making them
def _wait_ready(state: Path, gateway: str, within_s: float = 60) -> None:
    here = folder(state, gateway)
    deadline = time.monotonic() + within_s
    while processes.alive(here / "lxd.pid"):
        try:
            run([*inside(state, gateway), "env", "LXD_DIR=/var/lib/lxd", "lxd", "waitready", "--timeout=5"])
        except RuntimeError:
            if time.monotonic() > deadline:
                break
        else:
            return
    raise RuntimeError(f"cannot start LXD at {gateway}: {(here / 'out').read_text()[-1000:]}")


def _seed(state: Path, gateway: str) -> None:
    lxc(state, gateway, "config", "set", f"core.https_address=:{PORT}", "core.shutdown_timeout=1")
    lxc(state, gateway, "config", "set", "images.auto_update_interval=0")
    lxc(state, gateway, "storage", "create", "default", "btrfs", f"size={POOL_SIZE}")
    lxc(state, gateway, "storage", "create", "plain", "dir")
    lxc(state, gateway, "config", "trust", "add", str(state / "client.crt"), "--name", "driver")
    (folder(state, gateway) / "seeded").touch()


def _make_client_certificate(state: Path) -> None:
    certificate, key = state / "client.crt", state / "client.key"
    if not certificate.exists():
        words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:secp384r1 -nodes -days 3650 -subj /CN=driver"
        run([*words.split(), "-keyout", key, "-out", certificate])
        key.chmod(0o600)


def _running(state: Path, gateway: str) -> bool:
    return bool(processes.alive(folder(state, gateway) / "lxd.pid"))


def _stop_instances(state: Path, gateway: str) -> None:
    """By force: a daemon that is asked to shut down waits for its containers, and can hang half closed."""
    try:
        names: Sequence[str] = [each["name"] for each in json.loads(lxc(state, gateway, "list", "--format", "json"))]
        if names:
            lxc(state, gateway, "stop", "--force", *names, check=False)
    except (RuntimeError, ValueError):
        return  # the processes of its namespace are ended one by one
