"""How the driver meets an LXD that is not what it should be: another one, slow, lying, full."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pylxd", reason="pylxd is not installed: pip install -e '.[lxd]'")

from meghdwar.driver.hypervisor import Full, HypervisorError, Refused, Stale, Unbounded, Unreachable, Unverified
from meghdwar.driver.instance import Disk, Instance
from meghdwar.driver.lxd import Lxd
from meghdwar.driver.lxd_api import Api, Changed, Missing
from meghdwar.model import Ready
from tests.contract.pairs import eventually
from tests.driver.lxd_fake import SERVER, FakeLxd, error, make_certificate, operation, sync

DISK = Disk("saves", 100, "/data")
ARENA = Instance("arena", "game", "arena", "container", "cloudlet", ports=(80,), ready=Ready(http="/n"), disks=(DISK,))
RECORD = "profiles/meghdwar-arena"
VOLUME = "storage-pools/default/volumes/custom/saves"
FIRST = Unbounded(1)
VOLUME_CONFIG = {
    "user.meghdwar.instance": "arena",
    "user.meghdwar.whole": "true",
    "volatile.idmap.last": "[7]",
}


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeLxd]:
    made = FakeLxd(tmp_path)
    yield made
    made.close()


def held(epoch: int = 1, *, writer: bool = True, quiet: bool = False) -> Any:
    config = {"application": "game", "epoch": str(epoch), "writer": str(writer).lower(), "quiet": str(quiet).lower()}
    return sync({"config": {f"user.meghdwar.{key}": value for key, value in config.items()}}, ETag=f"e{epoch}")


def container(status: str = "Running", **devices: Any) -> Any:
    config = {"user.meghdwar.application": "game", "user.meghdwar.made": "true"}
    return sync({"name": "arena", "status": status, "config": config, "devices": devices})


def done(**metadata: Any) -> Any:
    return sync({"status_code": 200, "status": "Success", "metadata": metadata})


# who is it
def test_the_fingerprint_is_all_that_counts(fake: FakeLxd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Signed by nobody, for no host name, and in an environment that wants another authority: the right one."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "not-there.pem"))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(tmp_path / "not-there.pem"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert Api(fake.access()).get("", "see it")["auth"] == "trusted"
    shown = ":".join(fake.fingerprint.upper()[i : i + 2] for i in range(0, 64, 2))
    assert Api(fake.access(certificate=shown)).get("", "see it")["auth"] == "trusted"


def test_another_certificate_is_told_nothing(fake: FakeLxd, tmp_path: Path) -> None:
    _, _, other = make_certificate(tmp_path, "other")
    with pytest.raises(HypervisorError, match="not the pinned one") as caught:
        Api(fake.access(certificate=other)).get("", "see it")
    assert not caught.value.retry
    assert not isinstance(caught.value, Unreachable)
    assert fake.asked == []


def test_no_certificate_is_not_any_certificate(fake: FakeLxd) -> None:
    with pytest.raises(HypervisorError, match="no fingerprint") as caught:
        Api(fake.access(certificate=None)).get("", "see it")
    assert not caught.value.retry
    assert fake.asked == []


def test_our_own_key_is_missing(fake: FakeLxd, tmp_path: Path) -> None:
    gone = {"client_certificate": tmp_path / "gone.crt", "client_key": tmp_path / "gone.key"}
    with pytest.raises(HypervisorError, match=r"gone\.crt") as caught:
        Api(fake.access(**gone)).get("", "see it")
    assert not caught.value.retry


@pytest.mark.parametrize("endpoint", ["/no/such/socket", "https://127.0.0.1:1"])
def test_nobody_there(fake: FakeLxd, endpoint: str) -> None:
    access = fake.access()
    lxd = Lxd(type(access)("edge", "lxd", endpoint, access.certificate, timeout_s=2))
    with pytest.raises(Unreachable, match=f"^cannot look at arena at edge: {endpoint} does not answer") as caught:
        lxd.look(ARENA)
    assert caught.value.retry


def test_an_endpoint_that_is_none(fake: FakeLxd) -> None:
    access = fake.access()
    with pytest.raises(HypervisorError, match="neither https://HOST:PORT nor") as caught:
        Lxd(type(access)("edge", "lxd", "edge-1", access.certificate)).look(ARENA)
    assert not caught.value.retry


# what it answers
@pytest.mark.parametrize("answer", [(200, b"<html>welcome</html>"), (200, {"hello": 1}), (200, [1]), (200, b"")])
def test_what_is_no_lxd(fake: FakeLxd, answer: Any) -> None:
    fake.answers |= {f"GET {RECORD}": held(), "GET instances/arena": answer}
    with pytest.raises(HypervisorError, match="is no LXD") as caught:
        Lxd(fake.access()).define(ARENA, FIRST)
    assert not caught.value.retry


def test_a_slow_one(fake: FakeLxd) -> None:
    fake.delay_s = 3
    began = time.monotonic()
    with pytest.raises(Unreachable, match="no answer in time"):
        Api(fake.access(timeout_s=0.3)).get("", "see it")
    assert time.monotonic() - began < fake.delay_s


WORDS = {
    "no space left on device": (Full, False),
    "Failed to run: btrfs: Disk quota exceeded": (Full, False),
    "not authorized": (HypervisorError, False),
    "The instance is currently busy": (HypervisorError, True),
    "LXD is shutting down": (HypervisorError, True),
    "The image has no such thing": (HypervisorError, False),
}


@pytest.mark.parametrize("words", WORDS)
def test_what_went_wrong_in_an_operation(fake: FakeLxd, words: str) -> None:
    kind, retry = WORDS[words]
    fake.answers["POST things"] = operation()
    fake.answers["GET operations/1/wait"] = sync({"status_code": 400, "status": "Failure", "err": words})
    with pytest.raises(kind) as caught:
        Api(fake.access()).change("post", "things", {}, "make things")
    assert type(caught.value) is kind
    assert caught.value.retry is retry
    assert str(caught.value).startswith("cannot make things at edge: ")


@pytest.mark.parametrize(("status", "kind", "retry"), [(404, Missing, False), (412, Changed, True), (500, None, True)])
def test_what_was_refused(fake: FakeLxd, status: int, kind: type | None, retry: bool) -> None:
    fake.answers["PUT things"] = error(status, "for some reason")
    with pytest.raises(kind or HypervisorError, match="for some reason") as caught:
        Api(fake.access()).change("put", "things", {}, "change things", tag="seen")
    assert caught.value.retry is retry


def test_who_does_not_trust_us_says_what_to_do(fake: FakeLxd) -> None:
    fake.answers["GET things"] = error(403, "not authorized")
    with pytest.raises(HypervisorError, match="lxc config trust add"):
        Api(fake.access()).get("things", "see things")


def test_a_forgotten_operation_is_not_a_done_one(fake: FakeLxd) -> None:
    fake.answers["POST things"] = operation()
    with pytest.raises(Unreachable, match="nobody knows whether it was done"):
        Api(fake.access()).change("post", "things", {}, "make things")


def test_what_goes_on_too_long_is_named(fake: FakeLxd) -> None:
    fake.answers["POST things"] = operation()
    running = {"status_code": 103, "status": "Running", "description": "Creating volume"}
    fake.answers["GET operations/1/wait"] = sync(running)
    with pytest.raises(Unreachable, match="creating volume is still going on there after 0 s"):
        Api(fake.access()).change("post", "things", {}, "make things", patience_s=0.2)


def test_no_websockets(fake: FakeLxd) -> None:
    """Over https they fail with SSLEOFError: a command's end is waited for as any operation's."""
    fake.answers["POST instances/arena/exec"] = operation()
    fake.answers["GET operations/1/wait"] = done(**{"return": 7})
    assert Api(fake.access()).run("arena", ["true"], "try") == 7
    [(_, body)] = [each for each in fake.asked if each[0].startswith("POST")]
    assert (body["wait-for-websocket"], body["interactive"]) == (False, False)


# holding
def test_somebody_else_held_it_at_the_same_time(fake: FakeLxd) -> None:
    """What was compared is no longer so when it is to be set: we look again, and see who it was."""
    fake.answers[f"GET {RECORD}"] = [held(1), held(3)]
    fake.answers[f"PUT {RECORD}"] = error(412, "Precondition failed")
    with pytest.raises(Stale, match="epoch 3"):
        Lxd(fake.access()).hold(ARENA, Unbounded(2))
    assert fake.count(f"PUT {RECORD}") == 1
    assert fake.tags == ["e1"]


def test_two_make_the_record_at_once(fake: FakeLxd) -> None:
    fake.answers[f"GET {RECORD}"] = [error(404, "not found"), held(1, writer=False)]
    fake.answers["POST profiles"] = error(409, "The profile already exists")
    fake.answers[f"PUT {RECORD}"] = sync({})
    fake.answers["GET operations"] = sync({})
    Lxd(fake.access()).hold(ARENA, Unbounded(2), writer=True)
    [(_, body)] = [each for each in fake.asked if each[0].startswith("PUT")]
    assert body["config"]["user.meghdwar.epoch"] == "2"
    assert body["config"]["user.meghdwar.writer"] == "true"


def test_a_new_epoch_waits_for_what_an_older_one_began(fake: FakeLxd) -> None:
    def going_on(description: str, kind: str, path: str) -> dict[str, object]:
        return {"description": description, "class": kind, "resources": {"some": [path]}}

    volume = f"/1.0/storage-pools/default/volumes/custom/{DISK.name}?target=none"
    copying = going_on("Copying storage volume", "task", volume)
    of_no_matter = [
        going_on("Copying storage volume", "task", "/1.0/storage-pools/default/volumes/custom/other"),
        going_on("Executing command", "task", f"/1.0/instances/{ARENA.name}"),
        going_on("Migrating storage volume", "websocket", volume),
    ]
    fake.answers[f"GET {RECORD}"] = held(1)
    fake.answers[f"PUT {RECORD}"] = sync({})
    fake.answers["GET operations"] = [sync({"running": [*of_no_matter, copying]}), sync({"running": of_no_matter})]
    Lxd(fake.access()).hold(ARENA, Unbounded(2))
    assert fake.count("GET operations") == 2
    fake.answers["GET operations"] = sync({"running": [copying]})
    with pytest.raises(Unreachable, match="copying storage volume is still going on there"):
        Lxd(replace(fake.access(), timeout_s=0.2)).hold(ARENA, Unbounded(3))
    fake.answers["GET operations"] = sync({"running": [{**copying, "resources": None}]})
    with pytest.raises(Unreachable, match="copying storage volume"):
        Lxd(replace(fake.access(), timeout_s=0.2)).hold(ARENA, Unbounded(4))


def test_losing_the_right_to_write_says_that_it_may_be_paused(fake: FakeLxd) -> None:
    fake.answers[f"GET {RECORD}"] = held(1)
    fake.answers[f"PUT {RECORD}"] = sync({})
    Lxd(fake.access()).hold(ARENA, FIRST, writer=False)
    [(_, body)] = [each for each in fake.asked if each[0].startswith("PUT")]
    assert body["config"]["user.meghdwar.quiet"] == "true"


# its state
@pytest.mark.parametrize("driver", ["dir", "lvm"])
def test_pools_that_cannot_be_trusted(fake: FakeLxd, driver: str) -> None:
    fake.answers[f"GET {RECORD}"] = held()
    fake.answers["GET storage-pools/default"] = sync({"driver": driver})
    with pytest.raises(Refused, match=f"of the kind {driver}"):
        Lxd(fake.access()).make_disk(ARENA, DISK, FIRST)
    assert fake.count("POST storage-pools/default/volumes/custom") == 0


def copying(fake: FakeLxd) -> None:
    """A source and a target in one, with a chain of snapshots."""
    fake.answers |= {
        f"GET {RECORD}": held(),
        "GET instances/arena": container("Stopped"),
        "GET storage-pools/default": sync({"driver": "btrfs"}),
        f"GET {VOLUME}": sync({"config": VOLUME_CONFIG}),
        f"GET {VOLUME}/state": sync({"usage": {"used": 4096}}),
        f"GET {VOLUME}/snapshots": sync([f"/1.0/{VOLUME}/snapshots/mdw-0000000001-000009"]),
        f"POST {VOLUME}/snapshots": operation(),
        f"PATCH {VOLUME}": sync({}),
        f"POST {VOLUME}": (202, {"type": "async", "metadata": {"id": "2", "metadata": {"fs": "secret"}}}),
        "POST storage-pools/default/volumes/custom": operation("3"),
        "GET operations/1/wait": done(),
        "GET operations/3/wait": done(),
    }


def test_a_new_snapshot_before_each_copy(fake: FakeLxd) -> None:
    """Its name comes after the others' also where they are sorted as texts: 9 before 10."""
    copying(fake)
    made: list[str] = []

    def make(body: Any) -> Any:
        made.append(body["name"])
        names = ["mdw-0000000001-000009", *made]
        fake.answers[f"GET {VOLUME}/snapshots"] = sync([f"/1.0/{VOLUME}/snapshots/{name}" for name in names])
        return operation()

    fake.answers[f"POST {VOLUME}/snapshots"] = make
    lxd = Lxd(fake.access())
    copied = lxd.copy_disk(ARENA, DISK, lxd, FIRST, final=True)
    assert made == ["mdw-0000000001-000010"]
    assert sorted(["mdw-0000000001-000009", *made])[-1] == made[0]
    assert (copied.sent_bytes, copied.proof) == (4096, "btrfs mdw-0000000001-000010")
    [(_, body)] = [each for each in fake.asked if each[0] == "POST storage-pools/default/volumes/custom"]
    assert body["source"]["refresh"] is True
    assert body["config"]["volatile.idmap.last"] == "[7]", "the owners of files lie shifted on storage"


def paused_after_a_round(fake: FakeLxd) -> tuple[Lxd, Lxd]:
    """Two of the driver's ends of the same fake, source and target, after a copy and a pause."""
    copying(fake)
    pausing(fake, 0)
    names = ["mdw-0000000001-000009"]

    def make(body: Any) -> Any:
        names.append(body["name"])
        fake.answers[f"GET {VOLUME}/snapshots"] = sync([f"/1.0/{VOLUME}/snapshots/{name}" for name in names])
        return operation()

    fake.answers |= {
        f"GET {RECORD}": held(writer=False, quiet=True),
        "GET instances/arena": container(),
        f"POST {VOLUME}/snapshots": make,
        f"DELETE {VOLUME}/snapshots/mdw-0000000001-000009": sync({}),
        f"PATCH {VOLUME}-kept": sync({}),
    }
    source, target = Lxd(fake.access()), Lxd(fake.access())
    target.copy_disk(ARENA, DISK, source, FIRST)
    assert source.pause(ARENA, FIRST) == "signals"
    assert names == ["mdw-0000000001-000009", "mdw-0000000001-000010", "mdw-0000000001-000011"]
    fake.asked.clear()
    return source, target


def test_the_last_copy_follows_what_was_made_ahead(fake: FakeLxd) -> None:
    """No snapshot and no look at either end: each call is time without a writer."""
    source, target = paused_after_a_round(fake)
    copied = target.copy_disk(ARENA, DISK, source, FIRST, final=True)
    assert copied.proof == "btrfs mdw-0000000001-000011"
    assert copied.sent_bytes == 4096
    asked = [each for each, _ in fake.asked if "exec" not in each]
    assert sorted(asked[:2]) == ["GET instances/arena", f"GET {RECORD}"]
    assert asked[2:5] == [f"POST {VOLUME}", "POST storage-pools/default/volumes/custom", "GET operations/3/wait"]
    assert sorted(asked[5:]) == [f"GET {VOLUME}/snapshots", f"PATCH {VOLUME}"]


def test_what_was_made_ahead_and_is_gone(fake: FakeLxd) -> None:
    """It was not looked for, and the copy is not taken for the last one; asked again, it makes its own."""
    source, target = paused_after_a_round(fake)
    fake.answers[f"GET {VOLUME}/snapshots"] = sync([f"/1.0/{VOLUME}/snapshots/mdw-0000000001-000010"])
    with pytest.raises(Unverified, match="lacks its snapshot mdw-0000000001-000011"):
        target.copy_disk(ARENA, DISK, source, FIRST, final=True)
    assert not [each for each, _ in fake.asked if each == f"PATCH {VOLUME}"], "it was not whole, and is not now"
    fake.asked.clear()
    assert target.copy_disk(ARENA, DISK, source, FIRST, final=True).proof
    assert fake.count(f"POST {VOLUME}/snapshots") == 1


def test_what_another_epoch_left_is_looked_at(fake: FakeLxd) -> None:
    source, target = paused_after_a_round(fake)
    fake.answers[f"GET {RECORD}"] = held(2, writer=False, quiet=True)
    target.copy_disk(ARENA, DISK, source, Unbounded(2), final=True)
    assert fake.count(f"GET {VOLUME}") == 2
    assert fake.count(f"POST {VOLUME}/snapshots") == 1


def test_a_driver_that_takes_over_uses_what_was_made_ahead(fake: FakeLxd, tmp_path: Path) -> None:
    """It knows nothing, looks, and finds a snapshot at the source that the target has not got."""
    copying(fake)
    there = [sync([f"/1.0/{VOLUME}/snapshots/mdw-0000000001-00001{n}" for n in numbers]) for numbers in ([0], [0, 1])]
    source = FakeLxd(tmp_path, "source")
    try:
        source.answers = fake.answers | {f"GET {VOLUME}/snapshots": there[1]}
        fake.answers[f"GET {VOLUME}/snapshots"] = there
        copied = Lxd(fake.access()).copy_disk(ARENA, DISK, Lxd(source.access()), FIRST, final=True)
        assert copied.proof == "btrfs mdw-0000000001-000011"
        assert source.count(f"POST {VOLUME}/snapshots") == 0
        assert not [each for each, _ in source.asked if each.startswith("DELETE")]
    finally:
        source.close()


def test_a_copy_that_is_only_said_to_be_done(fake: FakeLxd) -> None:
    copying(fake)
    lxd = Lxd(fake.access())
    with pytest.raises(Unverified, match="lacks its snapshot mdw-0000000001-000010"):
        lxd.copy_disk(ARENA, DISK, lxd, FIRST, final=True)


def test_somebody_elses_volume_is_not_overwritten(fake: FakeLxd) -> None:
    copying(fake)
    fake.answers[f"GET {VOLUME}"] = sync({"config": {}})
    lxd = Lxd(fake.access())
    for act in (
        lambda: lxd.make_disk(ARENA, DISK, FIRST),
        lambda: lxd.copy_disk(ARENA, DISK, lxd, FIRST),
    ):
        with pytest.raises(Refused, match="nothing is overwritten"):
            act()
    assert not [each for each, _ in fake.asked if each.startswith(("POST", "DELETE"))]


def test_somebody_elses_instance_is_left_alone(fake: FakeLxd) -> None:
    fake.answers[f"GET {RECORD}"] = held()
    fake.answers["GET instances/arena"] = sync({"name": "arena", "status": "Running", "config": {}, "devices": {}})
    lxd = Lxd(fake.access())
    for act in (lambda: lxd.define(ARENA, FIRST), lambda: lxd.start(ARENA, FIRST), lambda: lxd.remove(ARENA, FIRST)):
        with pytest.raises(Refused, match="not Meghdwar's"):
            act()
    assert not [each for each, _ in fake.asked if not each.startswith("GET")]


def test_no_copy_from_another_kind(fake: FakeLxd) -> None:
    class Other:
        gateway = "elsewhere"

    fake.answers[f"GET {RECORD}"] = held()
    with pytest.raises(Refused, match="elsewhere has another hypervisor"):
        Lxd(fake.access()).copy_disk(ARENA, DISK, Other(), FIRST)  # type: ignore[arg-type]


def test_what_is_half_there_is_not_attached(fake: FakeLxd) -> None:
    """Nobody but who holds it may do away with it, and there has to be something better."""
    fake.answers |= {
        f"GET {RECORD}": held(3),
        f"GET {VOLUME}": sync({"config": {"user.meghdwar.instance": "arena"}}),
        f"GET {VOLUME}-kept": sync({"config": VOLUME_CONFIG}),
    }
    with pytest.raises(Stale):
        Lxd(fake.access()).attach(ARENA, DISK, FIRST)
    fake.answers |= {f"GET {RECORD}": held(1), f"GET {VOLUME}-kept": error(404, "not found")}
    with pytest.raises(Refused, match="no whole copy of saves"):
        Lxd(fake.access()).attach(ARENA, DISK, FIRST)
    assert not [each for each, _ in fake.asked if not each.startswith("GET")]


# pausing
def pausing(fake: FakeLxd, status: int) -> None:
    fake.answers |= {
        f"GET {RECORD}": held(writer=False, quiet=True),
        "GET instances/arena": container(),
        "POST instances/arena/exec": operation(),
        "GET operations/1/wait": done(**{"return": status}),
        "PUT instances/arena/state": operation("2"),
        "GET operations/2/wait": done(),
    }


def test_one_call_pauses(fake: FakeLxd) -> None:
    pausing(fake, 0)
    lxd = Lxd(fake.access())
    lxd.look(ARENA)
    fake.asked.clear()
    assert lxd.pause(ARENA, FIRST) == "signals"
    asked = [each for each, _ in fake.asked]
    assert asked[0] == f"GET {RECORD}"
    assert asked[-2:] == ["POST instances/arena/exec", "GET operations/1/wait"], "each call after it is lost time"
    assert fake.count("POST instances/arena/exec") == 1


@pytest.mark.parametrize("words", ["no space left on device", "the snapshot cannot be made"])
def test_paused_without_a_snapshot_made_ahead(fake: FakeLxd, words: str) -> None:
    """The last copy makes its own then."""
    copying(fake)
    pausing(fake, 0)
    fake.answers[f"POST {VOLUME}/snapshots"] = error(500, words)
    assert Lxd(fake.access()).pause(ARENA, FIRST) == "signals"
    assert fake.count(f"POST {VOLUME}/snapshots") == 1
    assert fake.count("POST instances/arena/exec") == 1


def test_no_snapshot_ahead_of_what_was_never_copied(fake: FakeLxd) -> None:
    copying(fake)
    pausing(fake, 0)
    fake.answers[f"GET {VOLUME}/snapshots"] = sync([])
    assert Lxd(fake.access()).pause(ARENA, FIRST) == "signals"
    assert fake.count(f"POST {VOLUME}/snapshots") == 0


@pytest.mark.parametrize("status", [10, 11, 12, 127])
def test_what_cannot_be_paused_inside_is_frozen(fake: FakeLxd, status: int) -> None:
    pausing(fake, status)
    assert Lxd(fake.access()).pause(ARENA, FIRST) == "freeze"
    [(_, body)] = [each for each in fake.asked if each[0] == "PUT instances/arena/state"]
    assert body["action"] == "freeze"


def test_what_cannot_be_frozen_is_stopped(fake: FakeLxd) -> None:
    pausing(fake, 11)
    frozen = sync({"status_code": 400, "err": "no freezer"})
    fake.answers["GET operations/2/wait"] = [frozen, done()]
    assert Lxd(fake.access()).pause(ARENA, FIRST) == "stop"
    actions = [(body["action"], body["force"]) for each, body in fake.asked if each == "PUT instances/arena/state"]
    assert actions == [("freeze", False), ("stop", True)]


# waking
def waiting(fake: FakeLxd, status: int) -> Lxd:
    """A target that runs and has just had the last copy, while somebody waits inside whether it serves."""
    source, target = paused_after_a_round(fake)
    fake.answers |= {
        "POST instances/arena/exec": operation("7"),
        "GET operations/7/wait": done(**{"return": status}),
        f"GET {VOLUME}-kept": sync({"config": VOLUME_CONFIG}),
    }
    target.copy_disk(ARENA, DISK, source, FIRST, final=True)
    eventually(lambda: fake.count("POST instances/arena/exec"), 5)
    fake.answers |= {f"GET {RECORD}": held(), "PATCH instances/arena": sync({}), f"DELETE {VOLUME}-kept": sync({})}
    target.attach(ARENA, DISK, FIRST)
    return target


def test_who_waits_inside_says_that_it_serves(fake: FakeLxd) -> None:
    target = waiting(fake, 0)
    assert fake.count(f"DELETE {VOLUME}-kept") == 0, "there is no time for that yet"
    assert target.probe(ARENA)
    assert fake.count("POST instances/arena/exec") == 1
    eventually(lambda: fake.count(f"DELETE {VOLUME}-kept"), 5)
    assert target.probe(ARENA)
    assert fake.count("POST instances/arena/exec") == 2, "what it said is good for one time"


def test_what_was_left_for_later_is_done_before_the_end(fake: FakeLxd) -> None:
    target = waiting(fake, 0)
    assert target.probe(ARENA)
    target.close()
    assert fake.count(f"DELETE {VOLUME}-kept") == 1


def test_what_is_kept_for_somebody_else_stays(fake: FakeLxd) -> None:
    target = waiting(fake, 0)
    assert target.probe(ARENA)
    fake.answers[f"GET {RECORD}"] = held(2, writer=False)
    target.close()
    assert fake.count(f"DELETE {VOLUME}-kept") == 0


def test_who_waits_inside_is_not_the_last_to_be_asked(fake: FakeLxd) -> None:
    target = waiting(fake, 1)
    assert not target.probe(ARENA)
    assert fake.count("POST instances/arena/exec") == 2
    assert fake.count(f"GET {VOLUME}-kept") == 0


def test_what_was_said_before_a_stop_does_not_count(fake: FakeLxd) -> None:
    target = waiting(fake, 0)
    fake.answers |= {"PUT instances/arena/state": operation("1"), "GET operations/7/wait": done(**{"return": 1})}
    target.stop(ARENA, FIRST)
    assert not target.probe(ARENA)
    assert fake.count("POST instances/arena/exec") == 2


# doctor
def test_doctor_of_a_poor_one(fake: FakeLxd) -> None:
    fake.answers |= {
        "GET ": sync(SERVER | {"api_extensions": []}),
        "GET storage-pools/default": sync({"driver": "dir"}),
        "GET storage-pools/default/resources": sync({"space": {"total": 2**32, "used": 2**32 - 2**20}}),
    }
    findings = {finding.check: finding for finding in Lxd(fake.access(options={"parent": "eth9"})).doctor(["game"])}
    levels = {check: finding.level for check, finding in findings.items()}
    assert levels | {"reachable": "good", "certificate": "good", "trusted": "good", "address": "good"} == levels
    bad = {"version": "bad", "pool": "bad", "network": "bad", "image": "bad", "space": "warning"}
    assert levels | bad == levels
    assert "eth9" in findings["network"].message
    assert all(finding.help for finding in findings.values() if finding.level != "good")


def test_doctor_sees_a_clock_that_is_off(fake: FakeLxd) -> None:
    for off_s, level in ((0, "good"), (100, "warning"), (-100, "warning")):
        fake.clock_off_s = off_s
        [finding] = [each for each in Lxd(fake.access()).doctor() if each.check == "clock"]
        assert finding.level == level, finding


def test_doctor_where_nobody_trusts_us(fake: FakeLxd) -> None:
    fake.answers["GET "] = sync(SERVER | {"auth": "untrusted"})
    findings = list(Lxd(fake.access()).doctor())
    assert [finding.level for finding in findings] == ["good", "good", "bad"]
    assert "trust add" in findings[-1].help
