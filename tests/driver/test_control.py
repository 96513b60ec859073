"""The driver on a whole site of `local` gateways: what is asked for is done, or refused with nothing changed."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from meghdwar.bundle import Bundle, BundleError
from meghdwar.driver.account import account, recovered
from meghdwar.driver.control import Driver, Event
from meghdwar.driver.hypervisor import Access, Hypervisor, HypervisorError, Unreachable
from meghdwar.driver.inventory import GatewayRecord, SubscriberRecord, Unknown
from meghdwar.driver.local import Local
from meghdwar.driver.mobility import Sighting
from meghdwar.driver.operation import COMPENSATED, COMPLETED, WAITING, Busy, DriverError, Fenced, Operation
from meghdwar.driver.track import load
from meghdwar.model import Gateway
from tests.contract.pairs import eventually
from tests.hypervisors.local import IMAGES
from tests.site import Site


def home(driver: Driver, instance: str = "arena") -> str | None:
    return driver.inventory.instance(instance).gateway


def seen(subscriber: str, at: float, cell: str) -> Sighting:
    return Sighting(subscriber, at, cell)


# up and down
def test_an_application_comes_up_moves_and_goes_down_and_nothing_is_left(site: Site) -> None:
    driver = site.up()
    arena = driver.inventory.instance("arena").instance
    assert [site.ask("edge_a", arena, "/next") for _ in range(3)] == ["1", "2", "3"]
    moved = driver.move("arena", "edge_b")
    assert (moved.status, moved.source, moved.target, moved.strategy) == (COMPLETED, "edge_a", "edge_b", "warm")
    assert site.ask("edge_b", arena, "/next") == "4"
    assert json.loads((site.home / "routes/arena.json").read_text())["gateway"] == "edge_b"
    assert site.gateways["edge_a"].inventory() == ()
    assert [operation.status for operation in driver.down("arena")] == [COMPLETED]
    assert site.gateways["edge_b"].inventory() == ()
    assert driver.inventory.applications() == []
    assert driver.inventory.instances() == []
    assert not (site.home / "routes/arena.json").exists()


def test_up_again_changes_nothing(site: Site) -> None:
    driver = site.up()
    epoch = driver.inventory.instance("arena").epoch
    assert driver.up(site.bundle(), router=f"table:{site.home}/routes", images=IMAGES) == []
    assert driver.inventory.instance("arena").epoch == epoch


def test_up_goes_on_where_an_earlier_one_died(site: Site) -> None:
    def dies(event: Event) -> None:
        if event.entry is not None and (event.entry.step, event.entry.phase) == ("wake", "doing"):
            raise KeyboardInterrupt

    driver = site.driver(listener=dies)
    with pytest.raises(KeyboardInterrupt):
        site.up(driver)
    other = site.driver()
    operations = other.up(site.bundle(), router=f"table:{site.home}/routes", images=IMAGES)
    assert [(operation.kind, operation.status) for operation in operations] == [("build", COMPLETED)]
    assert len(other.journal.operations()) == 1


def test_up_from_another_plan_or_another_way_is_refused(site: Site) -> None:
    driver = site.up()
    with pytest.raises(DriverError, match=r"another plan .* mdw down arena"):
        driver.up(site.bundle(within="6 s"), router=f"table:{site.home}/routes", images=IMAGES)
    with pytest.raises(DriverError, match="with other inputs"):
        driver.up(site.bundle(), router=f"table:{site.home}/routes", images=IMAGES, parameters={"lives": 9})
    with pytest.raises(DriverError, match=f"it is up with --router table:{site.home}/routes"):
        driver.up(site.bundle(), images=IMAGES)
    assert [operation.kind for operation in driver.journal.operations()] == ["build"]


def test_up_with_an_input_that_there_is_not_is_refused(site: Site) -> None:
    driver = site.known(site.driver())
    with pytest.raises(BundleError, match=r"it has no input 'live'; did you mean 'lives'?"):
        driver.up(site.bundle(), parameters={"live": 9})
    assert driver.inventory.applications() == []


def test_an_input_reaches_the_cloudlet(site: Site) -> None:
    driver = site.known(site.driver())
    driver.up(site.bundle(), images=IMAGES, parameters={"lives": 9})
    assert driver.inventory.instance("arena").instance.environment["LIVES"] == "9"


def test_gateways_that_nobody_knows_are_named(site: Site) -> None:
    driver = site.driver()
    with pytest.raises(DriverError, match=r"mdw gateway add edge_a --hypervisor local .*mdw gateway add edge_b"):
        driver.up(with_gateways(site, endpoint=None))
    assert driver.inventory.applications() == []


def test_gateways_whose_endpoint_the_plan_knows_are_made_known(site: Site) -> None:
    driver = site.driver()
    places = {"a": f', endpoint: "{site.home}/edge_a"', "b": f', endpoint: "{site.home}/edge_b"'}
    driver.up(site.bundle(**places), images=IMAGES)
    assert home(driver) == "edge_a"


def test_local_gateways_without_a_place_get_one_of_their_own(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(site.home / "state"))
    driver = site.driver()
    driver.up(site.bundle(), images=IMAGES)
    assert driver.inventory.gateway("edge_a").access.endpoint == str(site.home / "state/meghdwar/gateways/edge_a")
    assert [operation.status for operation in driver.down("arena")] == [COMPLETED]


def test_a_gateway_of_another_kind_is_refused(site: Site) -> None:
    driver = site.driver()
    driver.inventory.add_gateway(GatewayRecord(Access("edge_a", "lxd", "https://edge-a:8443")))
    with pytest.raises(DriverError, match="edge_a was made known as lxd, and the plan says local"):
        driver.up(site.bundle())


def test_a_gateway_that_is_too_small_is_refused(site: Site) -> None:
    driver = site.known(site.driver())
    with pytest.raises(DriverError, match="edge_a takes 0 cloudlets"):
        driver.up(with_gateways(site, capacity=0))
    assert driver.inventory.applications() == []


def with_gateways(site: Site, **changes: Any) -> Bundle:
    """The bundle with other gateways in its plan."""
    bundle = site.bundle()
    items = tuple(replace(item, **changes) if isinstance(item, Gateway) else item for item in bundle.plan.items)
    return replace(bundle, plan=replace(bundle.plan, items=items))


def test_a_build_that_fails_leaves_nothing(site: Site) -> None:
    driver = site.known(site.driver())
    [operation] = driver.up(site.bundle(image="nosuch"), images=IMAGES)
    assert operation.status == COMPENSATED
    assert site.gateways["edge_a"].inventory() == ()
    assert home(driver) is None
    driver.down("arena")
    assert driver.inventory.applications() == []


# moves that are refused
def test_moves_that_cannot_be_made(site: Site) -> None:
    driver = site.up()
    driver.inventory.add_gateway(GatewayRecord(Access("edge_c", "local", str(site.home / "edge_c"))))
    for instance, target, strategy, error, says in (
        ("arean", "edge_b", "", Unknown, "did you mean 'arena'?"),
        ("arena", "edge_x", "", Unknown, "cannot find gateway 'edge_x'"),
        ("arena", "edge_a", "", DriverError, "it is there already"),
        ("arena", "edge_c", "", DriverError, "its cluster has edge_a, edge_b"),
        ("arena", "edge_b", "live", DriverError, r"edge_a \(local\) moves with cold"),
    ):
        with pytest.raises(error, match=says):
            driver.move(instance, target, strategy=strategy)
    assert [operation.kind for operation in driver.journal.operations()] == ["build"]


def test_a_full_gateway_takes_no_more(site: Site) -> None:
    driver = site.known(site.driver())
    driver.up(with_gateways(site, capacity=1), images=IMAGES)
    arena = driver.inventory.instance("arena")
    driver.inventory.add_instance(replace(arena, instance=replace(arena.instance, name="x"), gateway="edge_b"))
    with pytest.raises(DriverError, match=r"edge_b: it is full \(1 cloudlets\)"):
        driver.move("arena", "edge_b")


def test_a_second_move_at_once_is_refused(site: Site) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def waits(event: Event) -> None:
        if event.entry is not None and event.entry.step == "pause":
            inside.set()
            assert go_on.wait(10)

    driver = site.up(site.driver(listener=waits))
    moving = threading.Thread(target=driver.move, args=("arena", "edge_b"))
    moving.start()
    assert inside.wait(10)
    with pytest.raises(Busy, match=r"cannot (claim|work on) arena"):
        site.driver().move("arena", "edge_b")
    go_on.set()
    moving.join()
    assert home(driver) == "edge_b"


# what was not finished
def test_an_interrupted_move_is_free_at_once_and_goes_on(site: Site) -> None:
    def dies(event: Event) -> None:
        if event.entry is not None and (event.entry.step, event.entry.phase) == ("transfer", "done"):
            raise KeyboardInterrupt

    site.up()
    arena = site.driver().inventory.instance("arena").instance
    assert site.ask("edge_a", arena, "/next") == "1"
    with pytest.raises(KeyboardInterrupt):
        site.driver(listener=dies).move("arena", "edge_b")
    other = site.driver()
    [operation] = other.resume_abandoned()
    assert (operation.status, operation.target) == (COMPLETED, "edge_b")
    assert site.ask("edge_b", arena, "/next") == "2"


@pytest.mark.parametrize("step", ["stage", "fence", "pause", "transfer", "attach", "wake"])
def test_a_move_is_rolled_back_from_every_step_before_reroute(site: Site, step: str) -> None:
    def dies(event: Event) -> None:
        if event.entry is not None and (event.entry.step, event.entry.phase) == (step, "done"):
            raise KeyboardInterrupt

    site.up()
    arena = site.driver().inventory.instance("arena").instance
    assert site.ask("edge_a", arena, "/next") == "1"
    with pytest.raises(KeyboardInterrupt):
        site.driver(listener=dies).move("arena", "edge_b")
    driver = site.driver()
    [left] = driver.journal.abandoned()
    assert driver.rollback(left.id, by="kim", because="changed my mind").status == COMPENSATED
    assert eventually(lambda: site.ask("edge_a", arena, "/next"), 10) == "2"  # it has only just been started again
    assert site.gateways["edge_b"].inventory() == ()
    assert home(driver) == "edge_a"
    why = [entry.detail["error"] for entry in driver.journal.entries(left.id) if entry.phase == "failed"]
    assert why == ["rolled back by kim: changed my mind"]


def test_past_reroute_there_is_no_way_back(site: Site) -> None:
    def dies(event: Event) -> None:
        if event.entry is not None and (event.entry.step, event.entry.phase) == ("settle", "doing"):
            raise KeyboardInterrupt

    site.up()
    with pytest.raises(KeyboardInterrupt):
        site.driver(listener=dies).move("arena", "edge_b")
    driver = site.driver()
    [left] = driver.journal.abandoned()
    with pytest.raises(DriverError, match=f"it can only be finished: mdw resume {left.id}"):
        driver.rollback(left.id)
    assert driver.resume(left.id).status == COMPLETED
    with pytest.raises(DriverError, match="it has ended, completed"):
        driver.resume(left.id)


class Cut:
    """Gateways that can be cut off, for `connect`."""

    def __init__(self) -> None:
        self.gone: set[str] = set()

    def connect(self, access: Access) -> Hypervisor:
        cut = self

        class Line(Local):
            def __getattribute__(self, name: str) -> Any:
                if access.gateway in cut.gone and name in ACTS:
                    raise Unreachable(access.gateway, name, "the line is cut")
                return super().__getattribute__(name)

        return Line(access)


ACTS = {name for name in vars(Hypervisor) if not name.startswith("_")} - {"gateway", "capabilities", "close"}


def moved_without_its_source(site: Site) -> tuple[Driver, Cut, Operation]:
    """A move that turned back after its last copy, and whose source was cut off when it ran again; two numbers were
    counted before and none since."""
    driver, cut, operation = cut_off(site, {("transfer", "done"): "edge_b", ("pause", "undone"): "edge_a"})
    cut.gone.remove("edge_b")
    assert driver.resume(operation.id).status == WAITING
    assert cut.gone == {"edge_a"}
    return driver, cut, operation


def cut_off(site: Site, when: Mapping[tuple[str, str], str]) -> tuple[Driver, Cut, Operation]:
    """A move of what has counted to two, and that waits since a gateway was cut off after an entry, each once."""
    cut, coming = Cut(), dict(when)

    def cuts(event: Event) -> None:
        if event.operation.kind == "move" and event.entry is not None:
            cut.gone |= {coming.pop((event.entry.step, event.entry.phase), "")} - {""}

    driver = site.up(site.driver(listener=cuts, connect=cut.connect, patience_s=0.2))
    arena = driver.inventory.instance("arena").instance
    assert [site.ask("edge_a", arena, "/next") for _ in range(2)] == ["1", "2"]
    operation = driver.move("arena", "edge_b")
    assert operation.status == WAITING
    assert "the line is cut" in operation.error
    return driver, cut, operation


def test_an_unreachable_source_is_waited_for(site: Site) -> None:
    driver, cut, operation = moved_without_its_source(site)
    assert driver.resume(operation.id).status == WAITING
    cut.gone.clear()
    assert driver.resume(operation.id).status == COMPENSATED
    assert home(driver) == "edge_a"


def test_only_an_operators_word_goes_back_without_the_target(site: Site) -> None:
    """The target was cut off when it had the right to write already."""
    cut = Cut()

    def cuts(event: Event) -> None:
        what = (event.operation.kind, event.entry.step, event.entry.phase) if event.entry is not None else None
        if what == ("move", "attach", "done"):
            cut.gone.add("edge_b")

    driver = site.up(site.driver(listener=cuts, connect=cut.connect, patience_s=0.2))
    arena = driver.inventory.instance("arena").instance
    assert site.ask("edge_a", arena, "/next") == "1"
    operation = driver.move("arena", "edge_b")
    assert operation.status == WAITING
    assert driver.rollback(operation.id).status == WAITING
    assert site.ask("edge_a", arena, "/next") is None
    fenced = Fenced("kim", 12.0, "power cut")
    done = driver.rollback(operation.id, by="kim", because="power cut", fenced=fenced)
    assert (done.status, done.fenced) == (COMPENSATED, replace(fenced, gateway="edge_b"))
    assert home(driver) == "edge_a"
    assert eventually(lambda: site.ask("edge_a", arena, "/next"), 10) == "2"
    cut.gone.clear()
    assert driver.move("arena", "edge_b").status == COMPENSATED, "fsck first: its old copy there may still write"


def test_only_an_operators_word_goes_on_without_the_source(site: Site) -> None:
    driver, _, operation = moved_without_its_source(site)
    fenced = Fenced("kim", 12.0, "power cut")
    done = driver.resume(operation.id, fenced=fenced)
    assert (done.status, done.fenced) == (COMPLETED, fenced)
    assert home(driver) == "edge_b"
    assert site.ask("edge_b", driver.inventory.instance("arena").instance, "/next") == "3"
    said = recovered(done, driver.journal.entries(done.id))
    assert re.fullmatch(
        r"arena-saves as it was at \d{4}-\d\d-\d\dT[\d:.]+Z; whatever edge_a wrote after that is lost", said
    )


def test_what_was_copied_while_the_source_ran_is_no_state_without_it(site: Site) -> None:
    """Nothing proves that it is of one moment, so it is not woken, whatever an operator says: the source is needed."""
    driver, cut, operation = cut_off(site, {("stage", "done"): "edge_a"})
    arena = driver.inventory.instance("arena").instance
    done = driver.resume(operation.id, fenced=Fenced("kim", 12.0, "power cut"))
    assert done.status == WAITING
    failed = [entry.detail for entry in driver.journal.entries(done.id) if entry.detail.get("error")]
    assert "no copy of arena-saves that was proved has reached it" in str(failed[-1])
    assert site.gateways["edge_b"].look(arena).disks == ()
    assert recovered(done, driver.journal.entries(done.id)) == ""
    cut.gone.clear()
    assert driver.resume(operation.id).status == COMPENSATED
    assert site.ask("edge_a", arena, "/next") == "3"


def test_an_application_whose_gateway_is_lost_goes_down_on_an_operators_word(site: Site) -> None:
    cut = Cut()
    driver = site.up(site.driver(connect=cut.connect, patience_s=0.1))
    cut.gone.add("edge_a")
    [waiting] = driver.down("arena")
    assert waiting.status == WAITING
    assert driver.resume(waiting.id, fenced=Fenced("kim", 12.0, "it burnt")).status == COMPLETED
    assert driver.down("arena") == []
    driver.inventory.remove_gateway("edge_a")
    assert driver.inventory.applications() == []


def test_a_build_has_no_source_to_fence(site: Site) -> None:
    def dies(event: Event) -> None:
        if event.entry is not None and event.entry.step == "wake":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        site.up(site.driver(listener=dies))
    driver = site.driver()
    [left] = driver.journal.abandoned()
    with pytest.raises(DriverError, match="a build has none"):
        driver.resume(left.id, fenced=Fenced("kim", 1.0))
    assert driver.resume(left.id).status == COMPLETED  # and it is free to go on


def test_a_hypervisor_that_is_not_installed_is_found_out_before_anything_begins(site: Site) -> None:
    def connect(access: Access) -> Hypervisor:
        raise HypervisorError(access.gateway, "speak to local", "it is not installed")

    driver = site.known(site.driver(connect=connect))
    with pytest.raises(HypervisorError, match="it is not installed"):
        driver.up(site.bundle(), images=IMAGES)
    assert driver.journal.operations() == []


# previews
def test_a_preview_changes_nothing_and_learns_from_moves(site: Site) -> None:
    driver = site.up()
    before = driver.inventory.instance("arena"), driver.journal.operations()
    first = driver.preview("arena", "edge_b")
    assert (driver.inventory.instance("arena"), driver.journal.operations()) == before
    assert (first.chosen.strategy, first.chosen.moves, first.chosen.fits) == ("warm", 0, True)
    assert first.size_bytes == 16 * 2**20
    assert [line.step for line in first.lines if line.back is None] == ["reroute", "settle", "retire"]
    operation = driver.move("arena", "edge_b")
    gap = account(driver.journal.entries(operation.id)).gap_s
    second = driver.preview("arena", "edge_a")
    assert (second.chosen.moves, second.chosen.gap_s) == (1, gap)
    back = driver.move("arena", "edge_a")
    third = driver.preview("arena", "edge_b").chosen
    assert (third.moves, third.gap_s) == (1, gap), "what moves to the same gateway took counts more than other moves"
    assert account(driver.journal.entries(back.id)).gap_s is not None


# following
def test_a_shared_cloudlet_follows_most_of_its_subscribers(site: Site) -> None:
    driver = site.up()
    [first] = driver.sight(seen("anna", 100.0, "cell-1"))
    assert (first.operation, first.noted.home) == (None, "edge_a")
    [moved] = driver.sight(seen("anna", 101.0, "cell-3"))
    assert moved.operation is not None
    assert (moved.operation.status, home(driver)) == (COMPLETED, "edge_b")
    driver.sight(seen("ben", 110.0, "cell-3"))
    [stays] = driver.sight(seen("anna", 120.0, "cell-1"))
    assert (stays.operation, home(driver)) == (None, "edge_b")  # one of two is not most
    driver.sight(seen("ben", 130.0, "cell-2"))
    assert home(driver) == "edge_a"


def test_late_and_repeated_sightings_are_dropped(site: Site) -> None:
    driver = site.up()
    driver.sight(seen("anna", 100.0, "cell-3"))
    assert home(driver) == "edge_b"
    for at, why in ((99.0, "late"), (100.0, "duplicate"), (float("nan"), "unreadable")):
        [dropped] = driver.sight(seen("anna", at, "cell-1"))
        assert (dropped.noted.dropped, dropped.operation) == (why, None)
    assert [f.noted.dropped for f in driver.sight(seen("anna", 9e9, "cell-1"), now=1000.0)] == ["future"]
    assert home(driver) == "edge_b"


def test_a_subscribers_own_instance_is_built_where_it_is_first_seen_and_follows(site: Site) -> None:
    driver = site.up(instances="per_subscriber")
    assert driver.inventory.instances() == []
    [built] = driver.sight(seen("anna", 100.0, "cell-3"))
    assert built.operation is not None
    assert (built.operation.kind, built.operation.target) == ("build", "edge_b")
    driver.sight(seen("ben", 100.0, "cell-1"))
    driver.sight(seen("anna", 110.0, "cell-1"))
    places = {r.instance.subscriber: r.gateway for r in driver.inventory.instances()}
    assert places == {"anna": "edge_a", "ben": "edge_a"}
    assert {operation.status for operation in driver.down("arena")} == {COMPLETED}
    assert driver.inventory.instances() == []


def test_hysteresis_holds_a_move_back_until_it_is_ripe(site: Site) -> None:
    driver = site.up(instances="per_subscriber", hysteresis="30 s")
    driver.sight(seen("anna", 100.0, "cell-1"))
    [noted] = driver.take_in(seen("anna", 200.0, "cell-3"))
    assert (noted.wished, "not yet" in noted.note) == (None, True)
    assert [(noted.wished, noted.ripe_at) for noted in driver.ripe(229.0)] == [(None, 230.0)]
    [ripe] = driver.ripe(231.0)
    assert ripe.wished is not None
    assert [noted.wished for noted in driver.ripe(231.5)] == [None]  # it was handed out
    followed = driver.act(ripe)
    assert followed.operation is not None
    assert (followed.operation.status, followed.operation.target) == (COMPLETED, "edge_b")


def test_a_crowd_becomes_ripe_without_a_further_sighting(site: Site) -> None:
    driver = site.up(hysteresis="30 s")
    driver.sight(seen("anna", 100.0, "cell-1"))
    driver.sight(seen("anna", 200.0, "cell-3"))
    assert home(driver) == "edge_a"
    assert [noted.wished for noted in driver.ripe(210.0)] == [None]
    assert [noted.wished.instance for noted in driver.ripe(231.0) if noted.wished] == ["arena"]


def test_what_another_driver_works_on_is_left_to_it(site: Site) -> None:
    driver = site.up()
    claim = site.driver().journal.claim("arena", "another")
    [followed] = driver.sight(seen("anna", 100.0, "cell-3"))
    assert followed.operation is None
    assert "another works on it" in followed.busy
    claim.check()


def test_sightings_of_one_subscriber_from_many_threads_are_all_taken_in_order(site: Site) -> None:
    driver = site.up(instances="per_subscriber", hysteresis="1 h")
    driver.sight(seen("anna", 1.0, "cell-1"))
    threads = [
        threading.Thread(target=driver.take_in, args=(seen("anna", 2.0 + number, "cell-1"),)) for number in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert driver.inventory.subscriber("arena", "anna").seen_at == 17.0


def test_many_sightings_at_once_are_as_one_after_the_other(site: Site) -> None:
    """Of several subscribers and of one several times; and what cannot be taken in keeps none of the others out."""
    driver = site.up(instances="per_subscriber", hysteresis="1 h")
    many = [seen(name, at, cell) for at, cell in [(10.0, "cell-1"), (20.0, "cell-3"), (15.0, "cell-1")]
            for name in ("anna", "ben", "carl")]  # fmt: skip
    broken = SubscriberRecord("arena", "ben", state="[")
    assert driver.inventory.put_subscriber(broken, expected_seen_at=None)
    outcomes = driver.take_in_all(many)
    assert [str(each) for each in outcomes if isinstance(each, Exception)] == [
        "cannot read what is remembered of a subscriber: Expecting value: line 1 column 2 (char 1)"
    ] * 3
    found = [each[0] for each in outcomes if not isinstance(each, Exception)]
    assert [noted.dropped for noted in found] == ["", "", "", "", "late", "late"]
    assert [noted.wished.wish.gateway if noted.wished else None for noted in found[:4]] == [
        "edge_a", "edge_a", None, None,
    ]  # fmt: skip
    for name in ("anna", "carl"):
        record = driver.inventory.subscriber("arena", name)
        assert (record.seen_at, load(record.state)["arena"].cell) == (20.0, "cell-3")
    assert driver.inventory.subscriber("arena", "ben") == broken


def test_many_at_once_while_another_driver_sees_one_of_them(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What two drivers read in the same moment is put by one of them; the other looks again, at that one alone."""
    driver, other = site.up(instances="per_subscriber", hysteresis="1 h"), site.driver()
    for name in ("anna", "ben"):
        driver.sight(seen(name, 1.0, "cell-1"))
    put, batches = driver.inventory.put_subscribers, []

    def slow(records: Any) -> list[bool]:
        if not batches:
            other.take_in(seen("anna", 5.0, "cell-1"))
        batches.append([record.name for record, _ in records])
        return put(records)

    monkeypatch.setattr(driver.inventory, "put_subscribers", slow)
    outcomes = driver.take_in_all(
        [seen("anna", 4.0, "cell-3"), seen("ben", 4.0, "cell-3"), seen("anna", 6.0, "cell-3")]
    )
    assert [each[0].dropped for each in outcomes if not isinstance(each, Exception)] == ["late", "", ""]
    assert batches == [["anna", "ben"], ["anna"]]
    assert driver.inventory.subscriber("arena", "anna").seen_at == 6.0
    assert driver.inventory.subscriber("arena", "ben").seen_at == 4.0


def test_nobody_can_be_called_as_the_crowd_is(site: Site) -> None:
    driver = site.up()
    assert driver.sight(seen("*", 100.0, "cell-3")) == []
    assert home(driver) == "edge_a"
