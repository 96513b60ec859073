"""The traps of a real LXD, each with the way round it, and what one may do to the gateways."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest

from meghdwar.driver.hypervisor import (
    Copied,
    Full,
    Hypervisor,
    HypervisorError,
    Power,
    Refused,
    Seen,
    Stale,
    Unbounded,
    Unreachable,
)
from meghdwar.driver.instance import Disk, Instance
from meghdwar.model import Ready
from tests.contract.gateways import NAMES
from tests.contract.pairs import MissingError, eventually
from tests.contract.scenes import count, counted, made, running

pytest.importorskip("pylxd", reason="pylxd is not installed: pip install -e '.[lxd]'")

from meghdwar.driver.lxd import Lxd
from meghdwar.driver.lxd_api import Api
from tests.hypervisors import lxd, network, processes
from tests.hypervisors.lxd_pair import LxdPair
from tests.hypervisors.lxd_pair import pair as make_pair

pytestmark = pytest.mark.real
FIRST, SECOND = Unbounded(1), Unbounded(2)
MIB = 2**20


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[LxdPair]:
    if "lxd" not in request.config.getoption("--real").split(","):
        pytest.skip("lxd: left out by --real")
    try:
        made_pair = make_pair(tmp_path_factory.mktemp("lxd"))
    except MissingError as error:
        pytest.skip(f"lxd: {error}")
    yield made_pair
    made_pair.close()


@pytest.fixture
def pair(gateways: LxdPair) -> Iterator[LxdPair]:
    yield gateways
    for gateway in network.GATEWAYS:
        lxd.start(gateways.state, gateways.lab, gateway)
        lxd.wait_ready(gateways.state, gateway)
    gateways.clean()


@pytest.fixture
def name() -> str:
    return next(NAMES)


def inside(pair: LxdPair, hypervisor: Hypervisor, instance: Instance, script: str) -> str:
    return lxd.lxc(pair.state, hypervisor.gateway, "exec", instance.name, "--", "sh", "-c", script)


def moved(pair: LxdPair, instance: Instance, *, source: Hypervisor, target: Hypervisor, epoch: int) -> None:
    """A move by hand: copied while it runs, paused, copied, attached to what runs already."""
    claim, [disk] = Unbounded(epoch), instance.disks
    target.hold(instance, claim, writer=False)
    target.define(instance, claim)
    target.copy_disk(instance, disk, source, claim)
    target.start(instance, claim)
    source.hold(instance, claim, writer=False)
    source.pause(instance, claim)
    assert target.copy_disk(instance, disk, source, claim, final=True).proof
    target.hold(instance, claim, writer=True)
    target.attach(instance, disk, claim)
    eventually(lambda: target.probe(instance), pair.patience_s)
    source.remove(instance, claim)


# pausing
def test_paused_in_the_middle_of_everything(pair: LxdPair, name: str) -> None:
    """Requests come all the time, so that processes are begun, write and end while they are being stopped."""
    instance = pair.instance(name)
    running(pair, pair.source, instance, FIRST)
    over = Event()

    def ask() -> None:
        while not over.is_set():
            pair.ask(pair.source, instance, "/next", timeout_s=0.3)

    askers = [Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    before: list[str] = []
    try:
        for _ in range(10):
            eventually(lambda: len(pair.log(pair.source, instance)) > len(before), 30)  # noqa: B023
            assert pair.source.pause(instance, FIRST) == "signals"
            before = pair.log(pair.source, instance)
            time.sleep(0.05)
            assert pair.log(pair.source, instance) == before
            assert pair.source.look(instance).power is Power.PAUSED
            pair.source.resume(instance, FIRST)
    finally:
        over.set()
        for asker in askers:
            asker.join()


def test_paused_while_a_file_is_open_for_writing(pair: LxdPair, name: str) -> None:
    """The disk cannot become read-only then, and nothing gets through all the same, a newcomer neither."""
    instance = pair.instance(name)
    running(pair, pair.source, instance, FIRST, counted=2)
    inside(pair, pair.source, instance, "sh -c 'while :; do echo x; done' >>/data/stream 2>/dev/null </dev/null &")
    stream = pair.log_file(pair.source, instance).with_name("stream")
    eventually(lambda: stream.exists() and stream.stat().st_size > 1000, 30)
    assert pair.source.pause(instance, FIRST) == "signals"
    before = stream.stat().st_size
    time.sleep(0.1)
    assert stream.stat().st_size == before
    with pytest.raises(RuntimeError, match="Read-only"):
        inside(pair, pair.source, instance, "echo late >>/data/stream")
    pair.source.resume(instance, FIRST)
    eventually(lambda: stream.stat().st_size > before, 30)
    count(pair, pair.source, instance, 3, 3)


def test_quiesced(pair: LxdPair, name: str) -> None:
    instance = pair.instance(name, quiesce=("sh", "-c", "echo quiet >/data/quiet"))
    running(pair, pair.source, instance, FIRST, counted=1)
    assert pair.source.pause(instance, FIRST) == "quiesce"
    assert pair.log_file(pair.source, instance).with_name("quiet").read_text() == "quiet\n"
    assert pair.source.pause(instance, FIRST) in ("quiesce", "freeze"), "again, where its command cannot write any more"


def test_what_is_written_after_the_snapshot_made_ahead_arrives(pair: LxdPair, name: str) -> None:
    """The last things that an application writes are those that its quiesce command makes it write."""
    instance = pair.instance(name, quiesce=("sh", "-c", "echo last >/data/last"))
    [disk] = instance.disks
    running(pair, pair.source, instance, FIRST, counted=3)
    made(pair.target, instance, SECOND, writer=False)
    pair.target.copy_disk(instance, disk, pair.source, SECOND)
    before = snapshots(pair, "edge-1", disk)
    pair.source.hold(instance, SECOND)
    assert pair.source.pause(instance, SECOND) == "quiesce"
    [ahead] = snapshots(pair, "edge-1", disk) - before
    for turn in range(2):  # the second has to make its own
        assert (ahead in pair.target.copy_disk(instance, disk, pair.source, SECOND, final=True).proof) is (turn == 0)
        assert pair.log_file(pair.target, instance).with_name("last").read_text() == "last\n"
        counted(pair, pair.target, instance, 3)


def test_who_sends_dies_in_the_last_stream(pair: LxdPair, name: str) -> None:
    """What came after the snapshot is no copy without its very end: that is noticed, and everything is sent."""
    instance = pair.instance(name, quiesce=("dd", "if=/dev/urandom", "of=/data/much", "bs=1M", "count=120"))
    [disk] = instance.disks
    running(pair, pair.source, instance, FIRST, counted=3)
    made(pair.target, instance, SECOND, writer=False)
    pair.target.copy_disk(instance, disk, pair.source, SECOND)
    pair.source.hold(instance, SECOND)
    assert pair.source.pause(instance, SECOND) == "quiesce"
    with ThreadPoolExecutor(1) as thread:
        copying = thread.submit(pair.target.copy_disk, instance, disk, pair.source, SECOND, final=True)
        sender = eventually(lambda: sending(pair, "edge-1"), 30, every_s=0.002)
        os.kill(sender, signal.SIGKILL)
        assert copying.result(60).proof
    here, there = (pair.log_file(each, instance).with_name("much") for each in (pair.source, pair.target))
    assert here.read_bytes() == there.read_bytes()
    counted(pair, pair.target, instance, 3)


def sending(pair: LxdPair, gateway: str) -> int | None:
    """The process that sends the volume itself, after its snapshots. It does not live long, so only the children of
    the daemon are looked at."""
    daemon = processes.alive(lxd.folder(pair.state, gateway) / "lxd.pid")
    for thread in Path(f"/proc/{daemon}/task").iterdir():
        with suppress(OSError):
            for child in (thread / "children").read_text().split():
                words = Path("/proc", child, "cmdline").read_bytes().split(b"\0")
                if words[:2] == [b"btrfs", b"send"] and words[-2].endswith(b"/.migration-send"):
                    return int(child)
    return None


def snapshots(pair: LxdPair, gateway: str, disk: Disk) -> set[str]:
    listed = lxd.lxc(pair.state, gateway, "query", f"/1.0/storage-pools/default/volumes/custom/{disk.name}/snapshots")
    return set(re.findall(r"mdw-[0-9-]+", listed))


def test_quiesce_that_fails(pair: LxdPair, name: str) -> None:
    instance = pair.instance(name, quiesce=("false",))
    running(pair, pair.source, instance, FIRST, counted=1)
    for _ in range(2):
        assert pair.source.pause(instance, FIRST) == "freeze"
        assert pair.source.look(instance).power is Power.PAUSED
    pair.source.resume(instance, FIRST)
    count(pair, pair.source, instance, 2, 2)
    pair.source.pause(instance, FIRST)
    pair.source.stop(instance, FIRST)
    assert pair.source.look(instance).power is Power.STOPPED


def test_paused_outlives_the_daemon(pair: LxdPair, name: str) -> None:
    instance = pair.instance(name)
    running(pair, pair.source, instance, FIRST, counted=1)
    pair.source.pause(instance, FIRST)
    restart(pair, pair.source)
    assert pair.source.look(instance).power is Power.PAUSED
    pair.source.resume(instance, FIRST)
    count(pair, pair.source, instance, 2, 2)


def test_nothing_starts_by_itself(pair: LxdPair, name: str) -> None:
    """As after a power cut: daemon and containers are gone at once, and the daemon comes back."""
    instance = pair.instance(name)
    running(pair, pair.source, instance, FIRST, counted=3)
    holder = processes.alive(lxd.folder(pair.state, "edge-1") / "holder.pid")
    everything = set(processes.within(os.readlink(f"/proc/{holder}/ns/mnt"))) - {holder}
    lxd.kill(pair.state, "edge-1")
    for pid in everything:
        with_no_one_there(pid)
    restart(pair, pair.source)
    assert pair.source.look(instance).power is Power.STOPPED
    counted(pair, pair.source, instance, 3)


def with_no_one_there(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def restart(pair: LxdPair, hypervisor: Hypervisor) -> None:
    lxd.kill(pair.state, hypervisor.gateway)
    lxd.start(pair.state, pair.lab, hypervisor.gateway)
    lxd.wait_ready(pair.state, hypervisor.gateway)


# state
def test_many_rounds_stay_short(pair: LxdPair, name: str) -> None:
    """The tenth snapshot and the hundredth still have what they follow: their names are sorted as texts."""
    instance, disk = pair.instance(name), pair.instance(name).disks[0]
    running(pair, pair.source, instance, FIRST, counted=1)
    pair.ask(pair.source, instance, "/fill?20000000", timeout_s=10)
    made(pair.target, instance, SECOND, writer=False)
    sent = [pair.target.copy_disk(instance, disk, pair.source, SECOND).sent_bytes for _ in range(12)]
    assert sent[0] > 20_000_000
    assert max(sent[1:]) < MIB
    snapshots = lxd.lxc(
        pair.state, "edge-2", "query", f"/1.0/storage-pools/default/volumes/custom/{disk.name}/snapshots"
    )
    assert snapshots.count("mdw-") == 1, "old ones cost time at each copy"


def test_files_keep_their_owners(pair: LxdPair, name: str) -> None:
    instance = pair.instance(name)
    running(pair, pair.source, instance, FIRST, counted=1)
    inside(pair, pair.source, instance, "echo mine >/data/mine && chown 1000:1001 /data/mine && chmod 640 /data/mine")
    for epoch, (source, target) in enumerate([(pair.source, pair.target), (pair.target, pair.source)], 2):
        moved(pair, instance, source=source, target=target, epoch=epoch)
        assert inside(pair, target, instance, "stat -c '%u %g %a' /data/mine /data/log").split("\n")[:2] == [
            "1000 1001 640",
            "0 0 644",
        ]
    count(pair, pair.source, instance, 2, 3)


def await_half(pair: LxdPair, copying: Future[Copied], before: set[Path]) -> None:
    """Some of the 300 MB have come, and some have not: what comes is put into a folder that is gone afterwards."""
    eventually(lambda: copying.done() or receiving(pair) - before, 30, every_s=0.005)
    time.sleep(0.15)
    assert not copying.done()


def receiving(pair: LxdPair) -> set[Path]:
    return set((lxd.pools(pair.state, "edge-2") / "default").glob("custom*/**/migration.*"))


def test_the_target_dies_in_the_middle_of_a_copy(pair: LxdPair, name: str) -> None:
    """LXD then has the volume in its database and not on storage: refreshing it fails, and so does making it."""
    big = Disk(f"{name}-saves", 700 * MIB, "/data")
    instance = pair.instance(name, disks=(big,))
    running(pair, pair.source, instance, FIRST, counted=4)
    pair.ask(pair.source, instance, "/fill?300000000", timeout_s=30)
    pair.target.hold(instance, SECOND)
    listing = ("storage", "volume", "list", "default", "--format", "csv")
    with ThreadPoolExecutor(1) as thread:
        copying = thread.submit(pair.target.copy_disk, instance, big, pair.source, SECOND)
        eventually(lambda: copying.done() or big.name in lxd.lxc(pair.state, "edge-2", *listing), 30)
        lxd.kill(pair.state, "edge-2")
        with pytest.raises(Unreachable) as caught:
            copying.result(60)
        assert caught.value.retry
    restart(pair, pair.target)
    assert big.name in lxd.lxc(pair.state, "edge-2", *listing), "what is tested has happened"
    assert pair.target.look(instance).disks == ()
    pair.target.copy_disk(instance, big, pair.source, SECOND)
    assert pair.target.look(instance).disks == (big.name,)
    counted(pair, pair.target, instance, 4)


def test_a_new_epoch_waits_for_the_copy_of_an_older_one(pair: LxdPair, name: str) -> None:
    """Its driver is as good as dead: it does not wait for the copy that it began."""
    instance = pair.instance(name)
    [disk] = instance.disks
    running(pair, pair.source, instance, FIRST)
    inside(pair, pair.source, instance, "dd if=/dev/urandom of=/data/much bs=1M count=120 && sync")
    pair.target.hold(instance, FIRST, writer=False)
    pair.target.define(instance, FIRST)
    before = receiving(pair)
    with ThreadPoolExecutor() as pool:
        copying = pool.submit(pair.target.copy_disk, instance, disk, pair.source, FIRST)
        await_half(pair, copying, before)
        newer = pair.again(pair.target)
        newer.hold(instance, SECOND, writer=False)
        api = Api(pair.access(newer))
        assert api._under_way({disk.name, instance.name}, "look") == []
        with suppress(HypervisorError, Stale):
            copying.result()
    newer.remove(instance, SECOND)
    assert newer.look(instance) == Seen(instance.name)


@pytest.mark.parametrize("who", ["source", "target"])
def test_somebody_dies_in_the_middle_of_a_refresh(pair: LxdPair, name: str, who: str) -> None:
    """The copy that was there stays as it was: it may be the last that anybody has."""
    big = Disk(f"{name}-saves", 900 * MIB, "/data")
    instance = pair.instance(name, disks=(big,))
    running(pair, pair.source, instance, FIRST, counted=4)
    pair.target.hold(instance, SECOND)
    pair.target.copy_disk(instance, big, pair.source, SECOND)
    copied = pair.log(pair.target, instance)
    count(pair, pair.source, instance, 5, 6)
    pair.ask(pair.source, instance, "/fill?300000000", timeout_s=30)
    dying = pair.source if who == "source" else pair.target
    before = receiving(pair)
    with ThreadPoolExecutor(1) as thread:
        copying = thread.submit(pair.target.copy_disk, instance, big, pair.source, SECOND)
        await_half(pair, copying, before)
        lxd.kill(pair.state, dying.gateway)
        with pytest.raises(HypervisorError):
            copying.result(60)
    restart(pair, dying)
    assert pair.target.look(instance).disks == (big.name,)
    assert pair.again(pair.target).inventory()[0].disks == (big.name,)
    if who == "source":  # and it does not come back: an operator says so
        pair.target.hold(instance, SECOND, writer=True)
        pair.target.define(instance, SECOND)
        pair.target.attach(instance, big, SECOND)
        assert copied == pair.log(pair.target, instance)
        pair.target.start(instance, SECOND)
        eventually(lambda: pair.target.probe(instance), pair.patience_s)
        count(pair, pair.target, instance, 5, 5)
    else:
        assert copied == pair.log(pair.target, instance)
        pair.target.copy_disk(instance, big, pair.source, SECOND)
        counted(pair, pair.target, instance, 6)


def test_the_target_dies_at_the_end_of_a_refresh(pair: LxdPair, name: str) -> None:
    """LXD deletes the old volume before it gives the new one its name; between the two there is none on storage."""
    instance, disk = pair.instance(name), pair.instance(name).disks[0]
    running(pair, pair.source, instance, FIRST, counted=4)
    made(pair.target, instance, SECOND, writer=False)
    pair.target.start(instance, SECOND)
    pair.target.copy_disk(instance, disk, pair.source, SECOND)
    volume = f"/var/lib/lxd/storage-pools/default/custom/default_{disk.name}"
    processes.run([*lxd.inside(pair.state, "edge-2"), "btrfs", "subvolume", "delete", volume])
    path = f"/1.0/storage-pools/default/volumes/custom/{disk.name}"  # as it stands while a refresh goes on
    begun = '{"config": {"user.meghdwar.whole": "false"}}'
    lxd.lxc(pair.state, "edge-2", "query", "-X", "PATCH", "-d", begun, path)
    assert pair.target.look(instance).disks == (disk.name,)
    pair.target.hold(instance, SECOND, writer=True)
    pair.target.attach(instance, disk, SECOND)
    eventually(lambda: pair.target.probe(instance), pair.patience_s)
    count(pair, pair.target, instance, 5, 5)


def test_a_pool_of_folders(pair: LxdPair, name: str) -> None:
    instance, disk = pair.instance(name), pair.instance(name).disks[0]
    plain = Lxd(lxd.access(pair.state, "edge-2", pool="plain"))
    plain.hold(instance, SECOND, writer=True)
    running(pair, pair.source, instance, FIRST, counted=1)
    with pytest.raises(Refused, match="of the kind dir"):
        plain.make_disk(instance, disk, SECOND)
    with pytest.raises(Refused, match="of the kind dir"):
        plain.copy_disk(instance, disk, pair.source, SECOND)
    assert [finding.level for finding in plain.doctor() if finding.check == "pool"] == ["bad"]


def test_a_gateway_that_is_full(pair: LxdPair, name: str) -> None:
    lxd.lxc(pair.state, "edge-2", "storage", "create", "tiny", "btrfs", "size=200MiB")
    try:
        instance = pair.instance(name, disks=(Disk(f"{name}-saves", 600 * MIB, "/data"),))
        [disk] = instance.disks
        running(pair, pair.source, instance, FIRST, counted=1)
        pair.ask(pair.source, instance, "/fill?300000000", timeout_s=30)
        tiny = Lxd(lxd.access(pair.state, "edge-2", pool="tiny"))
        tiny.hold(instance, SECOND)
        with pytest.raises(Full) as caught:
            tiny.copy_disk(instance, disk, pair.source, SECOND)
        assert not caught.value.retry
        assert "warning" in [finding.level for finding in tiny.doctor() if finding.check == "space"]
        count(pair, pair.source, instance, 2, 2)
        tiny.remove(instance, SECOND)
    finally:
        lxd.lxc(pair.state, "edge-2", "storage", "delete", "tiny", check=False)


def test_pushed_where_pulling_is_not_possible(pair: LxdPair, name: str) -> None:
    """Nobody gets into the source from outside, so the source calls the target."""
    instance = pair.instance(name)
    running(pair, pair.source, instance, FIRST, counted=3)
    unix = replace(pair.accesses[0], endpoint=str(lxd.folder(pair.state, "edge-1") / "lib" / "unix.socket"))
    table = "add table ip t; add chain ip t in { type filter hook input priority 0; }; "
    rule = f"add rule ip t in tcp dport {lxd.PORT} reject with tcp reset"
    processes.run(pair.lab.inside("edge-1", "nft", table + rule))
    try:
        moved(pair, instance, source=Lxd(unix), target=pair.target, epoch=2)
    finally:
        processes.run(pair.lab.inside("edge-1", "nft", "delete table ip t"))
    count(pair, pair.target, instance, 4, 5)


def test_by_unix_sockets(pair: LxdPair, name: str) -> None:
    instance = pair.instance(name)
    source, target = (
        Lxd(replace(access, endpoint=str(lxd.folder(pair.state, access.gateway) / "lib" / "unix.socket")))
        for access in pair.accesses
    )
    running(pair, source, instance, FIRST, counted=2)
    moved(pair, instance, source=source, target=target, epoch=2)
    count(pair, target, instance, 3, 4)


# the instance
def test_who_died_over_making_it(pair: LxdPair, name: str) -> None:
    """An instance that was begun and not finished is made again: nobody knows what it lacks."""
    instance = pair.instance(name)
    made(pair.source, instance, FIRST)
    lxd.lxc(pair.state, "edge-1", "config", "device", "remove", name, f"{name}-saves")
    lxd.lxc(pair.state, "edge-1", "config", "unset", name, "user.meghdwar.made")
    lxd.lxc(pair.state, "edge-1", "file", "push", "/etc/hostname", f"{name}/srv/half")
    pair.source.define(instance, FIRST)
    pair.source.start(instance, FIRST)
    assert "half" not in inside(pair, pair.source, instance, "ls /srv")


def test_its_own_command(pair: LxdPair, name: str) -> None:
    """Beside init, once for each start, with its environment; and it is stopped with the rest."""
    script = 'echo "$GREETING" >>/run/said; while :; do sleep 1; done'
    instance = pair.instance(name, command=("sh", "-c", script), environment={"GREETING": "hello world"})
    running(pair, pair.source, instance, FIRST)
    pair.source.start(instance, FIRST)
    said = eventually(lambda: inside(pair, pair.source, instance, "cat /run/said || true") or None, 30)
    assert said == "hello world\n"
    assert pair.source.pause(instance, FIRST) == "signals"
    pair.source.resume(instance, FIRST)
    assert inside(pair, pair.source, instance, "cat /run/said") == "hello world\n"


@pytest.mark.parametrize(
    "ready", [Ready(port=80), Ready(command=("test", "-d", "/srv")), Ready(), Ready(http="/n", port=80)]
)
def test_ready_each_way(pair: LxdPair, name: str, ready: Ready) -> None:
    instance = pair.instance(name, ready=ready)
    running(pair, pair.source, instance, FIRST)
    eventually(lambda: pair.source.probe(instance), 30)
    pair.source.pause(instance, FIRST)
    assert not pair.source.probe(instance)


def test_never_ready(pair: LxdPair, name: str) -> None:
    instance = pair.instance(name, ready=Ready(port=81))
    running(pair, pair.source, instance, FIRST)
    assert not pair.source.probe(instance)
    assert not pair.source.probe(replace(instance, ready=Ready(http="/nothing")))
    assert not pair.source.probe(replace(instance, ready=Ready(command=("false",))))


def test_several_at_once(pair: LxdPair) -> None:
    """One Lxd for each gateway, used by a thread for each instance."""
    instances = [pair.instance(next(NAMES), address=pair.lab.cloudlet(81 + number)) for number in range(3)]

    def live(instance: Instance) -> None:
        running(pair, pair.source, instance, FIRST, counted=2)
        moved(pair, instance, source=pair.source, target=pair.target, epoch=2)
        count(pair, pair.target, instance, 3, 4)
        counted(pair, pair.target, instance, 4)

    with ThreadPoolExecutor(len(instances)) as threads:
        list(threads.map(live, instances))


# the daemon
def test_a_daemon_that_stands_still(pair: LxdPair, name: str) -> None:
    instance = pair.instance(name)
    impatient = Lxd(replace(pair.accesses[0], timeout_s=1.0))
    impatient.look(instance)
    pid = processes.alive(lxd.folder(pair.state, "edge-1") / "lxd.pid")
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(Unreachable, match="no answer in time"):
            impatient.look(instance)
        assert time.monotonic() - began < 30
        findings = list(impatient.doctor())
        assert [finding.level for finding in findings] == ["bad"]
    finally:
        os.kill(pid, signal.SIGCONT)
    impatient.look(instance)


def test_a_daemon_that_was_restarted_meanwhile(pair: LxdPair, name: str) -> None:
    """Connections that were kept are no hindrance."""
    instance = pair.instance(name)
    pair.source.look(instance)
    restart(pair, pair.source)
    for _ in range(3):
        pair.source.look(instance)


def test_who_is_not_trusted(pair: LxdPair, tmp_path: Path, name: str) -> None:
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:secp384r1 -nodes -days 1 -subj /CN=stranger"
    processes.run([*words.split(), "-keyout", tmp_path / "key", "-out", tmp_path / "crt"])
    stranger = Lxd(replace(pair.accesses[0], client_certificate=tmp_path / "crt", client_key=tmp_path / "key"))
    with pytest.raises(HypervisorError, match="trust add") as caught:
        stranger.look(pair.instance(name))
    assert not caught.value.retry
    assert "bad" in [finding.level for finding in stranger.doctor() if finding.check == "trusted"]


def test_in_an_environment_that_wants_other_authorities(
    pair: LxdPair, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
    assert Api(pair.accesses[0]).get("", "see it")["auth"] == "trusted"


def test_up_again_changes_nothing_and_down_leaves_nothing(tmp_path: Path) -> None:
    if os.geteuid() or lxd.missing():
        pytest.skip(f"lxd: that takes root, and {' '.join(lxd.missing())}")
    for _ in range(2):
        lxd.up(tmp_path)
    lab = network.find(tmp_path)
    assert lab is not None
    assert all("https://" in line for line in lxd.status(tmp_path))
    for _ in range(2):
        lxd.down(tmp_path)
        network.down(tmp_path)
    assert lab.tag not in processes.run(["ip", "netns"]) + processes.run(["ip", "link"])
    assert str(tmp_path) not in processes.run(["losetup", "-a"]) + Path("/proc/mounts").read_text()
    assert not (tmp_path / "lxd" / "edge-1").exists()
