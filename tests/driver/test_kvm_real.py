"""What is particular to KVM, on two real libvirt daemons: overlays, saved memory, moves that are cut off, bad gateways.

What holds for every hypervisor is in tests/contract, and drivers that die are in tests/crash.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("libvirt", reason="kvm: libvirt-python is not installed; pip install 'meghdwar[kvm]'")

from meghdwar.driver.hypervisor import Full, HypervisorError, Power, Refused, Seen, Stale, Unbounded, Unreachable
from meghdwar.driver.instance import Disk, Instance
from meghdwar.driver.kvm import Kvm
from tests.contract.pairs import MissingError, eventually, numbers
from tests.hypervisors import kvm, libvirtd, processes
from tests.hypervisors.kvm import KvmPair

pytestmark = pytest.mark.real
FIRST, SECOND, THIRD = Unbounded(1), Unbounded(2), Unbounded(3)


@pytest.fixture(scope="module")
def gateways(request: pytest.FixtureRequest) -> Iterator[KvmPair]:
    if "kvm" not in request.config.getoption("--real").split(","):
        pytest.skip("kvm: left out by --real")
    try:
        made = kvm.pair(Path())
    except MissingError as error:
        pytest.skip(f"kvm: {error}")
    yield made
    made.close()


@pytest.fixture
def pair(gateways: KvmPair) -> Iterator[KvmPair]:
    yield gateways
    gateways.clean()


@pytest.fixture
def instance(pair: KvmPair, request: pytest.FixtureRequest) -> Instance:
    """One with a name of its own, so that nothing of another test can be taken for it."""
    number = abs(hash(request.node.name)) % 10_000
    return pair.instance(f"guest-{number:04}")


def run_at(pair: KvmPair, at: Kvm, instance: Instance, claim: Unbounded, counted: int = 3) -> None:
    at.hold(instance, claim, writer=True)
    at.define(instance, claim)
    for disk in instance.disks:
        at.make_disk(instance, disk, claim)
        at.attach(instance, disk, claim)
    at.start(instance, claim)
    eventually(lambda: pair.ask(at, instance, "/n"), pair.patience_s)
    for number in range(1, counted + 1):
        assert pair.ask(at, instance, "/next", timeout_s=pair.patience_s) == str(number)


def handed_over(pair: KvmPair, instance: Instance, claim: Unbounded) -> None:
    """Held at both as a live move has it: the target may write, the source may not."""
    pair.target.hold(instance, claim, writer=True)
    pair.source.hold(instance, claim, writer=False)


def with_options(at: Kvm, **options: str) -> Kvm:
    return Kvm(replace(at.access, options={**at.access.options, **options}))


# images with a disk
@pytest.fixture
def with_overlay(pair: KvmPair, instance: Instance) -> Iterator[Instance]:
    """It has no disk but its overlay, and keeps its log there."""
    images = pair.state / "images"
    folder = images / "rooted"
    folder.mkdir(exist_ok=True)
    for name in ("vmlinuz", "initrd.gz"):
        shutil.copyfile(images / "counter" / name, folder / name)
    (folder / "cmdline").write_text("console=ttyS0 quiet panic=1 meghdwar.disk=overlay:/data\n")
    processes.run(["qemu-img", "create", "-q", "-f", "qcow2", folder / "root.qcow2", "24M"])
    processes.run(["qemu-io", "-f", "qcow2", "-c", "write -q -P 7 16M 4M", folder / "root.qcow2"])
    yield replace(instance, image="rooted", disks=())
    shutil.rmtree(folder)


def test_an_overlay_travels_and_its_base_does_not(pair: KvmPair, with_overlay: Instance) -> None:
    instance, source, target = with_overlay, pair.source, pair.target
    run_at(pair, source, instance, FIRST, counted=4)
    source.hold(instance, SECOND)
    source.pause(instance, SECOND)
    source.hold(instance, SECOND, writer=False)
    target.hold(instance, SECOND, writer=True)
    target.define(instance, SECOND)
    (overlay,) = target.travelling(instance)
    copied = target.copy_disk(instance, overlay, source, SECOND, final=True)
    assert copied.proof
    assert copied.sent_bytes < 4 * 2**20, "what is in the base is not sent"
    assert overlay.name in target.look(instance).disks
    target.start(instance, SECOND)
    assert eventually(lambda: pair.ask(target, instance, "/n"), pair.patience_s) == "4"
    with pytest.raises(Refused, match="runs here"):
        target.copy_disk(instance, overlay, source, SECOND)


def test_an_overlay_moves_live(pair: KvmPair, with_overlay: Instance) -> None:
    instance, source, target = with_overlay, pair.source, pair.target
    run_at(pair, source, instance, FIRST, counted=2)
    handed_over(pair, instance, SECOND)
    source.migrate(instance, target, SECOND)
    eventually(lambda: pair.ask(target, instance, "/n"), pair.patience_s)
    assert pair.ask(target, instance, "/next", timeout_s=pair.patience_s) == "3"
    file = libvirtd.pool(pair.state, target.gateway) / f"{instance.name}.overlay.qcow2"
    said = processes.run(["qemu-img", "info", "-U", file])
    assert "backing file: " in said
    assert file.stat().st_blocks * 512 < 4 * 2**20, "the base was not copied into it"


def test_an_overlay_above_another_base_is_refused(pair: KvmPair, with_overlay: Instance) -> None:
    instance, source, target = with_overlay, pair.source, pair.target
    source.hold(instance, FIRST, writer=True)
    source.define(instance, FIRST)
    base = pair.state / "images" / "rooted" / "root.qcow2"
    processes.run(["qemu-io", "-f", "qcow2", "-c", "write -q -P 9 0 64k", base])
    target.hold(instance, FIRST)
    target.define(instance, FIRST)
    (overlay,) = target.travelling(instance)
    with pytest.raises(Refused, match="image"):
        target.copy_disk(instance, overlay, source, FIRST)


BOOT_SECTOR = """
.code16
    xor %ax, %ax
    mov %ax, %ds
    mov %ax, %es
    mov $1, %cx             # read the second sector, count in its first byte, write it back
    mov $0x0201, %ax
    mov $0x7e00, %bx
    mov $0x0002, %cx
    mov $0x0080, %dx
    int $0x13
    incb 0x7e00
    mov $0x0301, %ax
    mov $0x7e00, %bx
    mov $0x0002, %cx
    mov $0x0080, %dx
    int $0x13
1:  hlt
    jmp 1b
.org 510
.word 0xaa55
"""


def test_a_disk_boots_and_only_the_overlay_is_written(pair: KvmPair, instance: Instance, tmp_path: Path) -> None:
    """The image is a disk that counts its boots."""
    (tmp_path / "boot.s").write_text(BOOT_SECTOR)
    made = tmp_path / "boot.o"
    processes.run(["as", "--32", "-o", made, tmp_path / "boot.s"])
    processes.run(["objcopy", "-O", "binary", "-j", ".text", made, tmp_path / "disk.raw"])
    os.truncate(tmp_path / "disk.raw", 2**20)
    processes.run(["qemu-img", "convert", "-O", "qcow2", tmp_path / "disk.raw", tmp_path / "counting.qcow2"])
    source = Kvm(replace(pair.source.access, images=tmp_path))
    instance = replace(instance, image="counting", disks=(), memory_bytes=32 * 2**20, disk_bytes=2 * 2**20)
    source.hold(instance, FIRST, writer=True)
    source.define(instance, FIRST)
    pool = libvirtd.pool(pair.state, source.gateway)
    overlay = pool / f"{instance.name}.overlay.qcow2"

    def boots() -> int:
        out = tmp_path / "out.raw"
        processes.run(["qemu-img", "convert", "-U", "-O", "raw", overlay, out])
        return out.read_bytes()[512]

    for number in (1, 2):
        source.start(instance, FIRST)
        eventually(lambda number=number: boots() == number, 60)
        source.stop(instance, FIRST)
    assert "virtual size: 2 MiB" in processes.run(["qemu-img", "info", overlay])


# on from memory
def test_saved_copied_and_resumed(pair: KvmPair, instance: Instance) -> None:
    """Where it cannot move live it stands still meanwhile, and goes on with its memory."""
    source, target = with_options(pair.source, migration="saved"), pair.target
    run_at(pair, source, instance, FIRST, counted=3)
    assert pair.ask(source, instance, "/memory?remember", timeout_s=pair.patience_s) == "remember"
    handed_over(pair, instance, SECOND)
    for each in (source, with_options(pair.source, migration="saved")):
        each.migrate(instance, target, SECOND)
        assert each.look(instance).power is Power.ABSENT
        assert target.look(instance).power is Power.RUNNING
    assert eventually(lambda: pair.ask(target, instance, "/memory"), pair.patience_s) == "remember"
    assert pair.ask(target, instance, "/next", timeout_s=pair.patience_s) == "4"
    left = [name for name in target.pool.names() if name.endswith((".saved", ".used"))]
    assert left == []
    source.remove(instance, SECOND)
    assert source.look(instance) == Seen(instance.name)


def test_saved_where_live_is_impossible(pair: KvmPair, instance: Instance) -> None:
    """The source's libvirt does not get to the target's, the driver gets to both."""
    target = with_options(pair.target, migrate_uri="qemu+unix:///system?socket=/nowhere")
    run_at(pair, pair.source, instance, FIRST, counted=1)
    assert pair.ask(pair.source, instance, "/memory?kept", timeout_s=pair.patience_s) == "kept"
    handed_over(pair, instance, SECOND)
    with pytest.raises(HypervisorError, match="nowhere") as caught:
        with_options(pair.source, migration="live").migrate(instance, target, SECOND)
    assert caught.value.gateway == pair.source.gateway
    assert pair.source.look(instance).power is Power.RUNNING
    pair.source.migrate(instance, target, SECOND)
    assert eventually(lambda: pair.ask(target, instance, "/memory"), pair.patience_s) == "kept"


def test_saved_and_the_driver_dies(pair: KvmPair, instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off at each of its steps: asked again it goes on, and asked to resume at the source it goes on there."""
    from meghdwar.driver.kvm import migration

    class Dead(BaseException):
        pass

    def die(*_: object) -> None:
        raise Dead

    source, target = with_options(pair.source, migration="saved"), pair.target
    run_at(pair, source, instance, FIRST, counted=2)
    assert pair.ask(source, instance, "/memory?kept", timeout_s=pair.patience_s) == "kept"
    handed_over(pair, instance, SECOND)
    with monkeypatch.context() as patched:
        patched.setattr(migration, "_send_saved", die)
        with pytest.raises(Dead):
            source.migrate(instance, target, SECOND)
    assert source.look(instance).power is Power.PAUSED
    source.hold(instance, SECOND, writer=True)
    source.resume(instance, SECOND)
    assert eventually(lambda: pair.ask(source, instance, "/memory"), pair.patience_s) == "kept"
    source.hold(instance, SECOND, writer=False)
    with monkeypatch.context() as patched:
        patched.setattr(migration, "restored", die)
        with pytest.raises(Dead):
            source.migrate(instance, target, SECOND)
    assert pair.ask(target, instance, "/n") is None
    source.migrate(instance, target, SECOND)
    assert eventually(lambda: pair.ask(target, instance, "/memory"), pair.patience_s) == "kept"
    assert pair.ask(target, instance, "/next", timeout_s=pair.patience_s) == "3"


def test_an_old_memory_is_never_used(pair: KvmPair, instance: Instance) -> None:
    """One that was saved by somebody past the driver is older than the disks may be."""
    run_at(pair, pair.source, instance, FIRST, counted=2)
    pair.ask(pair.source, instance, "/memory?old", timeout_s=pair.patience_s)
    libvirtd.virsh(pair.state, pair.source.gateway, "managedsave", instance.name)
    pair.source.start(instance, FIRST)
    assert eventually(lambda: pair.ask(pair.source, instance, "/n"), pair.patience_s) == "2"
    assert pair.ask(pair.source, instance, "/memory", timeout_s=pair.patience_s) == ""


def test_what_it_writes_all_the_time_is_whole(pair: KvmPair, instance: Instance) -> None:
    """An emulated guest whose memory goes over while it runs comes out of it with pages that are too old."""
    run_at(pair, pair.source, instance, FIRST, counted=1)
    handed_over(pair, instance, SECOND)
    assert pair.ask(pair.source, instance, "/busy", timeout_s=pair.patience_s) == "0"
    # little of its memory a second: all of it, and then what was written meanwhile, and so on
    libvirtd.virsh(pair.state, pair.source.gateway, "migrate-setspeed", instance.name, "16")
    pair.source.migrate(instance, pair.target, SECOND)
    assert eventually(lambda: pair.ask(pair.target, instance, "/busy"), pair.patience_s) == "0"
    assert pair.ask(pair.target, instance, "/next", timeout_s=pair.patience_s) == "2"


# moves that are cut off
def later(what: Callable[[], object]) -> tuple[threading.Thread, list[BaseException]]:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            what()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, errors


def patiently(what: Callable[[], object], within_s: float = 120.0) -> None:
    """As the driver does: what says that asking again can help is asked again."""
    end = time.monotonic() + within_s
    while True:
        try:
            what()
            return
        except HypervisorError as error:
            if not error.retry or time.monotonic() > end:
                raise
            time.sleep(0.5)


def under_way(at: Kvm, instance: Instance) -> bool:
    return bool(at.connection.job(at.connection.domain(instance.name)).get("out"))


@pytest.fixture
def slow(pair: KvmPair, instance: Instance) -> Instance:
    """Its move takes some seconds: it has more to carry."""
    return replace(instance, disks=(Disk(f"{instance.name}-data", 200 * 2**20, "/data"),))


def filled(pair: KvmPair, instance: Instance) -> None:
    run_at(pair, pair.source, instance, FIRST, counted=2)
    volume = libvirtd.pool(pair.state, pair.source.gateway) / f"{instance.name}.{instance.disks[0].name}.raw"
    with open(volume, "r+b") as file:  # in the last part, which the small file system in front does not use yet
        file.seek(190 * 2**20)
    assert pair.ask(pair.source, instance, "/memory?kept", timeout_s=pair.patience_s) == "kept"
    libvirtd.virsh(pair.state, pair.source.gateway, "migrate-setspeed", instance.name, "20")


@pytest.mark.parametrize("newcomer", ["goes on", "goes back"])
def test_a_driver_dies_in_the_middle(pair: KvmPair, slow: Instance, newcomer: str) -> None:
    """libvirt goes on without it; whoever comes next finds out where it is."""
    filled(pair, slow)
    handed_over(pair, slow, SECOND)
    script = (
        "import pickle, sys\n"
        "from meghdwar.driver.kvm import Kvm\n"
        "from meghdwar.driver.hypervisor import Unbounded\n"
        "one, two, instance = pickle.load(sys.stdin.buffer)\n"
        "Kvm(one).migrate(instance, Kvm(two), Unbounded(2))\n"
    )
    import pickle

    driver = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
    assert driver.stdin
    driver.stdin.write(pickle.dumps((*pair.accesses, slow)))
    driver.stdin.close()
    eventually(lambda: under_way(pair.source, slow), 60)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    claim = SECOND
    if newcomer == "goes back":
        pair.target.hold(slow, THIRD, writer=False)
        pair.source.hold(slow, THIRD, writer=True)
        assert not under_way(pair.source, slow), "a newer epoch ends what an older one began"
        pair.target.migrate(slow, pair.source, THIRD)
        here, there = pair.source, pair.target
    else:
        pair.source.migrate(slow, pair.target, claim)
        here, there = pair.target, pair.source
    assert here.look(slow).power is Power.RUNNING
    assert there.look(slow).power is Power.ABSENT
    assert eventually(lambda: pair.ask(here, slow, "/memory"), pair.patience_s) == "kept"
    assert pair.ask(here, slow, "/next", timeout_s=pair.patience_s) == "3"


def test_a_lease_that_lapses_in_the_middle(pair: KvmPair, slow: Instance) -> None:
    class Lapsing:
        epoch = 2

        def check(self) -> None:
            if under_way(pair.source, slow):
                raise Stale("the lease has run out")

    filled(pair, slow)
    handed_over(pair, slow, SECOND)
    with pytest.raises(Stale):
        pair.source.migrate(slow, pair.target, Lapsing())
    eventually(lambda: not under_way(pair.source, slow), 60)
    assert pair.source.look(slow).power is Power.RUNNING
    assert pair.ask(pair.source, slow, "/next", timeout_s=pair.patience_s) == "3"


def test_the_targets_libvirt_dies_in_the_middle(pair: KvmPair, slow: Instance) -> None:
    filled(pair, slow)
    handed_over(pair, slow, SECOND)
    thread, errors = later(lambda: pair.source.migrate(slow, pair.target, SECOND))
    eventually(lambda: under_way(pair.source, slow), 60)
    libvirtd.kill(pair.state, pair.target.gateway)
    libvirtd.up(pair.state)
    thread.join(180)
    assert isinstance(errors[0], HypervisorError)
    assert errors[0].retry
    libvirtd.virsh(pair.state, pair.source.gateway, "migrate-setspeed", slow.name, "1000", check=False)
    assert pair.ask(pair.source, slow, "/next", timeout_s=pair.patience_s) == "3"
    patiently(lambda: pair.source.migrate(slow, pair.target, SECOND))  # what arrived by half may be long in dying
    assert eventually(lambda: pair.ask(pair.target, slow, "/memory"), pair.patience_s) == "kept"
    assert pair.ask(pair.target, slow, "/next", timeout_s=pair.patience_s) == "4"


def test_a_target_that_cannot_be_reached_is_as_it_was(pair: KvmPair, instance: Instance) -> None:
    source = with_options(pair.source, migration="live")
    target = with_options(pair.target, migrate_data="tcp://203.0.113.1")
    run_at(pair, source, instance, FIRST, counted=1)
    handed_over(pair, instance, SECOND)
    before = target.look(instance)
    with pytest.raises(HypervisorError) as caught:
        source.migrate(instance, target, SECOND)
    assert caught.value.retry
    assert target.look(instance) == before
    assert pair.ask(source, instance, "/next", timeout_s=pair.patience_s) == "2"


def test_through_unix_sockets_there_and_back(pair: KvmPair, instance: Instance, tmp_path: Path) -> None:
    """Both gateways on one machine; twice each way, since a port or socket that stays fails the second time."""
    sides = [with_options(each, migrate_data=f"unix://{tmp_path}") for each in (pair.source, pair.target)]
    run_at(pair, sides[0], instance, FIRST, counted=1)
    for epoch in (2, 3, 4, 5):
        sides[1].hold(instance, Unbounded(epoch), writer=True)
        sides[0].hold(instance, Unbounded(epoch), writer=False)
        sides[0].migrate(instance, sides[1], Unbounded(epoch))
        sides[0].remove(instance, Unbounded(epoch))
        sides.reverse()
        eventually(lambda: pair.ask(sides[0], instance, "/n"), pair.patience_s)
        assert pair.ask(sides[0], instance, "/next", timeout_s=pair.patience_s) == str(epoch)
    log = pair.log(sides[0], instance)
    assert numbers(log) == [1, 2, 3, 4, 5]


# gateways
def test_a_domain_of_somebody_else(pair: KvmPair, instance: Instance, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.xml"
    foreign.write_text(
        f"<domain type='qemu'><name>{instance.name}</name><memory unit='MiB'>16</memory>"
        "<os><type arch='x86_64' machine='pc'>hvm</type></os></domain>"
    )
    libvirtd.virsh(pair.state, pair.source.gateway, "define", str(foreign))
    assert pair.source.look(instance) == Seen(instance.name)
    assert instance.name not in [seen.name for seen in pair.source.inventory()]
    pair.source.hold(instance, FIRST, writer=True)
    for act in (pair.source.define, pair.source.start, pair.source.stop, pair.source.pause, pair.source.remove):
        with pytest.raises(Refused, match="not Meghdwar's"):
            act(instance, FIRST)
    assert instance.name in libvirtd.virsh(pair.state, pair.source.gateway, "list", "--all", "--name").split()


def test_checkpoints_do_not_keep_it(pair: KvmPair, with_overlay: Instance) -> None:
    """undefine says no where there are checkpoints, unless it is told that they go as well."""
    pair.source.hold(with_overlay, FIRST, writer=True)
    pair.source.define(with_overlay, FIRST)
    pair.source.start(with_overlay, FIRST)
    libvirtd.virsh(pair.state, pair.source.gateway, "checkpoint-create-as", with_overlay.name, "one")
    pair.source.remove(with_overlay, FIRST)
    assert pair.source.look(with_overlay) == Seen(with_overlay.name)


def test_a_libvirt_that_hangs(pair: KvmPair, instance: Instance) -> None:
    access = replace(pair.source.access, timeout_s=1.0)
    hanging = Kvm(access)
    hanging.look(instance)
    pid = processes.alive(libvirtd.folder(pair.state, pair.source.gateway) / "pid")
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(Unreachable, match="no answer within 1 s"):
            hanging.look(instance)
        with pytest.raises(Unreachable):
            Kvm(access).look(instance)
        assert time.monotonic() - began < 30
        assert [finding.level for finding in hanging.doctor()] == ["bad"]
    finally:
        os.kill(pid, signal.SIGCONT)
    assert eventually(lambda: hanging.look(instance), 30) == Seen(instance.name)


def test_a_libvirt_that_comes_back(pair: KvmPair, instance: Instance) -> None:
    """Its guests go on without it, and so does everybody who spoke to it."""
    run_at(pair, pair.source, instance, FIRST, counted=1)
    libvirtd.kill(pair.state, pair.source.gateway)
    with pytest.raises(Unreachable):
        pair.source.look(instance)
    assert pair.ask(pair.source, instance, "/next", timeout_s=pair.patience_s) == "2"
    libvirtd.up(pair.state)
    assert pair.source.look(instance).power is Power.RUNNING


def test_a_full_pool(pair: KvmPair, instance: Instance) -> None:
    daemon = str(processes.alive(libvirtd.folder(pair.state, pair.target.gateway) / "pid"))
    inside = ["nsenter", "-t", daemon, "--mount"]
    processes.run([*inside, "mkdir", "-p", "/var/lib/libvirt/small"])
    processes.run([*inside, "mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", "/var/lib/libvirt/small"])
    target = with_options(pair.target, pool="small", pool_path="/var/lib/libvirt/small")
    try:
        target.hold(instance, FIRST)
        target.define(instance, FIRST)
        large = replace(instance, disks=(Disk("large", 64 * 2**20, "/data"),))
        pair.source.hold(large, FIRST)
        pair.source.make_disk(large, large.disks[0], FIRST)
        volume = libvirtd.pool(pair.state, pair.source.gateway) / f"{large.name}.large.raw"
        with open(volume, "r+b") as file:
            file.write(os.urandom(32 * 2**20))
        with pytest.raises(Full, match="room"):
            target.copy_disk(large, large.disks[0], pair.source, FIRST)
        target.remove(large, FIRST)
        assert target.look(large) == Seen(large.name)
    finally:
        for words in (("pool-destroy", "small"), ("pool-undefine", "small")):
            libvirtd.virsh(pair.state, pair.target.gateway, *words, check=False)
        processes.run([*inside, "umount", "-l", "/var/lib/libvirt/small"], check=False)


def test_a_pool_without_direct_io(pair: KvmPair, instance: Instance) -> None:
    """Doctor says so beforehand, and no image is brought where no guest could have its disks."""
    place = "/var/lib/libvirt/indirect"
    daemon = processes.alive(libvirtd.folder(pair.state, pair.source.gateway) / "pid")
    inside = ["nsenter", "-t", str(daemon), "-m", "sh", "-c"]
    processes.run([*inside, f"mkdir -p {place} && mount -t ramfs none {place}"])
    access = pair.accesses[0]
    poor = Kvm(replace(access, options={**access.options, "pool": "indirect", "pool_path": place}))
    try:
        assert "clock" not in {each.check for each in poor.doctor()}
        poor.hold(instance, FIRST, writer=True)
        with pytest.raises(HypervisorError, match=r"file system without direct I/O.*name another with the option pool"):
            poor.define(instance, FIRST)
        found = {each.check: each for each in poor.doctor([instance.image])}
        assert (found["direct"].level, found["clock"].level) == ("bad", "good")
        assert "put it on ext4, XFS or Btrfs" in found["direct"].help
        assert [name for name in poor.pool.names() if not name.startswith(instance.name)] == []
    finally:
        for act in ("pool-destroy", "pool-undefine"):
            libvirtd.virsh(pair.state, pair.source.gateway, act, "indirect", check=False)
        processes.run([*inside, f"umount {place} && rmdir {place}"], check=False)
        poor.close()


def test_what_really_boots(pair: KvmPair, instance: Instance) -> None:
    """Tried once, remembered by the gateway, and said by its doctor."""
    pair.source.hold(instance, FIRST)
    pair.source.define(instance, FIRST)
    virt = pair.source.machine.virt
    xml = libvirtd.virsh(pair.state, pair.source.gateway, "dumpxml", instance.name)
    assert f"<domain type='{virt}'>" in xml
    tried = [name for name in pair.source.pool.names() if name.startswith("_boots.")]
    assert [name.split(".")[1] for name in tried] == [virt]
    found = list(pair.source.doctor())
    assert [each.level for each in found if each.check in ("direct", "clock")] == ["good", "good"]
    (finding,) = (each for each in found if each.check == "virtualization")
    assert f"with {virt}" in finding.message
    other = with_options(pair.source, virt="nonsense")
    assert [each.level for each in other.doctor() if each.check == "virtualization"] == ["bad"]
