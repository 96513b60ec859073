"""Filters and selectors of SOL013, read and applied."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meghdwar.api import filters

KNOWN = ("id", "size", "checksum", "items", "data", "flag")
DATA: dict[str, Any] = {
    "id": "it's, here)",
    "size": 10,
    "flag": True,
    "checksum": {"hash": "ab", "algorithm": "SHA-256"},
    "items": [{"name": "a", "n": 1}, {"name": "b", "n": 20}],
    "data": {"key": "2026-11-22T10:00:00Z"},
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("(eq,id,'it''s, here)')", True),
        ("(eq,size,10)", True),
        ("(eq,size,10.0)", True),
        ("(eq,size,x)", False),
        ("(gt,size,9)", True),
        ("(gt,size,10)", False),
        ("(gte,size,10)", True),
        ("(lt,size,9)", False),
        ("(lte,size,10)", True),
        ("(eq,flag,true)", True),
        ("(eq,flag,false)", False),
        ("(eq,checksum/hash,ab)", True),
        ("(neq,checksum/hash,ab)", False),
        ("(eq,items/name,b)", True),
        ("(gt,items/n,19)", True),
        ("(nin,items/name,c,d)", True),
        ("(nin,items/name,b,d)", False),
        ("(in,items/name,x,a)", True),
        ("(cont,id,here)", True),
        ("(ncont,id,here)", False),
        ("(cont,id,there,here)", True),
        ("(gt,data/key,2026-11-21T00:00:00Z)", True),
        ("(eq,data/nothing,1)", False),
        ("(neq,data/nothing,1)", True),
        ("(eq,size,10);(eq,checksum/hash,cd)", False),
    ],
)
def test_a_filter(text: str, holds: bool) -> None:
    assert filters.holds(filters.parse(text, KNOWN), DATA) is holds


@given(st.text("()',;/aeqin0 ", max_size=40))
def test_whatever_is_asked_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        filters.holds(filters.parse(text, KNOWN), DATA)


@given(st.text(min_size=1, max_size=20))
def test_a_quoted_value_is_any_text(value: str) -> None:
    quoted = value.replace("'", "''")
    found = filters.parse(f"(eq,id,'{quoted}')", KNOWN)
    assert filters.holds(found, {"id": value})


def test_what_is_selected() -> None:
    def show(**arguments: str) -> dict[str, Any]:
        return filters.selector(arguments, KNOWN).show(DATA, ("items", "checksum"), ("id",))

    assert set(show()) == {"id", "size", "flag", "data"}
    assert show(all_fields="") == DATA
    assert show(fields="items/name")["items"] == [{"name": "a"}, {"name": "b"}]
    assert show(fields="checksum/hash,checksum/algorithm")["checksum"] == DATA["checksum"]
    assert show(exclude_fields="checksum/hash")["checksum"] == {"algorithm": "SHA-256"}
    assert "id" in show(exclude_fields="id")
    assert DATA["checksum"] == {"hash": "ab", "algorithm": "SHA-256"}
