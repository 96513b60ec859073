"""The hypervisor `local` among mischief: hostile folders, broken records, processes that do not want to end."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from meghdwar.driver.hypervisor import Access, HypervisorError, Power, Refused, Seen, Stale, Unbounded, Version
from meghdwar.driver.instance import Disk, Files, Instance
from meghdwar.driver.local import Local
from meghdwar.driver.local import process as local_process
from meghdwar.driver.local.folder import Place
from meghdwar.model import Ready
from tests.contract.pairs import eventually

FIRST = Unbounded(1)
DISK = Disk("data", 2**20, "/data")
SLEEP = ("sleep", "600")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gateway").mkdir()
    return tmp_path / "gateway"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images" / "box").mkdir(parents=True)
    script(tmp_path / "images" / "box" / "start", "exec sleep 600")
    return tmp_path / "images"


@pytest.fixture
def local(folder: Path, images: Path) -> Iterator[Local]:
    hypervisor = at(folder, images)
    yield hypervisor
    for name in os.listdir(folder / "instances") if (folder / "instances").is_dir() else ():
        local_process.end(Place(folder / "instances" / name), at_once=True)


def at(folder: Path, images: Path, timeout_s: float = 5.0) -> Local:
    return Local(Access("edge", "local", f"local:{folder}", images=images, timeout_s=timeout_s))


def script(path: Path, text: str, interpreter: str = "/bin/sh") -> None:
    path.write_text(f"#!{interpreter}\n{text}\n")
    path.chmod(0o755)


def box(name: str = "box", **changes: object) -> Instance:
    plain = Instance(name, "test", "box", "container", "box", disks=(DISK,))
    return replace(plain, **changes)  # type: ignore[arg-type]


def made(local: Local, instance: Instance) -> None:
    local.hold(instance, FIRST, writer=True)
    local.define(instance, FIRST)
    for disk in instance.disks:
        local.make_disk(instance, disk, FIRST)
        local.attach(instance, disk, FIRST)


def started(local: Local, instance: Instance) -> None:
    made(local, instance)
    local.start(instance, FIRST)


def place(folder: Path, instance: Instance) -> Place:
    return Place(folder / "instances" / instance.name)


def below(folder: Path, running: bytes = b"") -> list[int]:
    """The processes that have this folder in their command or environment, and those words in their command."""
    found = []
    for each in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{each}/cmdline").read_bytes()
            what = command + Path(f"/proc/{each}/environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in what and running in command and int(each) != os.getpid():
            found.append(int(each))
    return found


# folders
def missing(folder: Path) -> None:
    folder.rmdir()


def a_file(folder: Path) -> None:
    folder.rmdir()
    folder.write_text("x")


def somebody_elses(folder: Path) -> None:
    (folder / "letters").write_text("x")


def a_link_to_nothing(folder: Path) -> None:
    folder.rmdir()
    folder.symlink_to("nothing")


@pytest.mark.parametrize("spoil", [missing, a_file, somebody_elses, a_link_to_nothing])
def test_a_folder_that_is_not_ours(folder: Path, images: Path, spoil: Callable[[Path], None]) -> None:
    spoil(folder)
    before = sorted(folder.parent.rglob("*"))
    local = at(folder, images)
    for ask in (
        lambda: local.look(box()),
        local.inventory,
        lambda: local.hold(box(), FIRST),
        lambda: local.probe(box()),
        lambda: local.endpoint(box()),
        lambda: local.define(box(), FIRST),
    ):
        with pytest.raises(HypervisorError, match=r"^cannot .* at edge: .*gateway") as caught:
            ask()
        assert not caught.value.retry
    assert any(finding.level == "bad" and finding.help for finding in local.doctor())
    assert sorted(folder.parent.rglob("*")) == before


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(folder: Path, images: Path) -> None:
    folder.chmod(0o555)
    with pytest.raises(HypervisorError, match="permission denied"):
        at(folder, images).hold(box(), FIRST)


def test_a_file_in_the_way(folder: Path, local: Local) -> None:
    local.hold(box(), FIRST, writer=True)
    place(folder, box()).disks.write_text("x")
    with pytest.raises(HypervisorError, match="in the way"):
        local.make_disk(box(), DISK, FIRST)


@pytest.mark.parametrize("name", ["../box", "a/b", "", ".hidden", "a\nb"])
def test_names_stay_in_the_folder(local: Local, name: str) -> None:
    with pytest.raises(HypervisorError, match="letters, digits"):
        local.hold(box(name), FIRST)


# records
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"format": 99}',
        b'{"format": 1, "epoch": 1}',
        b'{"format": 1, "epoch": "1", "versions": {}}',
        b'{"format": 1, "epoch": 1, "writer": 1, "versions": {}}',
        b'{"format": 1, "surprise": 1, "versions": {}}',
    ],
)
def test_a_damaged_record(folder: Path, local: Local, text: bytes) -> None:
    """Nobody guesses what was in it: everything is refused, and the message names the file."""
    made(local, box())
    record = place(folder, box()).record
    record.write_bytes(text)
    for ask in (
        lambda: local.look(box()),
        local.inventory,
        lambda: local.hold(box(), Unbounded(9), writer=True),
        lambda: local.start(box(), FIRST),
        lambda: local.remove(box(), FIRST),
    ):
        with pytest.raises(HypervisorError) as caught:
            ask()
        assert str(record) in str(caught.value)
    assert record.read_bytes() == text
    assert any(finding.level == "bad" for finding in local.doctor())


def test_what_a_killed_driver_left_is_swept(folder: Path, local: Local) -> None:
    started(local, box())
    gone = folder / "instances" / ".gone-1-1"
    (gone / "disks" / "data").mkdir(parents=True)
    (folder / "instances" / "half").mkdir()
    (folder / "instances" / "half" / "lock").touch()
    assert [seen.name for seen in local.inventory()] == ["box"]
    local.remove(box(), FIRST)
    assert not gone.exists()
    assert local.inventory() == ()


# processes
def test_what_it_is_given(folder: Path, images: Path, local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    script(images / "box" / "start", 'env >"$MEGHDWAR_ROOT/seen"; pwd >>"$MEGHDWAR_ROOT/seen"; exec sleep 600')
    started(local, box(ports=(8080, 9), environment={"COLOUR": "red", "HOME": "/nowhere", "PORT": "1"}))
    root = place(folder, box()).root

    def written() -> list[str] | None:
        lines = (root / "seen").read_text().splitlines() if (root / "seen").exists() else []
        return lines if str(root) in lines[-1:] else None  # the shell writes one after the other

    seen = dict(line.split("=", 1) for line in eventually(written, 30) if "=" in line)
    assert str(root) == seen["MEGHDWAR_ROOT"] == seen["HOME"]
    assert (seen["MEGHDWAR_NAME"], seen["PORT"], seen["COLOUR"]) == ("box", "8080", "red")
    assert seen["MEGHDWAR_ADDRESS"].startswith("127.")
    assert local.endpoint(box(ports=(8080, 9))) == f"{seen['MEGHDWAR_ADDRESS']}:8080"
    assert seen["PATH"].startswith(str(folder / "images"))
    assert "secret" not in (root / "seen").read_text()


CLOSE = "exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-"
STUBBORN = {
    "a daemon": 'setsid sh -c "trap \\"\\" TERM HUP; while :; do sleep 1; done" & exit',
    "a daemon without environment or descriptors": (
        f'env -i setsid sh -c "{CLOSE}; cd /; trap \\"\\" TERM; while :; do sleep 1; done" & exec sleep 600'
    ),
    "deaf": 'trap "" TERM INT HUP; while :; do sleep 1; done',
    "many": "for i in 1 2 3 4 5 6 7 8 9 10; do setsid sleep 600 & done; wait",
    "a chain": (
        "exec python3 -ISc 'import os, time\nend = time.time() + 20\n"
        "while time.time() < end:\n if os.fork(): os._exit(0)\n os.setsid(); time.sleep(0.001)'"
    ),
}


@pytest.mark.parametrize("how", STUBBORN)
@pytest.mark.parametrize("end", ["stop", "pause", "remove"])
def test_what_does_not_want_to_end(
    folder: Path, images: Path, local: Local, how: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_process, "GRACE_S", 0.3)
    script(images / "box" / "start", STUBBORN[how])
    started(local, box())
    time.sleep(0.1)
    assert local.look(box()).power is Power.RUNNING
    mine = set(below(folder)) | descendants(folder)
    assert mine
    began = time.monotonic()
    getattr(local, end)(box(), FIRST)
    took_s = time.monotonic() - began
    assert local.look(box()).power in (Power.STOPPED, Power.PAUSED, Power.ABSENT)
    assert [pid for pid in mine | set(below(folder)) if local_process.started(pid)] == []
    assert took_s < 15, "the chain ends by itself after 20 s"


def descendants(folder: Path) -> set[int]:
    """Everything that the launcher is an ancestor of."""
    launchers = set(below(folder, b"local/launcher.py"))
    found, new = set(launchers), set(launchers)
    while new:
        new = {int(each) for each in filter(str.isdigit, os.listdir("/proc")) if parent(int(each)) in new} - found
        found |= new
    return found


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def launcher(folder: Path) -> int:
    return int(place(folder, box()).alive.read_text().split()[0])


@pytest.mark.parametrize("what", [signal.SIGKILL, signal.SIGSTOP])
def test_a_launcher_that_is_gone_or_hangs(
    folder: Path, local: Local, what: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its processes are found by what they inherited, and nothing else is started beside them."""
    monkeypatch.setattr(local_process, "GRACE_S", 0.3)
    started(local, box(command=("sh", "-c", "sleep 600 & setsid sleep 600 & wait")))
    time.sleep(0.1)
    mine = set(below(folder))
    os.kill(launcher(folder), what)
    time.sleep(0.1)
    assert local.look(box()).power is Power.RUNNING
    local.start(box(command=SLEEP), FIRST)
    assert set(below(folder)) <= mine
    local.stop(box(), FIRST)
    assert local.look(box()).power is Power.STOPPED
    assert below(folder) == []
    local.start(box(), FIRST)
    assert local.look(box()).power is Power.RUNNING


def test_a_killed_launcher_and_children_that_hold_nothing(folder: Path, local: Local) -> None:
    """They closed the lock that they inherited; their environment tells."""
    started(local, box(command=("sh", "-c", f"{CLOSE}; while :; do sleep 1; done")))
    time.sleep(0.1)
    os.kill(launcher(folder), signal.SIGKILL)
    time.sleep(0.1)
    assert local.look(box()).power is Power.RUNNING
    local.pause(box(), FIRST)
    assert below(folder) == []


def test_after_a_reboot_nothing_runs(folder: Path, local: Local) -> None:
    """What is written down of a process was of another boot: its number may be anybody's now."""
    started(local, box())
    local.stop(box(), FIRST)
    alive = place(folder, box()).alive
    alive.write_text(f"{os.getpid()} {local_process.started(os.getpid())} 00000000-another-boot\n")
    assert local.look(box()).power is Power.STOPPED
    local.stop(box(), FIRST)
    assert local_process.started(os.getpid())


def test_a_number_that_is_somebody_elses_now(folder: Path, local: Local) -> None:
    started(local, box())
    other = os.fork()
    if other == 0:
        time.sleep(60)
        os._exit(0)
    alive = place(folder, box()).alive
    _, start, boot = alive.read_text().split()
    with alive.open("r+") as file:
        file.write(f"{other} {start}0 {boot}\n".ljust(128))
    local.stop(box(), FIRST)
    assert below(folder) == []
    assert os.waitpid(other, os.WNOHANG) == (0, 0), "it was none of ours"
    os.kill(other, signal.SIGKILL)
    os.waitpid(other, 0)


def test_a_command_that_is_not_there(local: Local) -> None:
    made(local, box())
    with pytest.raises(HypervisorError, match="no-such-command: No such file"):
        local.start(box(command=("no-such-command",)), FIRST)
    assert local.look(box()).power is Power.STOPPED
    local.start(box(), FIRST)


def test_an_end_of_its_own(local: Local) -> None:
    started(local, box(command=("true",)))
    eventually(lambda: local.look(box()).power is Power.STOPPED, 5)


def test_what_it_says_is_kept(folder: Path, local: Local) -> None:
    started(local, box(command=("sh", "-c", "echo out; echo err >&2")))
    eventually(lambda: place(folder, box()).output.read_text() == "out\nerr\n", 5)


def test_quiesce(folder: Path, local: Local) -> None:
    """Its own command comes first; when that fails, ending it is enough."""
    instance = box(quiesce=("sh", "-c", 'echo flushed >"$MEGHDWAR_ROOT/data/flushed"'))
    started(local, instance)
    assert local.pause(instance, FIRST) == "quiesce"
    assert (place(folder, box()).disk("data") / "flushed").read_text() == "flushed\n"
    local.resume(instance, FIRST)
    assert local.pause(replace(instance, quiesce=("false",)), FIRST) == "stop"
    assert local.look(instance).power is Power.PAUSED


@pytest.mark.parametrize("way", ["the driver dies", "it does not end"])
def test_a_quiesce_that_goes_on(folder: Path, local: Local, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """It is no child of what runs, and may write as well: it is ended with the rest."""
    monkeypatch.setattr("meghdwar.driver.local.QUIESCE_S", 0.3)
    slow = "sleep 600 & while :; do echo x >>data/late; sleep 0.01; done"
    instance = box(quiesce=("sh", "-c", slow))
    started(local, instance)
    late = place(folder, instance).disk("data") / "late"
    if way == "the driver dies":
        monkeypatch.setattr("meghdwar.driver.local.QUIESCE_S", 600.0)
        pid = forked(lambda: local.pause(instance, FIRST))
        eventually(late.exists, 5)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        instance = replace(instance, quiesce=())
    assert local.pause(instance, FIRST) == "stop"
    assert below(folder) == []
    size = late.stat().st_size
    time.sleep(0.05)
    assert late.stat().st_size == size
    local.resume(instance, FIRST)
    assert local.look(instance).power is Power.RUNNING
    local.stop(instance, FIRST)


def test_probes(local: Local) -> None:
    instance = box(ports=(8081,), ready=Ready(port=8081))
    started(local, instance)
    address = local.endpoint(instance).partition(":")[0]
    assert not local.probe(instance)
    with socket.create_server((address, 8081)):
        assert local.probe(instance)
    assert local.probe(replace(instance, ready=Ready(command=("true",))))
    assert not local.probe(replace(instance, ready=Ready(command=("false",))))
    assert local.probe(replace(instance, ready=Ready()))
    local.stop(instance, FIRST)
    with socket.create_server((address, 8081)):
        assert not local.probe(instance), "somebody else answers there"


def test_another_address_when_its_own_is_taken(local: Local) -> None:
    instance = box(ports=(8082,))
    made(local, instance)
    before = local.endpoint(instance)
    address, _, port = before.partition(":")
    with socket.create_server((address, int(port))):
        local.start(instance, FIRST)
        assert local.endpoint(instance) != before
    local.start(instance, FIRST)
    assert local.endpoint(instance) != before, "not moved while it runs"


def test_addresses_differ(local: Local) -> None:
    names = [f"box-{number}" for number in range(50)]
    for name in names:
        local.hold(box(name), FIRST)
        local.define(box(name, ports=(8083,)), FIRST)
    assert len({local.endpoint(box(name)) for name in names}) == len(names)


# images
def test_an_image_is_brought_once(folder: Path, images: Path, local: Local) -> None:
    for name in ("one", "two"):
        local.hold(box(name), FIRST)
        local.define(box(name), FIRST)
    kept = [each for each in (folder / "images").iterdir() if each.name != "names"]
    assert len(kept) == 1
    script(images / "box" / "start", "exec sleep 601")
    local.hold(box("three"), FIRST)
    local.define(box("three"), FIRST)
    assert len([each for each in (folder / "images").iterdir() if each.name != "names"]) == 2
    record = json.loads(place(folder, box("one")).record.read_bytes())
    assert record["image"] == kept[0].name, "who was made from the old one keeps it"
    without = Local(Access("edge", "local", str(folder)))
    without.hold(box("four"), FIRST)
    without.define(box("four"), FIRST)
    assert [finding.level for finding in without.doctor(["box"]) if finding.check == "image"] == ["good"]


def test_a_script_without_the_mark_of_a_program(images: Path, local: Local) -> None:
    (images / "box" / "start").chmod(0o644)
    started(local, box())
    assert local.look(box()).power is Power.RUNNING


def test_an_image_that_is_one_file(images: Path, local: Local) -> None:
    script(images / "tool", "exec sleep 600")
    started(local, box(image="tool"))
    assert local.look(box()).power is Power.RUNNING


def test_an_image_that_starts_nothing(images: Path, local: Local) -> None:
    (images / "box" / "start").unlink()
    made(local, box())
    with pytest.raises(HypervisorError, match="no file 'start'"):
        local.start(box(), FIRST)


@pytest.mark.parametrize("image", ["../images/box", "/etc", "", "a b"])
def test_an_image_from_elsewhere(local: Local, image: str) -> None:
    local.hold(box(), FIRST)
    with pytest.raises(HypervisorError, match="is not the name of"):
        local.define(box(image=image), FIRST)


# state
def test_something_else_where_a_disk_belongs(folder: Path, local: Local) -> None:
    local.hold(box(), FIRST, writer=True)
    local.define(box(), FIRST)
    local.make_disk(box(), DISK, FIRST)
    location = place(folder, box()).root / "data"
    location.mkdir()
    (location / "mine").touch()
    with pytest.raises(Refused, match="something else is at /data"):
        local.attach(box(), DISK, FIRST)
    (location / "mine").unlink()
    local.attach(box(), DISK, FIRST)  # an empty folder is in nobody's way
    assert local.look(box()).attached == ("data",)


def test_no_detach_under_an_open_file(local: Local) -> None:
    started(local, box(command=("sh", "-c", "exec 7>data/open; sleep 600")))
    time.sleep(0.1)
    with pytest.raises(HypervisorError, match="have files of it open") as caught:
        local.detach(box(), DISK, FIRST)
    assert caught.value.retry
    local.pause(box(), FIRST)
    local.detach(box(), DISK, FIRST)
    assert local.look(box()).attached == ()


@pytest.mark.parametrize("path", ["/../record.json", "/a/../../record.json", "/", "/away/x", "/link"])
def test_state_files_stay_inside(folder: Path, local: Local, path: str) -> None:
    local.hold(box(), FIRST, writer=True)
    local.define(box(), FIRST)
    root = place(folder, box()).root
    (root / "away").symlink_to(folder)
    (folder / "x").write_text("not yours")
    (root / "link").symlink_to(folder / "x")
    files = Files("files", (path,))
    if path != "/link":  # a link is replaced by a file, and not followed
        with pytest.raises(Refused, match="leads out of"):
            local.put_files(box(), files, {path: b"x"}, Version(1, "d"), FIRST)
    with pytest.raises(Refused, match="leads out of"):
        local.read_files(box(), files)
    assert (folder / "x").read_text() == "not yours"


# drivers that die or race
def forked(act: Callable[[], object]) -> int:
    """A driver process of its own that does this."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            act()
            code = 0
        except (Stale, HypervisorError):
            code = 2
        finally:
            os._exit(code)
    return pid


def test_killed_anywhere(folder: Path, images: Path, local: Local, request: pytest.FixtureRequest) -> None:
    """A whole life, each call by a driver that is killed in the middle of it and then made again."""
    chance = random.Random(request.config.getoption("--fuzz-seed"))  # noqa: S311 - to choose, not to hide
    other = folder.parent / "other"
    other.mkdir()
    target = Local(Access("other", "local", str(other), images=images))
    script(images / "box" / "start", "echo x >>data/log; exec sleep 600")
    instance = box(files=(Files("files", ("/state",)),))
    put = (instance, instance.files[0], {"/state": b"one"}, Version(1, "d"), FIRST)
    acts: list[Callable[[], object]] = [
        lambda: local.hold(instance, FIRST, writer=True),
        lambda: local.define(instance, FIRST),
        lambda: local.make_disk(instance, DISK, FIRST),
        lambda: local.attach(instance, DISK, FIRST),
        lambda: local.put_files(*put),
        lambda: local.start(instance, FIRST),
        lambda: target.hold(instance, FIRST),
        lambda: target.define(instance, FIRST),
        lambda: target.copy_disk(instance, DISK, local, FIRST),
        lambda: local.pause(instance, FIRST),
        lambda: target.copy_disk(instance, DISK, local, FIRST, final=True),
        lambda: local.resume(instance, FIRST),
        lambda: local.stop(instance, FIRST),
        lambda: local.detach(instance, DISK, FIRST),
        lambda: local.remove(instance, FIRST),
        lambda: target.remove(instance, FIRST),
    ]
    for _ in range(3):
        for act in acts:
            for _ in range(2):
                pid = forked(act)
                time.sleep(chance.choice([0, 0.0005, 0.002, 0.005, 0.02]) * chance.random())
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            act()
            assert len(below(folder, b"sleep")) <= 1
        for gateway, where in ((local, folder), (target, other)):
            assert gateway.look(instance) == Seen("box")
            assert gateway.inventory() == ()
            assert os.listdir(where / "instances") == []
    assert below(folder.parent) == []


def test_storms(folder: Path, images: Path, request: pytest.FixtureRequest) -> None:
    """Drivers with epochs of their own race: never two of one instance, and no writer that is not the newest."""
    seed = request.config.getoption("--fuzz-seed")
    local = at(folder, images)
    script(
        images / "box" / "start",
        "exec python3 -ISc 'import fcntl, sys, time\n"
        'one = open("data/one", "a"); log = open("data/log", "a")\n'
        "try: fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        'except OSError: log.write("two of them\\n"); sys.exit(1)\n'
        'log.write("alone\\n"); log.flush(); time.sleep(600)\'',
    )
    made(local, box())

    def storm(number: int) -> None:
        chance = random.Random(f"{seed} {number}")  # noqa: S311 - to choose, not to hide
        mine = at(folder, images)
        for turn in range(12):
            claim = Unbounded(1 + turn * 4 + number)
            hold = partial(mine.hold, writer=True)
            for act in chance.choices([hold, mine.start, mine.stop, mine.pause, mine.resume], k=4):
                with suppress(Stale, Refused):
                    act(box(), claim)

    drivers = [forked(partial(storm, number)) for number in range(4)]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in drivers] == [0] * 4
    epoch = local.look(box()).epoch
    local.hold(box(), Unbounded(epoch + 1), writer=False)
    local.stop(box(), Unbounded(epoch + 1))
    assert below(folder) == []
    log = (place(folder, box()).disk("data") / "log").read_text().splitlines()
    assert set(log) <= {"alone"}


def test_a_driver_that_stands_still_in_an_act(folder: Path, images: Path, local: Local) -> None:
    """Its successor waits a little and then ends it; a driver of the same claim is never ended."""
    made(local, box())

    def stands() -> None:
        with local._folder.locked(place(folder, box()), "stand", 1):
            os.kill(os.getpid(), signal.SIGSTOP)

    pid = forked(stands)
    eventually(lambda: "T" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3], 5)
    same = at(folder, images, timeout_s=1.5)
    with pytest.raises(HypervisorError, match=f"process {pid} is at work") as caught:
        same.start(box(), FIRST)
    assert caught.value.retry
    same.hold(box(), Unbounded(2))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert local.look(box()).epoch == 2


def test_killed_while_something_starts(folder: Path, images: Path, local: Local) -> None:
    """The launcher has the lock until what it starts is written down: whoever comes next finds it, and can end it."""
    made(local, box())
    for _ in range(10):
        pid = forked(lambda: local.start(box(), FIRST))
        time.sleep(random.random() * 0.03)  # noqa: S311 - any moment will do
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        local.stop(box(), FIRST)
        assert local.look(box()).power is Power.STOPPED
        assert below(folder) == []


def test_many_threads_make_instances_at_once_in_a_folder_that_nobody_has_taken_yet(folder: Path, images: Path) -> None:
    """A driver that stays works many instances at once, and several drivers begin at the same gateway."""
    problems: list[Exception] = []
    ready = threading.Barrier(12)

    def make(number: int) -> None:
        hypervisor, instance = at(folder, images), Instance(f"box-{number}", "box", "box", "container", "box")
        ready.wait()
        try:
            hypervisor.hold(instance, FIRST)
            hypervisor.define(instance, FIRST)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(at(folder, images).inventory()) == 12
    assert list(folder.rglob("*.new-*")) == []
