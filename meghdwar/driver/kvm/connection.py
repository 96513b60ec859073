"""The only module that speaks libvirt: one connection to a gateway that never hangs, and its errors in our words.

libvirt's calls wait for as long as the daemon likes. Here each runs in a thread of its own and is waited for as long
as it makes progress; one that does not is given up, together with the connection, and nobody knows whether it was
done. Everything that is asked of a domain or of the gateway itself is a method here; volumes are in `pool`.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum
from typing import Any, TypeVar

import libvirt

from meghdwar.driver.hypervisor import Access, Full, HypervisorError, Unreachable
from meghdwar.driver.kvm.pinned import pinned_uri

T = TypeVar("T")
KEEPALIVE_S, KEEPALIVE_COUNT = 5, 3  # a daemon that does not answer for this long has its connection closed
SLICE_S = 0.1

# what libvirt's errors mean to us
GONE = frozenset({libvirt.VIR_ERR_NO_CONNECT, libvirt.VIR_ERR_INVALID_CONN, libvirt.VIR_ERR_RPC})
BUSY = frozenset({libvirt.VIR_ERR_OPERATION_TIMEOUT, libvirt.VIR_ERR_RESOURCE_BUSY})
ABSENT = frozenset({libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_NO_STORAGE_POOL, libvirt.VIR_ERR_NO_STORAGE_VOL})
IMPOSSIBLE = frozenset(
    {
        libvirt.VIR_ERR_NO_SUPPORT,
        libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
        libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
        libvirt.VIR_ERR_CONFIG_UNSUPPORTED,
        libvirt.VIR_ERR_MIGRATE_UNSAFE,
        libvirt.VIR_ERR_NO_CONNECT,
        libvirt.VIR_ERR_AUTH_FAILED,
    }
)
CLOSED = re.compile(
    r"client socket is closed|connection closed|keepalive|end of file|broken pipe|connection reset", re.I
)
NO_DIRECT = re.compile(r"O_DIRECT")
NO_ROOM = re.compile(r"no space left|not enough free space|disk quota|insufficient (disk )?space", re.I)


SPARSE = libvirt.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM
STOP_AT_HOLE = libvirt.VIR_STREAM_RECV_STOP_AT_HOLE


class State(Enum):
    """How a domain is. ARRIVING: it is being received from another gateway and has not run here yet."""

    ABSENT = "absent"
    STOPPED = "stopped"
    RUNNING = "running"
    PAUSED = "paused"
    ARRIVING = "arriving"
    LEFT = "left"  # its memory was sent elsewhere, and it waits for what became of that


class ImpossibleError(HypervisorError):
    """These gateways cannot do it this way, now or later."""


Domain = Any
_events = threading.Lock()
_events_run = False


class _Opened:
    """A connection and how many are using it: one that is closed under a call takes the process with it."""

    def __init__(self, connection: Any) -> None:
        self.connection, self._users, self._lock = connection, 1, threading.Lock()

    def enter(self) -> bool:
        with self._lock:
            if not self._users or not self.connection.isAlive():
                return False
            self._users += 1
            return True

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            last = not self._users
        if last:
            with suppress(libvirt.libvirtError):
                self.connection.close()


class Connection:
    """A gateway's libvirt. It is opened when it is first asked for, and again after it was lost; threads share it."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._opening, self._lock = threading.Lock(), threading.Lock()
        self._opened: _Opened | None = None

    def close(self) -> None:
        """What is asked of it next opens it again."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            threading.Thread(target=opened.leave, daemon=True).start()  # it speaks to the daemon once more

    def call(
        self,
        asked: str,
        work: Callable[[Any], T],
        *,
        progress: Callable[[], object] | None = None,
        tick: Callable[[], None] | None = None,
        wait_s: float | None = None,
    ) -> T:
        """What `work` returns of the open connection. `progress` gives a value that changes while it gets on; `tick`
        is called now and then, and what it raises is raised here, with the work left to itself."""
        wait_s = self.access.timeout_s if wait_s is None else wait_s
        result: list[T] = []
        errors: list[BaseException] = []
        done = threading.Event()

        def run() -> None:
            try:
                opened = self._enter()
                try:
                    result.append(work(opened.connection))
                finally:
                    opened.leave()
            except BaseException as error:
                errors.append(error)
            finally:
                done.set()

        threading.Thread(target=run, daemon=True).start()
        last, since = progress() if progress else None, time.monotonic()
        while not done.wait(SLICE_S if progress or tick else wait_s):
            if tick:
                tick()
            now = progress() if progress else None
            if now != last:
                last, since = now, time.monotonic()
            if time.monotonic() - since >= wait_s:
                self.close()
                why = f"libvirt gave no answer within {wait_s:g} s; it may still be done"
                raise Unreachable(self.access.gateway, asked, why)
        if errors:
            raise self._translated(asked, errors[0])
        return result[0]

    def _enter(self) -> _Opened:
        """The open connection, which stays open until it is left."""
        with self._opening:
            with self._lock:
                if self._opened is not None and self._opened.enter():
                    return self._opened
            self.close()
            _run_events()
            connection = libvirt.open(pinned_uri(self.access))
            connection.setKeepAlive(KEEPALIVE_S, KEEPALIVE_COUNT)
            opened = _Opened(connection)
            opened.enter()
            with self._lock:
                self._opened = opened
            return opened

    def _translated(self, asked: str, error: BaseException) -> BaseException:
        if not isinstance(error, libvirt.libvirtError):
            return error
        gateway, code, text = self.access.gateway, error.get_error_code(), error.get_error_message() or str(error)
        if NO_DIRECT.search(text):
            why = "its storage pool is on a file system without direct I/O, which guests' disks need"
            way_out = "put it on ext4, XFS or Btrfs, or name another with the option pool"
            return HypervisorError(gateway, asked, f"{why}; {way_out} ({text.strip()})")
        if NO_ROOM.search(text):
            return Full(gateway, asked, f"{text}; make room in its storage pool")
        if code == libvirt.VIR_ERR_AUTH_FAILED:
            why = f"{text}; see that it lets this driver in, and that its certificate is for the host in its endpoint"
            return ImpossibleError(gateway, asked, why)
        if code in GONE or CLOSED.search(text) or error.get_error_domain() == libvirt.VIR_FROM_RPC:
            return Unreachable(gateway, asked, f"{text}; is libvirt running at {self.access.endpoint}?")
        if code in IMPOSSIBLE:
            return ImpossibleError(gateway, asked, text)
        return HypervisorError(gateway, asked, text, retry=code in BUSY)

    # the gateway
    def capabilities(self) -> str:
        return self.call("ask what it can do", lambda c: str(c.getCapabilities()))

    def version(self) -> int:
        """Of its QEMU."""
        return self.call("ask which QEMU it has", lambda c: int(c.getVersion()))

    def libvirt_version(self) -> int:
        return self.call("ask which libvirt it has", lambda c: int(c.getLibVersion()))

    def can_run(self, machine: str | None, virt: str) -> bool:
        """Whether it says that it can run such guests, which need not be true."""
        try:
            self.call("ask what it can run", lambda c: c.getDomainCapabilities(None, None, machine, virt, 0))
        except HypervisorError as error:
            if error.retry:
                raise
            return False
        return True

    def has_network(self, name: str) -> bool:
        """Whether it has a virtual network of this name, and it is up."""

        def work(c: Any) -> bool:
            return any(each.name() == name for each in c.listAllNetworks(libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE))

        return self.call(f"look for the network {name}", work)

    # domains
    def domain(self, name: str) -> Domain | None:
        return self.call(f"look for {name}", lambda c: found(lambda: c.lookupByName(name)))

    def domains(self) -> dict[str, Domain]:
        return self.call("list its domains", lambda c: {each.name(): each for each in c.listAllDomains()})

    def state(self, domain: Domain | None) -> State:
        if domain is None:
            return State.ABSENT
        return self.call(f"look at {domain.name()}", lambda c: _state(domain))

    def xml(self, domain: Domain, *, live: bool) -> str:
        """Its definition as it will be started next, or as it runs."""
        flag = libvirt.VIR_DOMAIN_XML_MIGRATABLE if live else libvirt.VIR_DOMAIN_XML_INACTIVE
        return self.call(f"read {domain.name()}", lambda c: str(domain.XMLDesc(flag)))

    def define(self, name: str, xml: str) -> Domain:
        def work(c: Any) -> Domain:
            made = c.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
            made.setAutostart(False)
            return made

        return self.call(f"define {name}", work)

    def start(self, domain: Domain) -> None:
        """From its disks: a memory that was saved with `virsh managedsave` is older than they may be, and is let go."""
        self.call(f"start {domain.name()}", lambda c: domain.createWithFlags(libvirt.VIR_DOMAIN_START_FORCE_BOOT))

    def start_once(self, name: str, xml: str, *, runs: bool = True) -> Domain:
        """A domain that is gone when it ends; without `runs` it is only made, and stands still."""
        flags = libvirt.VIR_DOMAIN_START_AUTODESTROY | (0 if runs else libvirt.VIR_DOMAIN_START_PAUSED)
        return self.call(f"start {name}", lambda c: c.createXML(xml, flags))

    def destroy(self, domain: Domain) -> None:
        def work(c: Any) -> None:
            try:
                domain.destroyFlags(libvirt.VIR_DOMAIN_DESTROY_GRACEFUL)  # QEMU gets to write its caches
            except libvirt.libvirtError as error:
                if error.get_error_code() in (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN):
                    return  # it was quicker
                domain.destroy()

        self.call(f"stop {domain.name()}", work)

    def suspend(self, domain: Domain) -> None:
        self.call(f"pause {domain.name()}", lambda c: domain.suspend())

    def resume(self, domain: Domain) -> None:
        self.call(f"resume {domain.name()}", lambda c: domain.resume())

    def undefine(self, domain: Domain) -> None:
        flags = (
            libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
            | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
        )
        nvram = flags | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM

        def work(c: Any) -> None:
            found(lambda: domain.undefineFlags(nvram if "<nvram" in domain.XMLDesc() else flags))

        self.call(f"undefine {domain.name()}", work)

    def plug(self, domain: Domain, xml: str, *, live: bool, config: bool) -> None:
        self.call(f"attach a disk to {domain.name()}", lambda c: domain.attachDeviceFlags(xml, _where(live, config)))

    def unplug(self, domain: Domain, xml: str, *, live: bool, config: bool) -> None:
        """Asks for it; a guest that runs lets go in its own time."""
        self.call(f"detach a disk from {domain.name()}", lambda c: domain.detachDeviceFlags(xml, _where(live, config)))

    def addresses(self, domain: Domain) -> list[str]:
        """Those of its leases and, where there is a guest agent, those that it says itself."""

        def work(c: Any) -> list[str]:
            for source in (
                libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE,
                libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT,
                libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP,
            ):
                try:
                    links = domain.interfaceAddresses(source)
                except libvirt.libvirtError:
                    continue
                there = [address["addr"] for link in links.values() for address in link["addrs"] or ()]
                if there:
                    return [address for address in there if not address.startswith(("127.", "::1", "fe80"))]
            return []

        return self.call(f"find the address of {domain.name()}", work)

    # moving
    def job(self, domain: Domain | None) -> Mapping[str, Any]:
        """What is under way with it: empty, or `in` (being received), `out` (being sent) and other figures."""
        if domain is None:
            return {}

        def work(c: Any) -> Mapping[str, Any]:
            stats = _job(domain)
            if stats.get("type", libvirt.VIR_DOMAIN_JOB_NONE) == libvirt.VIR_DOMAIN_JOB_NONE:
                return {}
            operation = stats.get("operation")
            coming = operation == libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN
            going = operation == libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT
            return {**stats, "in": coming, "out": going}

        return self.call(f"look what is done with {domain.name()}", work)

    def abort(self, domain: Domain) -> None:
        """Ends what is under way; when that has just ended by itself, that is as well."""

        def work(c: Any) -> None:
            try:
                domain.abortJob()
            except libvirt.libvirtError as error:
                if error.get_error_code() not in (libvirt.VIR_ERR_OPERATION_INVALID, *ABSENT):
                    raise

        self.call(f"abort the move of {domain.name()}", work)

    def migrate(
        self,
        domain: Domain,
        to: str,
        parameters: Mapping[str, object],
        *,
        runs: bool,
        disks: bool,
        tls: bool,
        downtime_ms: int,
        asked: str,
        tick: Callable[[], None],
        progress: Callable[[], object],
    ) -> None:
        """From libvirt to libvirt. It runs while its disks are copied, and while its memory is where `runs`; without,
        libvirt lets it stand still from the moment when its disks are the same at both, and go on at whichever side it
        ends up. `parameters` are `destination_xml`, `persistent_xml` and so on."""
        flags = (
            libvirt.VIR_MIGRATE_PEER2PEER
            | libvirt.VIR_MIGRATE_PERSIST_DEST
            | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
            | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
        )
        if runs:
            flags |= libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_AUTO_CONVERGE
        if disks:
            flags |= libvirt.VIR_MIGRATE_NON_SHARED_INC  # an overlay goes, its base is there already
        if tls:
            flags |= libvirt.VIR_MIGRATE_TLS

        def work(c: Any) -> None:
            domain.migrateSetMaxDowntime(downtime_ms)  # before it begins: what an earlier move had set still stands
            domain.migrateToURI3(to, dict(parameters), flags)

        self.call(asked, work, progress=progress, tick=tick)

    def let_stand(self, domain: Domain, downtime_ms: int) -> None:
        """A move that is under way may let it stand still so long at the end; one that has ended does not mind."""

        def work(c: Any) -> None:
            with suppress(libvirt.libvirtError):
                domain.migrateSetMaxDowntime(downtime_ms)

        self.call(f"hurry the move of {domain.name()}", work)

    def save(self, domain: Domain, path: str, *, tick: Callable[[], None], progress: Callable[[], object]) -> None:
        """Writes its memory to a file at the gateway; then it does not run any more."""
        flags = libvirt.VIR_DOMAIN_SAVE_RUNNING
        self.call(f"save {domain.name()}", lambda c: domain.saveFlags(path, None, flags), progress=progress, tick=tick)

    def saved_xml(self, path: str) -> str:
        return self.call(f"read {path}", lambda c: str(c.saveImageGetXMLDesc(path)))

    def restore(self, path: str, xml: str | None, *, name: str) -> None:
        flags = libvirt.VIR_DOMAIN_SAVE_RUNNING
        self.call(f"restore {name}", lambda c: c.restoreFlags(path, xml, flags), wait_s=4 * self.access.timeout_s)


def found(look: Callable[[], T]) -> T | None:
    """What `look` gives, or None when libvirt knows nothing of it."""
    try:
        return look()
    except libvirt.libvirtError as error:
        if error.get_error_code() in ABSENT:
            return None
        raise


def existing(make: Callable[[], object]) -> bool:
    """Makes something, or finds that it exists already: then True."""
    try:
        make()
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_STORAGE_VOL_EXIST:
            return True
        raise
    return False


def _state(domain: Domain) -> State:
    answer = found(domain.state)
    if answer is None:
        return State.ABSENT
    state, reason = answer
    if state in (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_CRASHED):
        return State.STOPPED if domain.isPersistent() else State.ABSENT
    if state != libvirt.VIR_DOMAIN_PAUSED:
        return State.RUNNING
    if _job(domain).get("operation") == libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN:
        return State.ARRIVING
    if reason in (libvirt.VIR_DOMAIN_PAUSED_MIGRATION, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP):
        return State.LEFT
    return State.PAUSED


def _job(domain: Domain) -> Mapping[str, Any]:
    """What is under way with it; what does not run has nothing under way."""
    try:
        return domain.jobStats() or {}
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_OPERATION_UNSUPPORTED:  # who receives it has no figures
            return {
                "type": libvirt.VIR_DOMAIN_JOB_UNBOUNDED,
                "operation": libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN,
            }
        if error.get_error_code() in (libvirt.VIR_ERR_OPERATION_INVALID, *ABSENT):
            return {}
        raise


def _where(live: bool, config: bool) -> int:
    return (libvirt.VIR_DOMAIN_AFFECT_LIVE if live else 0) | (libvirt.VIR_DOMAIN_AFFECT_CONFIG if config else 0)


def _run_events() -> None:
    """Keepalives need an event loop: one thread for the whole process, begun before the first connection."""
    global _events_run
    with _events:
        if _events_run:
            return
        libvirt.registerErrorHandler(lambda context, error: None, None)  # errors are raised, not printed
        libvirt.virEventRegisterDefaultImpl()

        def forever() -> None:
            while True:
                libvirt.virEventRunDefaultImpl()

        threading.Thread(target=forever, name="libvirt events", daemon=True).start()
        _events_run = True
