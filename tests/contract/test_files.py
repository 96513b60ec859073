"""What every hypervisor keeps to: state files, by version. Who cannot carry them says so."""

from __future__ import annotations

from hashlib import sha256

import pytest

from meghdwar.driver.hypervisor import Hypervisor, Power, Refused, Stale, Unbounded, Version
from meghdwar.driver.instance import Files, Instance
from tests.contract.pairs import Pair, eventually
from tests.contract.scenes import Lapsed, count, counted

FIRST, SECOND = Unbounded(1), Unbounded(2)
LOG = "/state/log"


@pytest.fixture
def instance(pair: Pair, name: str) -> Instance:
    if "files" not in pair.source.capabilities.strategies:
        pytest.skip("it carries no state files, and says so")
    return pair.files_instance(name)


def version(number: int, content: bytes, parent: str = "") -> Version:
    return Version(number, sha256(content).hexdigest(), parent)


def defined(at: Hypervisor, instance: Instance, claim: Unbounded) -> Files:
    at.hold(instance, claim, writer=True)
    at.define(instance, claim)
    return instance.files[0]


def test_who_cannot_says_so(pair: Pair, name: str) -> None:
    if "files" in pair.source.capabilities.strategies:
        pytest.skip("it carries state files: this is about one that does not")
    instance = pair.files_instance(name)
    pair.source.hold(instance, FIRST)
    with pytest.raises(Refused):
        pair.source.read_files(instance, instance.files[0])
    with pytest.raises(Refused):
        pair.source.put_files(instance, instance.files[0], {}, version(1, b""), FIRST)


def test_nothing_was_put_yet(pair: Pair, instance: Instance) -> None:
    files = defined(pair.source, instance, FIRST)
    assert pair.source.version(instance, files) is None
    assert pair.source.read_files(instance, files) == {}


def test_put_and_read(pair: Pair, instance: Instance) -> None:
    files = defined(pair.source, instance, FIRST)
    put = version(1, b"one")
    for each in (pair.source, pair.again(pair.source)):
        each.put_files(instance, files, {LOG: b"one"}, put, FIRST)
        assert each.version(instance, files) == put
        assert each.read_files(instance, files) == {LOG: b"one"}


def test_compare_and_set(pair: Pair, instance: Instance) -> None:
    files, at = defined(pair.source, instance, FIRST), pair.source
    one = version(1, b"one")
    two = version(2, b"two", one.digest)
    three = version(3, b"three", two.digest)
    at.put_files(instance, files, {LOG: b"one"}, one, FIRST)
    at.put_files(instance, files, {LOG: b"two"}, two, FIRST)
    at.put_files(instance, files, {LOG: b"three"}, three, FIRST)
    wrong = {
        "an older one": (one, b"one"),
        "its own parent": (two, b"two"),
        "made from something else": (version(4, b"four", two.digest), b"four"),
        "the same number, another content": (version(3, b"other", two.digest), b"other"),
        "an older number with the right parent": (version(2, b"late", three.digest), b"late"),
        "made from nothing": (version(4, b"four"), b"four"),
    }
    allowed = []
    for what, (bad, content) in wrong.items():
        try:
            at.put_files(instance, files, {LOG: content}, bad, FIRST)
            allowed.append(what)
        except Refused:
            pass
    assert allowed == []
    assert at.read_files(instance, files) == {LOG: b"three"}
    assert at.version(instance, files) == three


def test_put_again_does_not_undo_what_was_written_since(pair: Pair, instance: Instance) -> None:
    """Asking again for what is already so changes nothing, even when the instance has gone on."""
    files = defined(pair.source, instance, FIRST)
    pair.source.put_files(instance, files, {}, version(1, b""), FIRST)
    pair.source.start(instance, FIRST)
    eventually(lambda: pair.ask(pair.source, instance, "/n"), pair.patience_s)
    count(pair, pair.source, instance, 1, 3)
    pair.source.put_files(instance, files, {}, version(1, b""), FIRST)
    count(pair, pair.source, instance, 4, 4)
    counted(pair, pair.source, instance, 4)
    assert pair.source.version(instance, files) == version(1, b"")


def test_a_file_that_is_gone(pair: Pair, instance: Instance) -> None:
    files, at = defined(pair.source, instance, FIRST), pair.source
    one = version(1, b"one")
    at.put_files(instance, files, {LOG: b"one"}, one, FIRST)
    at.put_files(instance, files, {}, version(2, b"", one.digest), FIRST)
    assert at.read_files(instance, files) == {}


def test_too_much(pair: Pair, instance: Instance) -> None:
    files, at = defined(pair.source, instance, FIRST), pair.source
    with pytest.raises(Refused):
        at.put_files(instance, files, {LOG: b"x" * 5000}, version(1, b"x"), FIRST)
    assert at.version(instance, files) is None
    whole = Files(files.name, files.paths)
    at.put_files(instance, whole, {LOG: b"x" * 5000}, version(1, b"x"), FIRST)
    with pytest.raises(Refused) as caught:
        at.read_files(instance, files)
    assert "4096" in str(caught.value)


def test_nobody_elses_paths(pair: Pair, instance: Instance) -> None:
    files = defined(pair.source, instance, FIRST)
    with pytest.raises(Refused):
        pair.source.put_files(instance, files, {"/state/other": b"x"}, version(1, b"x"), FIRST)
    assert pair.source.version(instance, files) is None


def test_only_with_a_claim(pair: Pair, instance: Instance) -> None:
    files, at = defined(pair.source, instance, SECOND), pair.source
    for claim in (FIRST, Lapsed(2)):
        with pytest.raises(Stale):
            at.put_files(instance, files, {LOG: b"one"}, version(1, b"one"), claim)
    assert at.version(instance, files) is None


def test_files_are_state(pair: Pair, instance: Instance) -> None:
    """What has state is started only where it may write."""
    files, at = defined(pair.source, instance, FIRST), pair.source
    at.put_files(instance, files, {}, version(1, b""), FIRST)
    at.hold(instance, FIRST, writer=False)
    for start in (at.start, at.resume):
        with pytest.raises(Refused):
            start(instance, FIRST)
    assert at.look(instance).power is Power.STOPPED


def test_a_move_by_files(pair: Pair, instance: Instance) -> None:
    files = defined(pair.source, instance, FIRST)
    one = version(1, b"")
    pair.source.put_files(instance, files, {}, one, FIRST)
    pair.source.start(instance, FIRST)
    eventually(lambda: pair.ask(pair.source, instance, "/n"), pair.patience_s)
    count(pair, pair.source, instance, 1, 5)
    running = pair.source.read_files(instance, files)
    assert running[LOG].count(b"\n") == 5
    pair.target.hold(instance, SECOND)
    pair.target.define(instance, SECOND)
    pair.source.hold(instance, SECOND)
    pair.source.pause(instance, SECOND)
    paused = pair.source.read_files(instance, files)
    assert paused == running
    pair.source.hold(instance, SECOND, writer=False)
    pair.target.hold(instance, SECOND, writer=True)
    pair.target.put_files(instance, files, paused, version(2, paused[LOG], one.digest), SECOND)
    pair.target.start(instance, SECOND)
    eventually(lambda: pair.ask(pair.target, instance, "/n"), pair.patience_s)
    count(pair, pair.target, instance, 6, 7)
    pair.source.remove(instance, SECOND)
    counted(pair, pair.target, instance, 7)
