"""Sizes, times, versions and their relatives mean what the standards say."""

from __future__ import annotations

from itertools import pairwise

import pytest

from meghdwar.compiler import units
from meghdwar.compiler.units import Version


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("size", "4 GB", 4_000_000_000),
        ("size", "4gib", 4 * 2**30),
        ("size", "1.5   KiB", 1536),
        ("size", "0.3 KiB", 308),
        ("size", ".5 kB", 500),
        ("size", "1e3 MB", 1_000_000_000),
        ("size", "-1 MB", -1_000_000),
        ("size", "0.1 TB", 100_000_000_000),
        ("time", "30 s", 30),
        ("time", "500ms", 0.5),
        ("time", "0.1 ms", 0.0001),
        ("time", "3 us", 3e-06),
        ("time", "1.5 M", 90),
        ("time", "2 d", 172_800),
        ("frequency", "2.4 GHz", 2_400_000_000),
        ("bitrate", "10 Mbps", 10_000_000),
        ("bitrate", "10 mBps", 80_000_000),
        ("bitrate", "1 Kibps", 1024),
    ],
)
def test_a_scalar_with_a_unit_is_a_number(kind: str, text: str, value: float) -> None:
    number = units.parse(f"scalar-unit.{kind}", text)
    assert number == value
    assert type(number) is type(value)


@pytest.mark.parametrize(
    "text", ["4", "GB", "", "4 XB", "4 G B", "1 000 MB", "1,5 GB", "4GB5", "0x4 GB", "1e999 B", "٣ GB"]
)
def test_what_is_no_size_is_none(text: str) -> None:
    assert units.parse("scalar-unit.size", text) is None


def test_units_of_a_2_0_type_are_exact_and_mind_their_case() -> None:
    table = {"mm": 0.001, "m": 1, "km": 1000.0}
    assert units.scale(table, "125.3 mm") == 0.1253
    assert units.scale(table, "2km") == 2000
    assert units.scale(table, "2 KM") is None


def test_unit_names_are_smallest_first() -> None:
    assert units.unit_names("scalar-unit.time") == ("ns", "us", "ms", "s", "m", "h", "d")


@pytest.mark.parametrize("text", ["6.1", "2.0.1", "3.1.0.beta", "1.0.0.alpha-10", "0", "0.0"])
def test_versions(text: str) -> None:
    assert units.version(text) is not None


@pytest.mark.parametrize("text", ["1", "a.b", "1.0.0-1", "1.0beta", "1.0.0.0.0", "1.", "", "v1.0", "1.0 "])
def test_what_is_no_version_is_none(text: str) -> None:
    assert units.version(text) is None


def test_versions_compare_by_their_parts() -> None:
    order = ["0.9", "1.0.0.alpha-9", "1.0.0.alpha-10", "1.0", "1.0.2", "1.0.10", "1.10"]
    versions = [units.version(text) for text in order]
    assert all(a < b and a <= b and not b < a for a, b in pairwise(versions) if a and b)
    assert units.version("1.0") == units.version("1.0.0") == Version(1, 0)
    assert str(units.version("1.0.0.alpha-10")) == "1.0.0.alpha-10"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01", 0),
        ("2025-04-12T23:20:50.5Z", 1744500050.5),
        ("1996-12-19T16:39:57-08:00", 851042397),
        ("1990-12-31T23:59:60Z", 662688000),
        ("2000-02-29", 951782400),
    ],
)
def test_timestamps(text: str, seconds: float) -> None:
    assert units.timestamp(text) == units.timestamp(text, space=False) == seconds


@pytest.mark.parametrize(
    "text", ["2001-02-29", "2001-13-01", "2001-12-14T24:00:00Z", "2001-12-14T10:00Z", "today", "", "20011214"]
)
def test_what_is_no_timestamp_is_none(text: str) -> None:
    assert units.timestamp(text) is None


def test_only_yaml_has_a_space_before_the_time() -> None:
    assert units.timestamp("2001-12-14 21:59:43.1 -5") == 1008385183.1
    assert units.timestamp("2001-12-14 21:59:43.1", space=False) is None


def test_base64() -> None:
    assert units.base64("R0lG\n  ODlh") == b"GIF89a"
    assert units.base64("") == b""
    assert units.base64("R0l") is units.base64("é") is units.base64("R0lG!") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1, 4], (1, 4)),
        ([0, "UNBOUNDED"], (0, None)),
        ([2, 1], None),
        ([1], None),
        ([1, 2.5], None),
        ([True, 2], None),
        ("1-4", None),
    ],
)
def test_ranges(value: object, expected: object) -> None:
    assert units.bounds(value) == expected
