"""What fsck finds, one picture for each problem; and what it mends on a real site, where nobody has to be asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from meghdwar.driver import mend
from meghdwar.driver.control import Driver, Event
from meghdwar.driver.fsck import CODES, REMOVE, REROUTE, START, Picture, Problem, detect
from meghdwar.driver.hypervisor import Access, Power, Seen, Unbounded
from meghdwar.driver.instance import Disk, Instance
from meghdwar.driver.inventory import InstanceRecord
from meghdwar.driver.operation import COMPENSATED, COMPLETED, RUNNING, WAITING, DriverError, Fenced, Operation
from tests.driver.test_control import home, moved_without_its_source
from tests.site import Site

ARENA = Instance("arena", "arena", "arena", "container", "counter", disks=(Disk("arena-saves", 1, "/data"),))
RECORD = InstanceRecord(ARENA, "edge_a", epoch=5)
SOUND = Seen("arena", Power.RUNNING, 5, True, "arena", ("arena-saves",), ("arena-saves",))
MOVE = Operation("m-1", "move", "arena", "arena", "edge_b", "edge_a", "warm", status=COMPLETED)


def picture(a: Seen | None = SOUND, b: Seen | None = None, **changes: object) -> Picture:
    """The arena at home at edge_a, as it should be but for the changes."""
    seen = {name: [each] if each else [] for name, each in (("edge_a", a), ("edge_b", b))}
    return replace(Picture([RECORD], seen), **changes)  # type: ignore[arg-type]


def found(of: Picture) -> list[tuple[str, str, str | None]]:
    return [(problem.code, problem.gateway, problem.mend) for problem in detect(of)]


LITTER = replace(SOUND, power=Power.STOPPED, epoch=4, writer=False, attached=())
OTHER = replace(SOUND, epoch=4)
FENCED = replace(MOVE, fenced=Fenced("kim", 1.0))
TURNED_BACK = replace(
    MOVE, source="edge_a", target="edge_b", status=COMPENSATED, fenced=Fenced("kim", 1.0, gateway="edge_b")
)


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (picture(), []),
        # at its home
        (picture(a=None), [("missing", "edge_a", None)]),
        (picture(a=Seen("arena", epoch=5)), [("missing", "edge_a", None)]),
        (picture(a=replace(SOUND, power=Power.STOPPED, attached=())), [("stopped", "edge_a", START)]),
        (picture(a=replace(SOUND, power=Power.PAUSED)), [("stopped", "edge_a", START)]),
        (picture(a=SOUND, records=[replace(RECORD, stopped=True)]), [("running", "edge_a", None)]),
        (picture(a=replace(SOUND, power=Power.STOPPED), records=[replace(RECORD, stopped=True)]), []),
        (picture(a=replace(SOUND, attached=())), [("no-state", "edge_a", START)]),
        (picture(a=replace(SOUND, writer=False)), [("not-writer", "edge_a", None)]),
        (picture(a=replace(SOUND, disks=(), attached=())), [("disk-missing", "edge_a", None)]),
        # somewhere else
        (picture(b=LITTER), [("leftover", "edge_b", REMOVE)]),
        (picture(b=replace(LITTER, power=Power.ABSENT)), [("leftover", "edge_b", REMOVE)]),
        (picture(b=Seen("arena", epoch=4)), [("leftover", "edge_b", REMOVE)]),
        (picture(b=OTHER), [("second-writer", "edge_b", None)]),
        # what may be the last copy is never removed
        (picture(a=None, b=LITTER), [("missing", "edge_a", None), ("leftover", "edge_b", None)]),
        (
            picture(a=replace(SOUND, writer=False), b=LITTER),
            [("not-writer", "edge_a", None), ("leftover", "edge_b", None)],
        ),
        (
            picture(a=replace(SOUND, disks=()), b=LITTER),
            [("disk-missing", "edge_a", None), ("leftover", "edge_b", None)],
        ),
        (
            Picture([RECORD], {"edge_b": [LITTER]}, silent={"edge_a": "no answer"}),
            [("gateway-silent", "edge_a", None), ("leftover", "edge_b", None)],
        ),
        # nothing is started beside a copy that may write
        (
            picture(a=replace(SOUND, power=Power.STOPPED, attached=()), b=OTHER),
            [("stopped", "edge_a", None), ("second-writer", "edge_b", None)],
        ),
        # a gateway that was fenced
        (picture(b=OTHER, operations=[FENCED]), [("fenced-leftover", "edge_b", REMOVE)]),
        (picture(b=OTHER, operations=[TURNED_BACK]), [("fenced-leftover", "edge_b", REMOVE)]),
        (picture(b=replace(OTHER, epoch=5), operations=[FENCED]), [("second-writer", "edge_b", None)]),
        (
            picture(a=None, b=OTHER, operations=[FENCED]),
            [("missing", "edge_a", None), ("second-writer", "edge_b", None)],
        ),
        (
            picture(b=OTHER, operations=[replace(FENCED, status=COMPENSATED)]),
            [("second-writer", "edge_b", None)],
        ),
        (
            picture(b=OTHER, operations=[replace(MOVE, id="m-2", target="edge_b", source="edge_a"), FENCED]),
            [("second-writer", "edge_b", None)],
        ),
        # a database that is older than what the gateways have seen
        (picture(a=replace(SOUND, epoch=9)), [("newer-epoch", "edge_a", None)]),
        (
            picture(a=replace(SOUND, power=Power.STOPPED, epoch=9, attached=())),
            [("newer-epoch", "edge_a", None), ("stopped", "edge_a", None)],
        ),
        (picture(b=replace(LITTER, epoch=9)), [("newer-epoch", "edge_b", None), ("leftover", "edge_b", None)]),
        # operations
        (picture(a=None, operations=[replace(MOVE, status=RUNNING)]), []),
        (
            picture(a=None, operations=[replace(MOVE, status=RUNNING)], abandoned=frozenset({"m-1"})),
            [("unfinished", "", None)],
        ),
        (
            picture(operations=[replace(MOVE, status=WAITING, error="no answer")], abandoned=frozenset({"m-1"})),
            [("unfinished", "", None)],
        ),
        (picture(a=None, busy=frozenset({"arena"})), []),
        (picture(a=None, records=[replace(RECORD, gateway=None)]), [("nowhere", "", None)]),
        # strangers
        (picture(records=[]), [("unknown", "edge_a", None)]),
        (picture(records=[], application="arena"), [("unknown", "edge_a", None)]),
        (picture(records=[], application="shop"), []),
        # routes
        (picture(routed={"arena": "edge_b"}), [("misrouted", "edge_a", REROUTE)]),
        (picture(routed={"arena": "edge_a"}), []),
    ],
)
def test_each_problem_is_found_and_nothing_else(of: Picture, expected: list[tuple[str, str, str | None]]) -> None:
    assert found(of) == expected


def test_every_problem_says_what_to_do_and_has_a_known_code() -> None:
    pictures = [case.args[0] if hasattr(case, "args") else case[0] for case in _cases()]
    problems = [problem for each in pictures for problem in detect(each)]
    assert {problem.code for problem in problems} == set(CODES)
    assert all(problem.message and problem.help for problem in problems)


def _cases():  # type: ignore[no-untyped-def]
    [mark] = [m for m in test_each_problem_is_found_and_nothing_else.pytestmark if m.name == "parametrize"]
    return mark.args[1]


# on a site
def lone(driver: Driver) -> Problem:
    [problem] = mend.problems(driver)
    return problem


def arena(driver: Driver) -> Instance:
    return driver.inventory.instance("arena").instance


def held(site: Site, gateway: str, instance: Instance, epoch: int, *, writer: bool = False) -> Unbounded:
    """A copy that nobody of us made: as another database would."""
    claim = Unbounded(epoch)
    site.gateways[gateway].hold(instance, claim, writer=writer)
    site.gateways[gateway].define(instance, claim)
    for disk in instance.disks:
        site.gateways[gateway].make_disk(instance, disk, claim)
    return claim


def stop(site: Site, driver: Driver) -> None:
    site.gateways["edge_a"].stop(arena(driver), Unbounded(driver.inventory.instance("arena").epoch))


def pause(site: Site, driver: Driver) -> None:
    site.gateways["edge_a"].pause(arena(driver), Unbounded(driver.inventory.instance("arena").epoch))


def litter(site: Site, driver: Driver) -> None:
    held(site, "edge_b", arena(driver), 1)


def misroute(site: Site, driver: Driver) -> None:
    (site.home / "routes/arena.json").write_text('{"gateway": "edge_b", "endpoint": "127.0.0.1:1"}')


@pytest.mark.parametrize(
    ("breaks", "code"), [(stop, "stopped"), (pause, "stopped"), (litter, "leftover"), (misroute, "misrouted")]
)
def test_what_needs_no_decision_is_mended(site: Site, breaks: Callable[[Site, Driver], None], code: str) -> None:
    driver = site.up()
    assert site.ask("edge_a", arena(driver), "/next") == "1"
    breaks(site, driver)
    problem = lone(driver)
    assert problem.code == code
    mended = mend.mend(driver, problem)
    assert (mended.error, bool(mended.done)) == ("", True)
    assert mend.problems(driver) == []
    assert site.ask("edge_a", arena(driver), "/next") == "2"
    assert driver.move("arena", "edge_b").status == COMPLETED  # the claim was given back, and epochs are in order


def test_what_was_mended_meanwhile_is_left_alone(site: Site) -> None:
    driver = site.up()
    stop(site, driver)
    problem = lone(driver)
    mend.mend(site.driver(), problem)
    assert mend.mend(driver, problem).done == "it is gone already"


def test_what_somebody_works_on_is_not_judged_and_not_mended(site: Site) -> None:
    driver = site.up()
    stop(site, driver)
    problem = lone(driver)
    site.driver().journal.claim("arena", "another")
    assert "another works on it" in mend.mend(driver, problem).error
    assert site.gateways["edge_a"].look(arena(driver)).power is not Power.RUNNING


def test_an_unfinished_move_is_told_and_nothing_of_it_touched(site: Site) -> None:
    def dies(event: Event) -> None:
        if event.entry is not None and (event.entry.step, event.entry.phase) == ("transfer", "done"):
            raise KeyboardInterrupt

    site.up()
    with pytest.raises(KeyboardInterrupt):
        site.driver(listener=dies).move("arena", "edge_b")
    driver = site.driver()
    problem = lone(driver)
    assert (problem.code, problem.mend) == ("unfinished", None)
    [left] = driver.journal.abandoned()
    assert f"mdw resume {left.id}" in problem.help
    assert driver.resume(left.id).status == COMPLETED
    assert mend.problems(driver) == []


def test_a_gateway_that_was_fenced_is_cleared_when_it_answers(site: Site) -> None:
    driver, cut, operation = moved_without_its_source(site)
    assert driver.resume(operation.id, fenced=Fenced("kim", 1.0, "power cut")).status == COMPLETED
    assert [problem.code for problem in mend.problems(driver)] == ["gateway-silent"]
    cut.gone.clear()
    problem = lone(driver)
    assert (problem.code, problem.gateway) == ("fenced-leftover", "edge_a")
    assert mend.mend(driver, problem).done == "removed from edge_a"
    assert site.gateways["edge_a"].inventory() == ()
    assert mend.problems(driver) == []
    assert site.driver().move("arena", "edge_a").status == COMPLETED


def test_a_second_writer_waits_for_a_person_and_is_discarded_when_named(site: Site) -> None:
    driver = site.up()
    held(site, "edge_b", arena(driver), 1, writer=True)
    problem = lone(driver)
    assert (problem.code, problem.mend) == ("second-writer", None)
    assert "mdw fsck --mend --discard arena@edge_b" in problem.help
    assert mend.mend(driver, problem).done == ""
    assert mend.discard(driver, "arena", "edge_b") == "removed from edge_b"
    assert mend.problems(driver) == []


def test_the_copy_at_home_is_never_discarded(site: Site) -> None:
    driver = site.up()
    with pytest.raises(DriverError, match="that is its home"):
        mend.discard(driver, "arena", "edge_a")
    assert mend.problems(driver) == []
    assert driver.move("arena", "edge_b").status == COMPLETED  # the claim was given back


def test_nothing_is_discarded_while_an_operation_is_not_finished(site: Site) -> None:
    driver, _, operation = moved_without_its_source(site)
    with pytest.raises(DriverError, match=f"{operation.id} is not finished"):
        mend.discard(driver, "arena", "edge_b")


def test_a_stranger_is_told_and_removed_only_when_named(site: Site) -> None:
    driver = site.up()
    stranger = replace(ARENA, name="stranger", application="shop")
    held(site, "edge_b", stranger, 40, writer=True)
    problem = lone(driver)
    assert (problem.code, problem.instance, problem.mend) == ("unknown", "stranger", None)
    assert mend.problems(driver, "arena") == []
    assert mend.discard(driver, "stranger", "edge_b") == "removed from edge_b"
    assert mend.problems(driver) == []
    assert [record.name for record in driver.inventory.instances()] == ["arena"]
    with pytest.raises(DriverError, match="there is no copy of it"):
        mend.discard(driver, "stranger", "edge_b")


def test_after_an_old_backup_a_person_says_which_copy_counts(site: Site) -> None:
    """The database is put back to before a move; the arena is really at edge_b, with a newer epoch."""
    driver = site.up()
    assert site.ask("edge_a", arena(driver), "/next") == "1"
    backup = InstanceRecord(arena(driver), "edge_a")
    for target in ("edge_b", "edge_a", "edge_b"):
        assert driver.move("arena", target).status == COMPLETED
    restored = Site.__new__(Site)
    restored.__dict__ |= site.__dict__ | {"url": f"sqlite:///{site.home}/restored.db"}
    old = restored.known(restored.driver())
    old.inventory.add_application(driver.inventory.application("arena"))
    old.inventory.add_instance(backup)
    codes = [(problem.code, problem.gateway, problem.mend) for problem in mend.problems(old)]
    assert codes == [
        ("newer-epoch", "edge_b", None),
        ("missing", "edge_a", None),
        ("second-writer", "edge_b", None),
        ("misrouted", "edge_a", None),
    ]
    assert mend.adopt(old, "arena", "edge_b") == "arena is at edge_b now"
    assert mend.problems(old) == []
    assert home(old) == "edge_b"
    assert site.ask("edge_b", arena(old), "/next") == "2"
    assert old.move("arena", "edge_a").status == COMPLETED


def test_of_two_copies_that_may_write_the_adopted_one_goes_on_alone(site: Site) -> None:
    driver = site.up()
    held(site, "edge_b", arena(driver), 7, writer=True)
    mend.adopt(driver, "arena", "edge_b")
    assert home(driver) == "edge_b"
    assert site.gateways["edge_a"].look(arena(driver)).writer is False
    problem = lone(driver)
    assert (problem.code, problem.gateway, problem.mend) == ("leftover", "edge_a", REMOVE)


def test_what_cannot_be_adopted(site: Site) -> None:
    driver = site.up()
    with pytest.raises(DriverError, match="there is no whole copy of it"):
        mend.adopt(driver, "arena", "edge_b")
    driver.inventory.remove_gateway("edge_b")
    nowhere = replace(
        site.known(site.driver()).inventory.gateway("edge_b"), access=Access("edge_b", "local", "/nowhere")
    )
    driver.inventory.remove_gateway("edge_b")
    driver.inventory.add_gateway(nowhere)
    with pytest.raises(DriverError, match="edge_b does not answer, and may have a copy that writes"):
        mend.adopt(driver, "arena", "edge_a")
    for text in ("arena", "@edge_a", "arena@"):
        with pytest.raises(DriverError, match="it has to be INSTANCE@GATEWAY"):
            mend.parse_copy(text)
