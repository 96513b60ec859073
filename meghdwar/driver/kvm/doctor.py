"""Looks over a gateway before anything is moved there: what a move needs of its libvirt, said plainly."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from xml.etree import ElementTree

from meghdwar.driver.hypervisor import Access, Finding, HypervisorError
from meghdwar.driver.kvm import boots, images, trial
from meghdwar.driver.kvm.connection import Connection
from meghdwar.driver.kvm.domain import Machine
from meghdwar.driver.kvm.pool import Pool

LIBVIRT_MIN = 6_000_000
FREE_MIN_BYTES = 2 * 2**30
SKEW_MAX_S = 3.0
GOOD, WARNING, BAD = "good", "warning", "bad"


def machine_of(access: Access, connection: Connection, pool: Pool) -> Machine:
    """How guests are run there: as the options say, and otherwise with KVM where it runs guests, else without."""
    options = access.options
    arch = ElementTree.fromstring(connection.capabilities()).findtext("host/cpu/arch") or "x86_64"  # noqa: S314
    here = Machine(
        virt=options.get("virt", ""),
        arch=arch,
        machine=options.get("machine", "pc" if arch == "x86_64" else None),
        cpu=options.get("cpu"),
        bridge=options.get("bridge"),
        network=options.get("network"),
    )
    if here.virt not in ("", "auto"):
        return here
    if arch == "x86_64":
        return replace(here, virt=boots.choose(connection, pool))
    return replace(here, virt="kvm" if connection.can_run(here.machine, "kvm") else "qemu")


def look_over(access: Access, connection: Connection, pool: Pool, wanted: Sequence[str]) -> Iterator[Finding]:
    """Every finding, the bad ones with their help; it never raises and leaves nothing."""
    reached = list(_trying("reachable", lambda: _reachable(access, connection)))
    yield from reached
    if any(finding.level == BAD for finding in reached):
        return
    yield from _trying("virtualization", lambda: _virtualization(access, connection, pool))
    yield from _trying("pool", lambda: _pool(pool))
    yield from _trying("direct", lambda: _tried(connection, pool))
    yield from _trying("network", lambda: _network(access, connection))
    yield from _trying("moves", lambda: _moves(access))
    for name in wanted:
        yield from _trying("image", lambda each=name: _image(access, pool, each))  # type: ignore[misc]


def _trying(check: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except HypervisorError as error:
        yield Finding(check, BAD, str(error), error.why)
    except Exception as error:
        yield Finding(check, BAD, f"cannot look at {check}: {error!r}", "this is a mistake in Meghdwar; report it")


def _reachable(access: Access, connection: Connection) -> Iterator[Finding]:
    try:
        version = connection.libvirt_version()
    except HypervisorError as error:
        advice = "see that libvirt runs there and that this machine may reach it: virsh -c URI version"
        yield Finding("reachable", BAD, str(error), advice)
        return
    text = f"libvirt {version // 1_000_000}.{version // 1000 % 1000} at {access.endpoint}"
    if version < LIBVIRT_MIN:
        yield Finding("reachable", WARNING, text, "it is older than any that was tried; 6.0 or newer is wanted")
    else:
        yield Finding("reachable", GOOD, text)
    if "+tcp" in access.endpoint.split(":")[0]:
        advice = "whoever reaches the port owns the gateway: use qemu+tls or qemu+ssh"
        yield Finding("certificate", WARNING, "its libvirt is spoken to without TLS", advice)
    elif "+tls" in access.endpoint.split(":")[0] and not access.certificate:
        advice = "add it with the SHA-256 fingerprint of its certificate"
        yield Finding("certificate", WARNING, "its certificate is not pinned", advice)
    elif access.certificate:
        yield Finding("certificate", GOOD, "it shows the certificate that was written down for it")


def _virtualization(access: Access, connection: Connection, pool: Pool) -> Iterator[Finding]:
    given = access.options.get("virt", "auto")
    if given != "auto":
        if given in ("kvm", "qemu") and connection.can_run(None, given):
            yield Finding("virtualization", GOOD, f"guests run with {given}, as its options say")
        else:
            yield Finding("virtualization", BAD, f"it cannot run guests with {given!r}", "leave the option virt away")
        return
    virt = boots.remembered(connection, pool)
    if virt == "kvm" or (virt is None and connection.can_run(None, "kvm")):
        tried = "was tried" if virt else "it offers it, and it is tried before the first guest"
        yield Finding("virtualization", GOOD, f"guests run with kvm ({tried})")
    else:
        advice = (
            "turn on virtualization in its firmware, or nested virtualization below it; then remove the volume _boots"
        )
        why = "a guest under kvm did not come up" if virt else "libvirt offers no kvm there"
        yield Finding("virtualization", WARNING, f"guests run with qemu, which is slow: {why}", advice)


def _pool(pool: Pool) -> Iterator[Finding]:
    free = pool.free_bytes()
    if free is None:
        yield Finding("pool", GOOD, f"the storage pool {pool.name} will be made")
        return
    if pool.kind() not in ("dir", "fs", "netfs"):
        advice = "overlays need files: name a pool of type dir with the option pool"
        yield Finding("pool", BAD, f"the storage pool {pool.name} is of type {pool.kind()}", advice)
    else:
        yield Finding("pool", GOOD, f"the storage pool {pool.name} is of type {pool.kind()}, {pool.path()}")
    if free < FREE_MIN_BYTES:
        yield Finding("space", WARNING, f"{free / 2**30:.1f} GiB are free in {pool.name}", "make room in it")
    else:
        yield Finding("space", GOOD, f"{free / 2**30:.1f} GiB are free in {pool.name}")


def _tried(connection: Connection, pool: Pool) -> Iterator[Finding]:
    """What only a volume in the pool tells, which is there for a moment."""
    if pool.free_bytes() is None:
        message = "neither direct I/O nor its clock was looked at: that takes the storage pool, which will be made"
        yield Finding("direct", WARNING, message, "ask again when something was built there")
        return
    begun_at = time.time()
    with trial.trial_volume(pool) as volume:
        yield from _clock(trial.skew_s(pool, begun_at, volume))
        error = trial.direct(connection, pool, volume)
    if error is None:
        yield Finding("direct", GOOD, f"the file system of {pool.name} takes direct I/O")
    else:
        advice = "it is tried again before the first guest; see that a guest can be started there"
        yield Finding("direct", WARNING, f"whether {pool.name} takes direct I/O could not be tried: {error}", advice)


def _clock(skew_s: float | None) -> Iterator[Finding]:
    advice = "let both keep time by NTP: sightings and logs are put in order by it"
    if skew_s is None:
        yield Finding("clock", WARNING, "its clock was not checked: its pool gives volumes no times", advice)
    elif skew_s > SKEW_MAX_S:
        yield Finding("clock", WARNING, f"its clock is {skew_s:.0f} s off ours", advice)
    else:
        yield Finding("clock", GOOD, "its clock agrees with ours")


def _network(access: Access, connection: Connection) -> Iterator[Finding]:
    bridge, network = access.options.get("bridge"), access.options.get("network")
    if bridge:
        yield Finding("network", GOOD, f"guests are on the bridge {bridge}")
    elif network is None:
        advice = "name a bridge or a libvirt network of the gateway with the option bridge or network"
        yield Finding("network", WARNING, "guests have no network", advice)
    elif connection.has_network(network):
        yield Finding("network", GOOD, f"guests are on the network {network}")
    else:
        yield Finding("network", BAD, f"there is no active network {network}", f"virsh net-start {network}")


def _moves(access: Access) -> Iterator[Finding]:
    """What the other gateways need to know of this one, as far as one side can tell."""
    data = access.options.get("migrate_data", "")
    if access.options.get("migration") == "saved":
        yield Finding("moves", WARNING, "guests stop while they move (migration: saved)", "leave that option away")
    elif re.match(r"(tcp|unix)://", data):
        yield Finding("moves", GOOD, f"guests come by {data}")
    elif data:
        yield Finding("moves", BAD, f"guests cannot come by {data!r}", "migrate_data is tcp://HOST or unix:///FOLDER")
    else:
        advice = "say with the option migrate_data (tcp://ADDRESS) where the other gateways reach it"
        yield Finding("moves", WARNING, "guests come by whatever its host name leads to", advice)
    if "migrate_uri" not in access.options and "+unix" in access.endpoint:
        advice = "say with the option migrate_uri how the other gateways reach its libvirt; on one machine it is good"
        yield Finding("moves", WARNING, f"the other gateways are told {access.endpoint}", advice)


def _image(access: Access, pool: Pool, name: str) -> Iterator[Finding]:
    try:
        image = images.find(access.gateway, access.images, name)
    except HypervisorError as error:
        yield Finding("image", BAD, str(error), f"put {name}.qcow2 or the folder {name} into the folder of images")
        return
    there = set(pool.names())
    missing = [kind for kind, volume in image.volumes.items() if f"{volume}.whole" not in there]
    yield Finding("image", GOOD, f"{name} will be brought" if missing else f"{name} is there")
