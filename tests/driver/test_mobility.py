"""When a cloudlet follows its subscriber: by examples, and by laws that hold for every stream of sightings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meghdwar.diagnostics import Span
from meghdwar.driver import track as tracks
from meghdwar.driver.mobility import QUIET_S, Sighting, Track, Wish, due, gather, ripe_at, take
from meghdwar.model import Gateway, Mobility

HERE = Span("arena.tosca.yaml")
EDGE_A = Gateway("edge_a", "local", HERE, serves=("cell-1", "cell-2"), latitude=41.409, longitude=2.218)
EDGE_B = Gateway("edge_b", "local", HERE, serves=("cell-3",), latitude=41.387, longitude=2.170)
EDGE_C = Gateway("edge_c", "local", HERE, serves=("cell-3", "cell-4"), latitude=48.856, longitude=2.352)
EDGES = (EDGE_A, EDGE_B, EDGE_C)
CELLS = Mobility("follow", ("arena",), HERE, hysteresis_s=30)
NEARER = Mobility("follow", ("arena",), HERE, trigger="nearer-site", hysteresis_s=10, margin_ms=5)


def see(*cells: tuple[float, str], home: str | None = "edge_a", mobility: Mobility = CELLS) -> tuple[Track, list[Wish]]:
    """Anna is in these cells at these times, and the cloudlet follows each wish at once."""
    track, wishes = Track(), []
    for at, cell in cells:
        track, wish = take(Sighting("anna", at, cell), track, home, EDGES, mobility)
        if wish is not None:
            home = wish.gateway
            wishes.append(wish)
    return track, wishes


# the serving cell
def test_it_follows_after_the_hysteresis() -> None:
    _, wishes = see((0, "cell-1"), (10, "cell-3"), (39, "cell-3"), (41, "cell-3"))
    assert wishes == [Wish("edge_b", "edge_b serves cell-3, for 31 s", 41)]


def test_coming_back_begins_anew() -> None:
    _, wishes = see((0, "cell-3"), (29, "cell-1"), (30, "cell-3"), (59, "cell-3"))
    assert wishes == []


def test_what_was_better_than_nowhere_is_not_yet_better_than_a_home() -> None:
    _, wishes = see((0, "cell-1"), (40, "cell-3"), (69, "cell-3"), (70, "cell-3"), home=None)
    assert [(wish.gateway, wish.at) for wish in wishes] == [("edge_a", 0), ("edge_b", 70)]


def test_another_cell_of_the_same_gateway_is_no_change() -> None:
    assert see((0, "cell-2"), (40, "cell-1"), (80, "cell-2"))[1] == []
    _, wishes = see((0, "cell-4"), (20, "cell-3"), (30, "cell-4"))
    assert [wish.gateway for wish in wishes] == ["edge_c"]  # which served all of them


def test_flapping_moves_nothing() -> None:
    cells = [(float(at), "cell-3" if at % 2 else "cell-1") for at in range(200)]
    assert see(*cells)[1] == []


def test_without_hysteresis_flapping_still_has_its_limit() -> None:
    rule = replace(CELLS, hysteresis_s=0)
    cells = [(at / 10, "cell-3" if at % 2 else "cell-1") for at in range(100)]
    wishes = see(*cells, mobility=rule)[1]
    assert all(b.at >= a.at + QUIET_S for a, b in pairwise(wishes))


def test_a_pending_move_ripens_without_a_sighting() -> None:
    track, wish = take(Sighting("anna", 100, "cell-3"), Track(), "edge_a", EDGES, CELLS)
    assert wish is None
    assert track.note.startswith("edge_b is better (edge_b serves cell-3), but not yet for 30 s; edge_c")
    ripe = ripe_at(track, CELLS)
    assert ripe == 130
    assert due(track, 129.9, "edge_a", EDGES, CELLS)[1] is None
    after, wish = due(track, ripe, "edge_a", EDGES, CELLS)
    assert wish == Wish("edge_b", "edge_b serves cell-3, for 30 s", 130)
    assert due(after, 131, "edge_a", EDGES, CELLS)[1] is None  # it is wished for already
    assert due(after, 160, "edge_a", EDGES, CELLS)[1] is not None  # it was not done: again
    settled, wish = due(after, 160, "edge_b", EDGES, CELLS)  # it was done
    assert (wish, ripe_at(settled, CELLS)) == (None, None)


def test_the_cool_down_counts_from_the_last_wish() -> None:
    rule = replace(CELLS, hysteresis_s=5, cooldown_s=60)
    cells = [(0.0, "cell-3"), (5.0, "cell-3"), (10.0, "cell-1"), (20.0, "cell-1"), (64.0, "cell-1"), (65.0, "cell-1")]
    assert [(wish.gateway, wish.at) for wish in see(*cells, mobility=rule)[1]] == [("edge_b", 5), ("edge_a", 65)]


def test_a_full_gateway_is_passed_over() -> None:
    full_b = (EDGE_A, replace(EDGE_B, capacity=2), EDGE_C)
    track, _ = take(Sighting("anna", 0, "cell-3"), Track(), "edge_a", full_b, CELLS)
    assert due(track, 30, "edge_a", full_b, CELLS, {"edge_b": 1}.__getitem__)[1] == Wish(
        "edge_b", "edge_b serves cell-3, for 30 s", 30
    )
    wish = due(track, 30, "edge_a", full_b, CELLS, {"edge_b": 2}.__getitem__)[1]
    assert wish == Wish("edge_c", "edge_b is full (2 cloudlets); edge_c serves cell-3, for 30 s", 30)
    stays, wish = due(track, 30, "edge_a", full_b[:2], CELLS, {"edge_b": 2}.__getitem__)
    assert (wish, stays.note) == (None, "edge_b is full (2 cloudlets)")


def test_an_unknown_cell_changes_nothing() -> None:
    track, wishes = see((0, "cell-9"), (100, "cell-9"))
    assert (wishes, track.note) == ([], "no gateway serves cell-9")
    assert see((0, "cell-3"), (20, "cell-9"), (35, "cell-3"))[1] == []  # nobody knows where she was


def test_the_first_sighting_builds() -> None:
    rule = replace(CELLS, hysteresis_s=30)
    assert see((0, "cell-3"), home=None, mobility=rule)[1] == [Wish("edge_b", "edge_b serves cell-3", 0)]
    assert see((0, "cell-9"), home=None, mobility=rule)[1] == []


def test_what_is_nowhere_goes_near_a_full_gateway() -> None:
    full = (EDGE_A, replace(EDGE_B, capacity=1), replace(EDGE_C, serves=("cell-4",)))
    wish = take(Sighting("anna", 0, "cell-3"), Track(), None, full, CELLS, {"edge_b": 1}.__getitem__)[1]
    assert wish == Wish("edge_a", "edge_b is full (1 cloudlets); edge_a stands near edge_b, which serves cell-3", 0)


# the nearer site
def ms(at: float, **latencies: float) -> Sighting:
    return Sighting("anna", at, latency_ms=latencies)


def follow(*sightings: Sighting, home: str | None = "edge_a", mobility: Mobility = NEARER) -> tuple[Track, list[Wish]]:
    track, wishes = Track(), []
    for sighting in sightings:
        track, wish = take(sighting, track, home, EDGES, mobility)
        if wish is not None:
            home = wish.gateway
            wishes.append(wish)
    return track, wishes


def test_it_follows_to_what_is_nearer_by_the_margin() -> None:
    _, wishes = follow(ms(0, edge_a=20, edge_b=15), ms(10, edge_a=20, edge_b=15))
    assert wishes == [Wish("edge_b", "edge_b is at 15 ms instead of 20 ms of edge_a, for 10 s", 10)]
    assert follow(ms(0, edge_a=20, edge_b=15.1), ms(10, edge_a=20, edge_b=15.1))[1] == []


def test_equal_is_not_nearer() -> None:
    rule = replace(NEARER, margin_ms=0, hysteresis_s=0)
    assert follow(ms(0, edge_a=20, edge_b=20), ms(10, edge_a=20, edge_b=20), mobility=rule)[1] == []


def test_one_spike_is_smoothed_away() -> None:
    usual = [ms(float(at), edge_a=20, edge_b=25) for at in range(10)]
    spike = ms(10, edge_a=55, edge_b=25)
    after = [ms(float(at), edge_a=20, edge_b=25) for at in range(11, 40)]
    assert follow(*usual, spike, *after)[1] == []


def test_a_home_that_does_not_answer_is_left() -> None:
    gone = [ms(0, edge_a=20, edge_b=30), ms(1, edge_a=math.inf, edge_b=30), ms(11, edge_a=math.inf, edge_b=30)]
    _, wishes = follow(*gone)
    assert wishes == [Wish("edge_b", "edge_b is at 30 ms instead of edge_a, which does not answer, for 10 s", 11)]


def test_nothing_is_compared_with_what_nobody_measured() -> None:
    track, wishes = follow(ms(0, edge_b=1), ms(100, edge_b=1))
    assert (wishes, track.note) == ([], "nobody knows the latency of edge_a, where it is")


def test_an_old_latency_is_not_known_any_more() -> None:
    first = ms(0, edge_a=50, edge_b=1)
    track, wishes = follow(first, ms(tracks.FRESH_S + 1, edge_b=1))
    assert (wishes, track.note) == ([], "nobody knows the latency of edge_a, where it is")


def test_places_say_how_near_it_is_when_nobody_measured() -> None:
    rule = replace(NEARER, margin_ms=1, hysteresis_s=0)
    paris = Sighting("anna", 0, place=(48.8, 2.3))
    wish = take(paris, Track(), "edge_a", EDGES, rule)[1]
    assert wish is not None
    assert wish.gateway == "edge_c"  # which stands in Paris, 831 km from edge_a
    assert wish.reason == "edge_c is at 0.073 ms (by its place) instead of 8.22 ms of edge_a"
    assert take(paris, Track(), "edge_a", EDGES, replace(rule, margin_ms=9))[1] is None


def test_a_cell_lies_where_its_gateway_stands() -> None:
    rule = replace(NEARER, margin_ms=1, hysteresis_s=0)
    wish = take(Sighting("anna", 0, "cell-4"), Track(), "edge_a", EDGES, rule)[1]
    assert wish is not None
    assert wish.gateway == "edge_c"


# what is dropped
@pytest.mark.parametrize(
    ("at", "now", "why"),
    [
        (100, None, "duplicate"),
        (99, None, "late"),
        (101, None, ""),
        (1000, 900, "future"),
        (960, 900, ""),
        (math.nan, None, "unreadable"),
        (math.inf, None, "unreadable"),
        (-1, None, "unreadable"),
        (1e300, None, "unreadable"),
    ],
)
def test_what_is_dropped_changes_nothing(at: float, now: float | None, why: str) -> None:
    track, _ = take(Sighting("anna", 100, "cell-3"), Track(), "edge_a", EDGES, CELLS)
    sighting = Sighting("anna", at, "cell-1")
    assert tracks.dropped(sighting, track, now) == why
    after, wish = take(sighting, track, "edge_a", EDGES, CELLS, now=now)
    assert (after is track) == bool(why)
    assert wish is None


# shared by several
def crowd_of(*cells: str, at: float = 0) -> list[Track]:
    return [tracks.observe(Sighting(f"s{n}", at, cell), Track(), ()) for n, cell in enumerate(cells)]


def test_a_shared_instance_follows_most_of_its_subscribers() -> None:
    people = crowd_of("cell-1", "cell-3", "cell-3")
    crowd, wish = gather(people, Track(), 0, "edge_a", EDGES[:2], CELLS)
    assert wish is None
    crowd, wish = gather(people, crowd, 30, "edge_a", EDGES[:2], CELLS)
    assert wish == Wish("edge_b", "edge_b is better for 2 of 3 subscribers, for 30 s", 30)
    assert gather(people, crowd, 100, "edge_b", EDGES[:2], CELLS)[1] is None


def test_a_tie_stays() -> None:
    people = crowd_of("cell-1", "cell-3")
    crowd, _ = gather(people, Track(), 0, "edge_a", EDGES[:2], CELLS)
    assert gather(people, crowd, 100, "edge_a", EDGES[:2], CELLS)[1] is None


def test_who_was_not_seen_for_long_has_no_say() -> None:
    people = [*crowd_of("cell-1", "cell-1"), *crowd_of("cell-3", at=5000)]
    crowd, _ = gather(people, Track(), 5000, "edge_a", EDGES[:2], CELLS)
    wish = gather(people, crowd, 5030, "edge_a", EDGES[:2], CELLS)[1]
    assert wish == Wish("edge_b", "edge_b is better for 1 of 1 subscribers, for 30 s", 5030)


def test_who_is_nobody_knows_where_has_no_say() -> None:
    people = crowd_of("cell-3", "cell-9", "cell-9")
    crowd, _ = gather(people, Track(), 0, "edge_a", EDGES[:2], CELLS)
    assert gather(people, crowd, 30, "edge_a", EDGES[:2], CELLS)[1] is not None


def test_a_crowd_of_nobody_stays() -> None:
    crowd, wish = gather([], Track(), 0, "edge_a", EDGES, CELLS)
    assert (wish, crowd.note) == (None, "nobody knows where its subscribers are")


# laws
names = st.sampled_from(["edge_a", "edge_b", "edge_c", "edge_x"])
latency = st.one_of(st.floats(0, 200), st.just(math.inf), st.just(math.nan))
sightings = st.builds(
    Sighting,
    st.just("anna"),
    st.integers(0, 400).map(float),
    st.sampled_from([None, "cell-1", "cell-2", "cell-3", "cell-4", "cell-9"]),
    st.dictionaries(names, latency, max_size=4),
    st.one_of(st.none(), st.tuples(st.floats(-90, 90), st.floats(-180, 180))),
)
streams = st.lists(sightings, max_size=40)
rules = st.builds(
    Mobility,
    st.just("follow"),
    st.just(("arena",)),
    st.just(HERE),
    trigger=st.sampled_from(["serving-cell", "nearer-site"]),
    hysteresis_s=st.sampled_from([0.0, 3.0, 30.0]),
    cooldown_s=st.sampled_from([0.0, 7.0, 50.0]),
    margin_ms=st.sampled_from([0.0, 5.0]),
)
homes = st.sampled_from([None, "edge_a", "edge_b", "edge_gone"])
loads = st.dictionaries(names, st.integers(0, 3), max_size=3)
LIMITED = tuple(replace(gateway, capacity=2) for gateway in EDGES)


def replay(
    stream: Sequence[Sighting], home: str | None, rule: Mobility, load: dict[str, int]
) -> tuple[Track, list[Wish]]:
    """Each sighting, and `due` a little later; every second wish comes true."""
    track, wishes = Track(), []

    def counted(gateway: str) -> int:
        return load.get(gateway, 0)

    for sighting in stream:
        for later in (None, 2.0):
            if later is None:
                track, wish = take(sighting, track, home, LIMITED, rule, counted)
            else:
                track, wish = due(track, sighting.at + later, home, LIMITED, rule, counted)
            if wish is not None:
                assert wish.gateway != home
                wishes.append(wish)
                home = wish.gateway if len(wishes) % 2 else home
    return track, wishes


@given(streams, homes, rules, loads)
def test_no_two_wishes_within_hysteresis_or_cool_down(
    stream: list[Sighting], home: str | None, rule: Mobility, load: dict[str, int]
) -> None:
    _, wishes = replay(stream, home, rule, load)
    apart = max(rule.hysteresis_s, rule.cooldown_s, QUIET_S)
    assert all(b.at >= a.at + apart for a, b in pairwise(wishes))


@given(streams, homes, rules, loads)
def test_never_to_a_full_or_unknown_gateway(
    stream: list[Sighting], home: str | None, rule: Mobility, load: dict[str, int]
) -> None:
    room = {gateway.name for gateway in LIMITED if load.get(gateway.name, 0) < 2}
    assert {wish.gateway for wish in replay(stream, home, rule, load)[1]} <= room


@given(streams, homes, rules, loads)
def test_the_same_sightings_give_the_same_wishes(
    stream: list[Sighting], home: str | None, rule: Mobility, load: dict[str, int]
) -> None:
    assert repr(replay(stream, home, rule, load)) == repr(replay(stream, home, rule, load))


@given(st.lists(sightings, max_size=25), homes, rules, st.data())
def test_repeated_and_late_sightings_change_nothing(
    stream: list[Sighting], home: str | None, rule: Mobility, data: st.DataObject
) -> None:
    def through(given_: Sequence[Sighting]) -> tuple[Track, list[Wish]]:
        track, wishes = Track(), []
        for sighting in given_:
            track, wish = take(sighting, track, home, EDGES, rule)
            wishes += [] if wish is None else [wish]
        return track, wishes

    stream = sorted({sighting.at: sighting for sighting in stream}.values(), key=lambda sighting: sighting.at)
    noisy = []
    for place, sighting in enumerate(stream):
        noisy.append(sighting)
        # any of those so far again, in any order, some with another cell
        for index in data.draw(st.lists(st.integers(0, place), max_size=3)):
            noisy.append(replace(stream[index], cell=data.draw(st.sampled_from(["cell-1", "cell-3"]))))
    assert repr(through(noisy)) == repr(through(stream))


@given(sightings, streams, homes, rules)
def test_an_older_sighting_gives_back_the_same_track(
    older: Sighting, stream: list[Sighting], home: str | None, rule: Mobility
) -> None:
    track, _ = replay(stream, home, rule, {})
    newest = track.seen_at
    older = older if newest is None or older.at <= newest else replace(older, at=newest - (older.at % 7))
    if newest is None or older.at < 0:
        return
    after, wish = take(older, track, home, EDGES, rule)
    assert after is track
    assert wish is None


@given(st.lists(st.sampled_from(["cell-1", "cell-3", "cell-4", "cell-9"]), min_size=1, max_size=20), rules)
def test_what_is_ripe_by_ripe_at_is_wished_for(cells: list[str], rule: Mobility) -> None:
    track = Track()
    for at, cell in enumerate(cells):
        track, _ = take(Sighting("anna", float(at), cell), track, "edge_a", EDGES, rule)
    at = ripe_at(track, rule)
    # nothing before, and something then; what is ripe already was wished for, so that it is quiet until later
    assert (at is None) == (not track.since)
    if at is not None:
        assert due(track, at, "edge_a", EDGES, rule)[1] is not None
        assert due(track, at - 0.5, "edge_a", EDGES, rule)[1] is None or at <= len(cells) - 1


@given(st.lists(sightings, max_size=12), homes, rules, st.randoms())
def test_the_order_of_subscribers_does_not_matter(
    seen: list[Sighting], home: str | None, rule: Mobility, random: object
) -> None:
    people = [tracks.observe(sighting, Track(), [g.name for g in EDGES]) for sighting in seen]
    mixed = list(people)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    crowd, wish = gather(people, Track(), 400, home, EDGES, rule)
    assert (repr(crowd), wish) == (repr(gather(mixed, Track(), 400, home, EDGES, rule)[0]), wish)
    assert gather(mixed, crowd, 450, home, EDGES, rule) == gather(people, crowd, 450, home, EDGES, rule)


@given(streams, homes, rules)
def test_a_track_comes_back_from_json_as_it_was(stream: list[Sighting], home: str | None, rule: Mobility) -> None:
    track, _ = replay(stream, home, rule, {})
    assert tracks.load(tracks.dump({"arena": track, "other": Track()})) == {"arena": track, "other": Track()}


@pytest.mark.parametrize("text", ["", "{}"])
def test_nothing_is_remembered_of_a_new_subscriber(text: str) -> None:
    assert tracks.load(text) == {}


@pytest.mark.parametrize(
    "text", ["[]", "7", "{", '{"version": 2, "tracks": {}}', '{"version": 1, "tracks": {"arena": {"seen_at": "x"}}}',
             '{"version": 1, "tracks": {"arena": {"since": [1]}}}', "[" * 100_000]
)  # fmt: skip
def test_what_cannot_be_read_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="cannot read what is remembered"):
        tracks.load(text)


@settings(max_examples=20)
@given(streams)
def test_a_track_stays_small(stream: list[Sighting]) -> None:
    assert len(tracks.dump({"arena": replay(stream, "edge_a", NEARER, {})[0]})) < 1000
