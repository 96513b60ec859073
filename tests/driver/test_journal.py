"""The rules of `Journal`, held against every journal that there is; those of SqlJournal beyond them are in
test_claims.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from meghdwar.driver.hypervisor import Stale
from meghdwar.driver.operation import (
    COMPENSATED,
    COMPLETED,
    DOING,
    DONE,
    FENCED,
    RUNNING,
    WAITING,
    Busy,
    Entry,
    Fenced,
    JournalError,
    Operation,
)
from tests.driver.conftest import REAL
from tests.driver.journals import LEASE_S, WRITES, Journals, Memory, Sql


@pytest.fixture(params=["sqlite", REAL, "memory"])
def journals(request: pytest.FixtureRequest) -> Iterator[Journals]:
    made = Memory() if request.param == "memory" else Sql(_url(request))
    made.instance("arena", "edge-1")
    yield made
    made.close()


def _url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('tmp_path')}/meghdwar.db"
    return str(request.getfixturevalue("server").database())


MOVE = Operation("m-1", "move", "game", "arena", "edge-1", "edge-2", "warm", "anna is in cell-3")


# an operation
def test_an_operation_is_written_down_when_it_begins(journals: Journals) -> None:
    operation, claim = journals.driver().begin(MOVE, "one")
    assert (operation.id, operation.status, operation.reason) == ("m-1", RUNNING, "anna is in cell-3")
    assert claim.epoch == 1
    claim.check()
    assert journals.operation("m-1") == operation
    assert list(journals.driver().entries("m-1")) == []


def test_its_entries_are_read_in_the_order_of_writing(journals: Journals) -> None:
    journal = journals.driver()
    _, claim = journal.begin(MOVE, "one")
    detail = {"sent_bytes": 2**40, "proofs": {"saves": "ab"}, "left": None, "ways": ["quiesce", 0.5], "é\0": True}
    journal.write("m-1", [Entry("stage", DOING, epoch=claim.epoch)], claim)
    journal.write("m-1", [Entry("stage", DONE, detail, claim.epoch), Entry("fence", DOING, {}, claim.epoch)], claim)
    journal.write("m-1", [], claim)
    found = journals.driver().entries("m-1")
    assert [(entry.step, entry.phase) for entry in found] == [("stage", DOING), ("stage", DONE), ("fence", DOING)]
    assert found[1].detail == detail
    assert {entry.epoch for entry in found} == {claim.epoch}


def test_it_ends_with_its_last_entries(journals: Journals) -> None:
    journal = journals.driver()
    _, claim = journal.begin(MOVE, "one")
    journal.end("m-1", COMPENSATED, [Entry("stage", "undone")], claim)
    assert journals.operation("m-1").status == COMPENSATED
    assert journals.operation("m-1").ended_at is not None
    assert [entry.phase for entry in journal.entries("m-1")] == ["undone"]
    journals.driver().begin(Operation("m-2", "move", "game", "arena", "edge-1", "edge-2"), "two")


def test_it_waits_and_goes_on(journals: Journals) -> None:
    journal = journals.driver()
    _, claim = journal.begin(MOVE, "one")
    journal.write("m-1", [Entry("stage", DOING)], claim)
    journal.wait("m-1", "cannot copy at edge-2: no answer", claim)
    waiting = journals.operation("m-1")
    assert (waiting.status, waiting.error) == (WAITING, "cannot copy at edge-2: no answer")
    operation, later = journals.driver().resume("m-1", "two")
    assert (operation.status, operation.error) == (RUNNING, "")
    assert later.epoch == claim.epoch + 1
    assert [entry.step for entry in journal.entries("m-1")] == ["stage"]


def test_what_has_ended_is_not_resumed(journals: Journals) -> None:
    journal = journals.driver()
    _, claim = journal.begin(MOVE, "one")
    journal.end("m-1", COMPLETED, [], claim)
    with pytest.raises(JournalError, match="cannot resume m-1"):
        journal.resume("m-1", "one")


def test_the_word_of_an_operator_is_recorded(journals: Journals) -> None:
    journal = journals.driver()
    _, claim = journal.begin(MOVE, "one")
    journal.fence("m-1", Fenced("anna", 5.0, "burnt"), claim)
    assert journals.operation("m-1").fenced == Fenced("anna", 5.0, "burnt")
    (entry,) = journal.entries("m-1")
    assert (entry.phase, entry.detail["by"]) == (FENCED, "anna")


def test_its_home_is_where_it_was_placed(journals: Journals) -> None:
    journal = journals.driver()
    _, claim = journal.begin(MOVE, "one")
    journal.place("arena", "edge-2", claim)
    assert journals.home("arena") == "edge-2"
    journal.place("arena", None, claim)
    assert journals.home("arena") is None


# one at a time
def test_an_instance_has_one_operation_at_a_time(journals: Journals) -> None:
    journal = journals.driver()
    _, claim = journal.begin(MOVE, "one")
    other = Operation("m-2", "move", "game", "arena", "edge-1", "edge-3")
    for owner in ("one", "two"):
        with pytest.raises(Busy, match=r"arena|m-1"):
            journals.driver().begin(other, owner)
    journal.wait("m-1", "no answer", claim)
    with pytest.raises(Busy, match="m-1"):
        journals.driver().begin(other, "two")
    journals.later(LEASE_S * 2)
    with pytest.raises(Busy, match="m-1"):
        journals.driver().begin(other, "two")
    assert journals.driver().resume("m-1", "two")[1].epoch == claim.epoch + 1, "a refused begin takes no claim"


def test_an_operation_begins_where_the_instance_is(journals: Journals) -> None:
    journal = journals.driver()
    _, claim = journal.begin(MOVE, "one")
    journal.place("arena", "edge-2", claim)
    journal.end("m-1", COMPLETED, [], claim)
    with pytest.raises(Busy, match="edge-2"):
        journal.begin(Operation("m-2", "move", "game", "arena", "edge-1", "edge-3"), "one")
    journal.begin(Operation("m-3", "move", "game", "arena", "edge-2", "edge-3"), "one")


# claims
def test_a_claim_is_of_one_owner_until_it_runs_out(journals: Journals) -> None:
    journal = journals.driver()
    _, claim = journal.begin(MOVE, "one")
    journals.later(LEASE_S * 0.6)
    claim.check()
    with pytest.raises(Busy, match="one"):
        journals.driver().resume("m-1", "two")
    journals.later(LEASE_S * 0.45)
    with pytest.raises(Stale):
        claim.check()
    _, later = journals.driver().resume("m-1", "two")
    assert later.epoch == claim.epoch + 1
    later.check()


def test_it_is_over_for_its_owner_before_it_is_over_for_others(journals: Journals) -> None:
    _, claim = journals.driver().begin(MOVE, "one")
    journals.later(LEASE_S * 0.97)
    with pytest.raises(Stale):
        claim.check()
    with pytest.raises(Busy):
        journals.driver().resume("m-1", "two")


def test_a_claim_that_is_given_back_is_free_at_once(journals: Journals) -> None:
    journal = journals.driver()
    claim = journal.claim("arena", "one")
    with pytest.raises(Busy, match="one"):
        journals.driver().claim("arena", "two")
    journal.release(claim)
    later = journals.driver().claim("arena", "two")
    assert later.epoch == claim.epoch + 1
    journal.release(claim)  # somebody else's is left alone
    with pytest.raises(Busy, match="two"):
        journals.driver().claim("arena", "three")


def test_epochs_only_grow(journals: Journals) -> None:
    journal, epochs, home = journals.driver(), [], "edge-1"
    for number in range(5):
        operation = Operation(f"m-{number}", "move", "game", "arena", home, "edge-2")
        _, claim = journal.begin(operation, "one")
        epochs.append(claim.epoch)
        journal.wait(operation.id, "", claim)
        _, claim = journal.resume(operation.id, "one")
        epochs.append(claim.epoch)
        journals.later(LEASE_S * 2)
        _, claim = journals.driver().resume(operation.id, "two")
        epochs.append(claim.epoch)
        journal.end(operation.id, COMPENSATED, [], claim)
        claim = journal.claim("arena", "three")
        epochs.append(claim.epoch)
        journal.release(claim)
    assert epochs == list(range(1, 21))


@pytest.mark.parametrize("call", WRITES)
def test_who_was_taken_over_changes_nothing_more(journals: Journals, call: str) -> None:
    journal = journals.driver()
    operation, claim = journal.begin(MOVE, "one")
    journal.write("m-1", [Entry("stage", DOING)], claim)
    journals.later(LEASE_S * 2)
    other = journals.driver()
    _, later = other.resume("m-1", "two")
    before = (journals.operation("m-1"), list(other.entries("m-1")), journals.home("arena"))
    with pytest.raises(Stale):
        WRITES[call](journal, operation, claim)
    assert (journals.operation("m-1"), list(other.entries("m-1")), journals.home("arena")) == before
    WRITES[call](other, operation, later)  # whoever took over can


@pytest.mark.parametrize("call", WRITES)
def test_who_gave_its_claim_back_changes_nothing_more(journals: Journals, call: str) -> None:
    journal = journals.driver()
    operation, claim = journal.begin(MOVE, "one")
    journal.wait("m-1", "no answer", claim)
    before = (journals.operation("m-1"), list(journal.entries("m-1")), journals.home("arena"))
    with pytest.raises(Stale):
        WRITES[call](journal, operation, claim)
    assert (journals.operation("m-1"), list(journal.entries("m-1")), journals.home("arena")) == before


@pytest.mark.parametrize("call", ["write", "place", "fence"])
def test_whoever_holds_it_goes_on_after_its_lease_if_nobody_else_came(journals: Journals, call: str) -> None:
    journal = journals.driver()
    operation, claim = journal.begin(MOVE, "one")
    journals.later(LEASE_S * 2)
    WRITES[call](journal, operation, claim)
