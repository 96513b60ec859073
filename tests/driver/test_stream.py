"""Sightings as lines of JSON: what is taken, what is told and passed over, and how fast they are replayed."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meghdwar.driver.stream import LINE_MAX, Bad, Clock, parse, read, replayed
from meghdwar.driver.track import Sighting


def lines(*texts: str | bytes) -> io.BytesIO:
    return io.BytesIO(b"".join((text if isinstance(text, bytes) else text.encode()) + b"\n" for text in texts))


def test_what_a_line_says() -> None:
    assert parse(b'{"subscriber": "anna", "cell": "cell-3", "at": 12.5}') == Sighting("anna", 12.5, "cell-3")
    assert parse(b'{"subscriber": "anna", "latency_ms": {"edge_a": 12, "edge_b": null}, "at": 1}') == Sighting(
        "anna", 1.0, latency_ms={"edge_a": 12.0, "edge_b": math.inf}
    )
    assert parse(b'{"subscriber": "anna", "latitude": 41.4, "longitude": 2.2, "at": 1, "id": "x", "more": []}') == (
        Sighting("anna", 1.0, place=(41.4, 2.2), id="x")
    )
    assert parse('{"subscriber": "Ånna Müller 李", "cell": "c", "at": 1}'.encode()).subscriber == "Ånna Müller 李"


def test_without_a_time_it_is_now() -> None:
    assert parse(b'{"subscriber": "anna", "cell": "c"}', lambda: 7.0).at == 7.0
    with pytest.raises(ValueError, match="does not say when"):
        parse(b'{"subscriber": "anna", "cell": "c"}', None)


BAD = {
    "": "it is no JSON",
    "7": "it is no JSON object",
    "[]": "it is no JSON object",
    "{": r"it is no JSON: .* \(column 2\)",
    '{"cell": "c", "at": 1}': "it has no subscriber",
    '{"subscriber": 7, "cell": "c", "at": 1}': "its subscriber is no name: 7",
    '{"subscriber": "", "cell": "c", "at": 1}': "its subscriber is no name",
    '{"subscriber": "*", "cell": "c", "at": 1}': "no subscriber is called '*'",
    '{"subscriber": "a\\u0000b", "cell": "c", "at": 1}': "characters that no name has: 'a\\\\x00b'",
    '{"subscriber": "a\\nb", "cell": "c", "at": 1}': "characters that no name has",
    '{"subscriber": "a\\u202eb", "cell": "c", "at": 1}': "characters that no name has",
    '{"subscriber": "\\ud800", "cell": "c", "at": 1}': "characters that no name has",
    '{"subscriber": " anna", "cell": "c", "at": 1}': "characters that no name has",
    '{"subscriber": "%s", "cell": "c", "at": 1}' % ("a" * 256): "longer than 255",
    '{"subscriber": "anna", "at": 1}': "it does not say where",
    '{"subscriber": "anna", "latency_ms": {}, "at": 1}': "it does not say where",
    '{"subscriber": "anna", "cell": ["c"], "at": 1}': "its cell is no name",
    '{"subscriber": "anna", "cell": "c", "at": NaN}': "NaN is no number",
    '{"subscriber": "anna", "cell": "c", "at": -Infinity}': "-Infinity is no number",
    '{"subscriber": "anna", "cell": "c", "at": 1e400}': "not from 0 to",
    '{"subscriber": "anna", "cell": "c", "at": -1}': "not from 0 to 1e\\+11 seconds: -1",
    '{"subscriber": "anna", "cell": "c", "at": true}': "no number of seconds: True",
    '{"subscriber": "anna", "cell": "c", "at": "12"}': "no number of seconds: '12'",
    '{"subscriber": "anna", "cell": "c", "at": 1%s}' % ("0" * 5000): "4300 digits",
    '{"subscriber": "anna", "latency_ms": {"edge_a": -1}, "at": 1}': "its latency_ms is not from 0",
    '{"subscriber": "anna", "latency_ms": [12], "at": 1}': "its latency_ms is no object",
    '{"subscriber": "anna", "latitude": 91, "longitude": 0, "at": 1}': "its latitude is not from -90 to 90",
    '{"subscriber": "anna", "latitude": 9, "at": 1}': "its longitude is no number of degrees: None",
    "[" * 50_000: "it is nested too deep",
}


@pytest.mark.parametrize(("text", "why"), BAD.items(), ids=range(len(BAD)))
def test_what_is_no_sighting_is_told(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(text.encode())


def test_bad_lines_have_a_place_and_the_others_go_on() -> None:
    file = lines(
        '{"subscriber": "anna", "cell": "cell-1", "at": 1}',
        "",
        "{oops",
        b"\xff\xfe",
        '{"subscriber": "%s' % ("a" * 3 * LINE_MAX),
        '{"subscriber": "anna", "cell": "cell-3", "at": 2}',
    )
    found = list(read(file, "sightings.jsonl"))
    assert [item.at if isinstance(item, Sighting) else str(item) for item in found] == [
        1.0,
        "cannot take sightings.jsonl:3 in: it is no JSON: Expecting property name enclosed in double quotes (column 2)",
        "cannot take sightings.jsonl:4 in: it is no UTF-8 (byte 1)",
        f"cannot take sightings.jsonl:5 in: the line is longer than {LINE_MAX} bytes",
        2.0,
    ]


def test_the_last_line_may_lack_its_end() -> None:
    assert len(list(read(io.BytesIO(b'{"subscriber": "anna", "cell": "c", "at": 1}'), "x"))) == 1


@given(st.binary(max_size=300))
def test_any_bytes_are_read_to_their_end(data: bytes) -> None:
    assert all(isinstance(item, Sighting | Bad) for item in read(io.BytesIO(data), "x"))


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("subscriber", "cell", "at", "latency_ms", "latitude", "longitude", "id"), json_values),
    )
)
def test_any_values_make_a_sound_sighting_or_are_told(values: dict[str, object]) -> None:
    try:
        found = parse(json.dumps(values).encode())
    except ValueError as error:
        assert len(str(error)) < 300  # noqa: PT017
        return
    assert found.subscriber.encode()
    assert math.isfinite(found.at)
    assert all(ms >= 0 for ms in found.latency_ms.values())


# how fast
class Time:
    def __init__(self) -> None:
        self.now = 1000.0
        self.waited: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        self.now += seconds
        return False


def stream(*times: float) -> Iterator[Sighting | Bad]:
    return iter([Sighting("anna", at, "c") for at in times])


def test_a_replay_is_so_many_times_as_fast() -> None:
    time = Time()
    assert len(list(replayed(stream(100, 110, 105, 130), 10, time.wait, time))) == 4
    assert time.waited == [1.0, 2.0]


def test_at_once() -> None:
    time = Time()
    assert len(list(replayed(stream(100, 110, 130), 0, time.wait, time))) == 3
    assert time.waited == []


def test_a_replay_can_be_ended_while_it_waits() -> None:
    assert len(list(replayed(stream(100, 110, 130), 1, lambda seconds: True, Time()))) == 1


def test_a_replay_does_not_wait_for_a_time_that_is_wrong() -> None:
    time = Time()
    found = list(replayed(stream(100, 1e9, 110), 10, time.wait, time))
    assert [type(item) for item in found] == [Sighting, Bad, Sighting]
    assert time.waited == [1.0]


def test_the_clock_goes_by_the_sightings() -> None:
    time = Time()
    clock = Clock(10, lambda: 77.0, time)
    assert clock.now() == 77
    clock.seen(5)
    time.now += 1
    assert clock.now() == 15
    clock.seen(14)  # late: a clock does not go back
    assert clock.now() == 15
    clock.seen(30)
    assert clock.now() == 30
