"""When to look at whom again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meghdwar.driver.ripening import Ripening

ANNA, BOB = ("arena", "anna", "arena"), ("arena", "bob", "arena")


def test_each_comes_once_and_when_its_time_has_come() -> None:
    ripening = Ripening()
    ripening.at(ANNA, 10)
    ripening.at(BOB, 5)
    assert ripening.ripe(4.9) == {}
    assert ripening.ripe(5) == {"arena": {"bob"}}
    assert ripening.ripe(10) == {"arena": {"anna"}}
    assert ripening.ripe(100) == {}


def test_what_was_said_last_counts() -> None:
    ripening = Ripening()
    ripening.at(ANNA, 10)
    ripening.at(ANNA, 20)
    ripening.at(BOB, 10)
    ripening.at(BOB, None)
    assert ripening.ripe(15) == {}
    assert len(ripening) == 1
    ripening.soon(ANNA, 30)
    ripening.soon(ANNA, 18)
    assert ripening.ripe(18) == {"arena": {"anna"}}


moves = st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 30), st.integers(0, 3)), max_size=40)


@given(moves)
def test_against_a_plain_map(steps: list[tuple[str, int | None, int]]) -> None:
    ripening, plain, now = Ripening(), dict[str, float](), 0.0
    for name, at, passes in steps:
        ripening.at(("x", name, "y"), at)
        plain.pop(name, None)
        if at is not None:
            plain[name] = at
        now += passes
        due = {each for each, when in plain.items() if when <= now}
        assert ripening.ripe(now) == ({"x": due} if due else {})
        for each in due:
            del plain[each]
        assert len(ripening) == len(plain)
