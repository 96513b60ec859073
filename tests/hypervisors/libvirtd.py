"""Two libvirt daemons with QEMU on one machine, edge-1 and edge-2, each in the network namespace of its gateway.

Each has a mount namespace of its own, in which libvirt's folders are its own: that is all that keeps two of them
apart on one machine, beside a `host_uuid` each. Guests are on a bridge that looks the same at both gateways (one
address and one hardware address as their next hop), so that a guest that moves has nothing to change.
"""

from __future__ import annotations

import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meghdwar.driver.hypervisor import Access
from tests.hypervisors import STATE, guest, network, processes
from tests.hypervisors.network import GATEWAYS, Network
from tests.hypervisors.processes import run

IMAGE = "counter"
BRIDGE = "cloudlets"
PROXY_PORT = 3128
TLS, TLS_PORT = "tls", 16514
NEXT_HOP, NEXT_HOP_MAC = "169.254.0.1", "02:6d:64:77:00:01"
PROGRAMS = {
    "libvirtd": "libvirt-daemon",
    "virsh": "libvirt-clients",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "cpio": "cpio",
    "gcc": "gcc",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "nsenter": "util-linux",
}
FILES = {
    "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so": "libvirt-daemon-driver-qemu",
    "/usr/lib/x86_64-linux-gnu/libc.a": "libc6-dev",
    "/bin/busybox": "busybox-static",
}
FOLDERS = {
    "run": "/run/libvirt",
    "lib": "/var/lib/libvirt",
    "cache": "/var/cache/libvirt",
    "log": "/var/log/libvirt",
    "etc": "/etc/libvirt",
}

# /sys has to show the network devices of this namespace; the control groups of the machine are not for these guests
RUN = """\
set -e
mount -t sysfs sysfs /sys
here=$1
for pair in {folders}; do
    mount --bind "$here/${{pair%%:*}}" "${{pair#*:}}"
done
shift
exec libvirtd --config /etc/libvirt/libvirtd.conf --pid-file /run/libvirt/libvirtd.pid "$@"
"""
LIBVIRTD_CONF = """\
host_uuid = "{uuid}"
auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_group = "root"
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
"""
LISTEN_CONF = """\
listen_tls = 1
listen_tcp = 0
listen_addr = "{address}"
tls_port = "{port}"
auth_tls = "none"
ca_file = "{folder}/ca.pem"
cert_file = "{folder}/server.pem"
key_file = "{folder}/server.key"
"""
QEMU_CONF = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
"""


def missing() -> list[str]:
    """The Debian packages that have to be installed before `up`."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    packages = {package for program, package in PROGRAMS.items() if not shutil.which(program, path=path)}
    packages |= {package for file, package in FILES.items() if not Path(file).exists()}
    static = guest.BUSYBOX.exists() and b"/ld-linux" not in guest.BUSYBOX.read_bytes()[:4096]
    return sorted(packages | (set() if static else {"busybox-static"}) | set(network.missing()))


def up(state: Path) -> None:
    """Both daemons answer, and there is an image of the counter to make guests from."""
    lab = network.up(state)
    guest.build(state / "images" / IMAGE, STATE / "kernel")  # downloaded once for all that are brought up here
    for gateway in GATEWAYS:
        start(state, lab, gateway)
    for gateway in GATEWAYS:
        wait_ready(state, gateway)


def down(state: Path) -> None:
    """Ends everything that `up` has started and removes what it has made; the network stays."""
    for gateway in (*GATEWAYS, TLS):
        here = folder(state, gateway)
        daemon = processes.alive(here / "pid")
        processes.stop(here / "proxy.pid", within_s=3)
        processes.stop(here / "pid", within_s=5)
        processes.end(_guests(here) - {daemon}, within_s=3)
        shutil.rmtree(here, ignore_errors=True)


def status(state: Path) -> list[str]:
    return [
        f"kvm: {gateway} " + (uri(state, gateway) if processes.alive(folder(state, gateway) / "pid") else "down")
        for gateway in GATEWAYS
    ]


# for tests and benchmarks
def accesses(state: Path, **options: str) -> tuple[Access, Access]:
    """How the driver reaches both gateways."""
    one, two = (access(state, gateway, **options) for gateway in GATEWAYS)
    return one, two


def access(state: Path, gateway: str, **options: str) -> Access:
    lab = network.find(state)
    if not lab:
        raise RuntimeError("cannot reach the gateways: the network is not up")
    chosen = {
        "pool_path": f"/var/lib/libvirt/cloudlets-{gateway}",  # not the same at both, as in life
        "bridge": BRIDGE,
        "proxy": f"http://{lab.address(gateway)}:{PROXY_PORT}",
        "migrate_data": f"tcp://{lab.address(gateway)}",
    }
    return Access(
        gateway=gateway,
        hypervisor="kvm",
        endpoint=uri(state, gateway),
        address=lab.address(gateway),
        images=state / "images",
        options=chosen | options,
    )


def uri(state: Path, gateway: str) -> str:
    return f"qemu+unix:///system?socket={folder(state, gateway) / 'run' / 'libvirt-sock'}"


def folder(state: Path, gateway: str) -> Path:
    return state / "kvm" / gateway


def pool(state: Path, gateway: str) -> Path:
    """Where its volumes are, seen from this machine."""
    return folder(state, gateway) / "lib" / f"cloudlets-{gateway}"


def start(state: Path, lab: Network, gateway: str) -> None:
    """Starts a daemon, also one that was killed: its guests went on, and it finds them again."""
    here = folder(state, gateway)
    if len(str(here / "run" / "libvirt-sock")) > 100:
        raise RuntimeError(f"cannot start libvirtd at {gateway}: {here} is too long a path for a socket")
    here.mkdir(parents=True, exist_ok=True)
    _bridge(lab, gateway)
    proxy = [*_inside(lab, gateway), "python3", Path(__file__).with_name("gateway_proxy.py"), "0.0.0.0", PROXY_PORT]  # noqa: S104
    _daemon(lab, gateway, here)
    processes.start(proxy, here / "proxy.pid", here / "out")


@contextmanager
def listening(state: Path, certificates: Path) -> Iterator[tuple[str, int]]:
    """One more daemon in the namespace of a gateway, which listens by TLS with the ca.pem, server.pem and server.key
    of a folder; its address and port."""
    lab, gateway = network.up(state), GATEWAYS[0]
    here = folder(state, TLS)
    processes.stop(here / "pid", within_s=5)  # of a run that was killed: it has other certificates
    listen = LISTEN_CONF.format(address=lab.address(gateway), port=TLS_PORT, folder=certificates)
    _daemon(lab, gateway, here, listen, "--listen")
    try:
        answers = processes.wait_until(lambda: _takes(lab.address(gateway), TLS_PORT), 60)
        if not answers:
            raise RuntimeError(f"cannot start libvirtd with TLS: {(here / 'out').read_text()[-1000:]}")
        yield lab.address(gateway), TLS_PORT
    finally:
        processes.stop(here / "pid", within_s=5)
        shutil.rmtree(here, ignore_errors=True)


def _takes(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def _daemon(lab: Network, gateway: str, here: Path, more: str = "", *words: str) -> None:
    for name, there in FOLDERS.items():
        (here / name).mkdir(parents=True, exist_ok=True)
        Path(there).mkdir(parents=True, exist_ok=True)
    (here / "etc" / "qemu").mkdir(exist_ok=True)
    host = uuid.uuid5(uuid.NAMESPACE_URL, str(here))
    (here / "etc" / "libvirtd.conf").write_text(LIBVIRTD_CONF.format(uuid=host) + more)
    (here / "etc" / "qemu.conf").write_text(QEMU_CONF)
    script = RUN.format(folders=" ".join(f"{name}:{there}" for name, there in FOLDERS.items()))
    own = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "libvirtd", here, *words]
    processes.start([*_inside(lab, gateway), *own], here / "pid", here / "out")


def kill(state: Path, gateway: str) -> None:
    """The daemon dies at once; its guests go on."""
    pid = processes.alive(folder(state, gateway) / "pid")
    if pid:
        os.kill(pid, 9)
        processes.wait_until(lambda: not processes.alive(folder(state, gateway) / "pid"), 10)


def wait_ready(state: Path, gateway: str, within_s: float = 120) -> None:
    here = folder(state, gateway)
    answers = ["virsh", "-c", uri(state, gateway), "version"]
    if not processes.wait_until(lambda: "QEMU" in run(answers, check=False), within_s):
        raise RuntimeError(f"cannot start libvirtd at {gateway}: {(here / 'out').read_text()[-1000:]}")


def virsh(state: Path, gateway: str, *argv: str, check: bool = True) -> str:
    """What `virsh ARGV` prints at a gateway, past the driver."""
    return run(["virsh", "-c", uri(state, gateway), *argv], check=check)


def _inside(lab: Network, gateway: str) -> list[str | Path]:
    return ["nsenter", f"--net=/run/netns/{lab.namespace(gateway)}"]


def _bridge(lab: Network, gateway: str) -> None:
    name = lab.namespace(gateway)
    if Path("/run/netns", name).exists() and BRIDGE in run(["ip", "-n", name, "-br", "link"]):
        return
    run(["ip", "-n", name, "link", "add", BRIDGE, "address", NEXT_HOP_MAC, "type", "bridge"])
    run(["ip", "-n", name, "addr", "add", f"{NEXT_HOP}/32", "dev", BRIDGE])
    run(["ip", "-n", name, "link", "set", BRIDGE, "up"])
    run(["ip", "-n", name, "route", "add", f"10.{lab.number}.50.0/24", "dev", BRIDGE])
    # a guest that comes is to be found at once: the next question for its hardware address is not a second away
    run(lab.inside(f"{gateway}", "sysctl", "-qw", f"net.ipv4.neigh.{BRIDGE}.retrans_time_ms=20"))


def _guests(here: Path) -> set[int]:
    """The QEMU processes of a daemon, by the files that it keeps of them."""
    found = set()
    for file in (here / "run" / "qemu").glob("*.pid"):
        try:
            pid = int(file.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if b"qemu-system" in command:
            found.add(pid)
    return found
