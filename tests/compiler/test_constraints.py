"""Constraint clauses of 1.x and validation functions of 2.0 are read, kept and broken, always in bounded time."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meghdwar.compiler import patterns, units
from meghdwar.compiler.constraints import Clause, parse_clause, violation
from meghdwar.compiler.patterns import Pattern, compile_pattern
from meghdwar.compiler.source import Node, read
from meghdwar.compiler.validation import evaluate
from meghdwar.model import Parameter


def node(text: str) -> Node:
    found, problems = read(text, "f.yaml")
    assert found is not None
    assert problems == []
    return found


def clause(text: str, convert: Callable[[Node], object] = Node.data) -> Clause:
    found, problems = parse_clause(node(text), convert)
    assert problems == []
    assert found is not None
    return found


def size(value: Node) -> object:
    return units.parse("scalar-unit.size", value.text)


@pytest.mark.parametrize(
    ("text", "good", "bad", "words"),
    [
        ("{equal: 2}", 2, 3, "is 3 but has to be 2"),
        ("{equal: true}", True, 1, "is 1 but has to be true"),
        ("{equal: [a, b]}", ["a", "b"], ["a"], "is a list but has to be ['a', 'b']"),
        ("{greater_than: 1}", 1.5, 1, "is 1 but has to be greater than 1"),
        ("{greater_or_equal: 1}", 1, 0.5, "is 0.5 but has to be at least 1"),
        ("{less_than: 1.5}", 1, 1.5, "is 1.5 but has to be less than 1.5"),
        ("{less_or_equal: 1}", 1, 2, "is 2 but has to be at most 1"),
        ("{less_or_equal: 1}", 0, "a", "is 'a' but has to be at most 1"),
        ("{in_range: [1, 4]}", 4, 9, "is 9 but has to be in range 1 to 4"),
        ("{in_range: [1, UNBOUNDED]}", 10**9, 0, "is 0 but has to be in range 1 to UNBOUNDED"),
        ("{valid_values: [a, b]}", "b", "c", "is 'c' but has to be one of a, b"),
        ("{valid_values: [1, 2]}", 2, "2", "is '2' but has to be one of 1, 2"),
        ("{length: 2}", "ab", "abc", "has length 3 but has to have length 2"),
        ("{min_length: 2}", [1, 2], [1], "has length 1 but has to have at least length 2"),
        ("{max_length: 1}", {}, {"a": 1, "b": 2}, "has length 2 but has to have at most length 1"),
        ("{pattern: '[a-z]+'}", "abc", "abc1", "is 'abc1' but has to match the pattern '[a-z]+'"),
    ],
)
def test_a_clause_is_kept_or_broken(text: str, good: object, bad: object, words: str) -> None:
    assert violation(clause(text), good) is None
    assert violation(clause(text), bad) == words


def test_operands_with_units_are_shown_as_written() -> None:
    limit = clause("{in_range: [1 MB, 2 GB]}", size)
    assert limit.operand == (10**6, 2 * 10**9)
    assert violation(limit, 10**9) is None
    assert violation(limit, 10**5, "100 kB") == "is 100 kB but has to be in range 1 MB to 2 GB"


def test_what_is_not_known_yet_breaks_nothing() -> None:
    assert violation(clause("{equal: 1}"), Parameter("x")) is None
    assert violation(clause("{greater_than: 1}", lambda n: Parameter("x")), 0) is None
    assert violation(clause("{valid_values: [1, 2]}", lambda n: Parameter("x")), 0) is None
    assert violation(clause("{schema: anything}"), 1) is None


@pytest.mark.parametrize(
    ("text", "place", "code", "message"),
    [
        ("{in_rage: [1, 4]}", "1:2", "MDW205", "cannot find the constraint operator 'in_rage'"),
        ("{equal: 1, length: 2}", "1:1", "MDW205", "cannot read this map as a constraint"),
        ("[equal, 1]", "1:1", "MDW205", "cannot read this list as a constraint"),
        ("{greater_than: }", "1:16", "MDW205", "cannot compare with nothing: it is no value for 'greater_than' here"),
        ("{in_range: 4}", "1:12", "MDW205", "cannot read this as a range"),
        ("{in_range: [4, 1]}", "1:12", "MDW205", "cannot have a range that runs backwards, from 4 to 1"),
        ("{in_range: [4, {}]}", "1:16", "MDW205", "cannot compare with this map: it is no value for 'in_range' here"),
        ("{valid_values: 3}", "1:16", "MDW205", "cannot read this integer as valid values"),
        ("{valid_values: []}", "1:16", "MDW205", "cannot read this list as valid values"),
        ("{min_length: -1}", "1:14", "MDW205", "cannot use -1 as a length"),
        ("{length: two}", "1:10", "MDW205", "cannot use 'two' as a length"),
        ("{pattern: '('}", "1:11", "MDW206", "cannot use this regular expression: missing ), unterminated subpattern"),
        ("{pattern: [a]}", "1:11", "MDW205", "cannot use this list as a pattern"),
    ],
)
def test_a_bad_clause_has_its_place(text: str, place: str, code: str, message: str) -> None:
    found, (problem, *more) = parse_clause(node(text))
    assert found is None
    assert more == []
    assert (f"{problem.span.line}:{problem.span.column}", problem.rule.code) == (place, code)
    assert problem.message.startswith(message)
    assert problem.help


def test_an_unknown_operator_has_a_way_out() -> None:
    assert parse_clause(node("{in_rage: [1, 4]}"))[1][0].help == "did you mean 'in_range'?"


def test_every_operand_of_the_wrong_type_is_found() -> None:
    problems = parse_clause(node("{valid_values: [1 MB, x, y]}"), size)[1]
    assert [p.span.column for p in problems] == [23, 26]


# patterns
PIECES = [
    "a",
    "b",
    "[ab]",
    "[^a]",
    ".",
    "\\d",
    "(a|b)",
    "(a|ab)",
    "^",
    "$",
    "\\b",
    "(a*)",
    "(b+)+",
    "a{2,3}",
    "(a?b){1,2}",
    "a*?",
]


@given(st.lists(st.sampled_from(PIECES), max_size=5).map("".join), st.text("ab1 ", max_size=8))
def test_our_machine_agrees_with_re(text: str, value: str) -> None:
    program = patterns._program(text)
    assert patterns._run(program, value, True) == bool(re.fullmatch(text, value))
    assert patterns._run(program, value, False) == bool(re.search(text, value))


@pytest.mark.parametrize("text", ["(a+)+b", "(a|a)*b", "a*a*a*a*a*b", "(x+x+)+y", "(.*,){20}b", "(a?){50}a{50}"])
def test_no_pattern_runs_away(text: str) -> None:
    pattern = compile_pattern(text)
    assert isinstance(pattern, Pattern)
    assert pattern.matches("a" * 3000) in (False, None)


def test_what_only_backtracking_can_match_is_not_run() -> None:
    pattern = compile_pattern("(a+)+(?=b)")
    assert isinstance(pattern, Pattern)
    assert pattern.matches("a" * 40) is None


@pytest.mark.parametrize("text", ["(", "[", "*", "a{2,1}", "(" * 600 + ")" * 600, "a" * 3000, "\\p{L}"])
def test_what_is_no_pattern_is_said_in_words(text: str) -> None:
    assert isinstance(compile_pattern(text), str)


# the functions of 2.0
@pytest.mark.parametrize(
    ("text", "good", "bad"),
    [
        ("{$equal: [$value, 2]}", 2, 3),
        ("{$greater_than: [$value, 2]}", 3, 2),
        ("{$greater_or_equal: [$value, 2]}", 2, 1),
        ("{$less_than: [$value, 2]}", 1, 2),
        ("{$less_or_equal: [$value, 2]}", 2, 3),
        ("{$valid_values: [$value, [1, 2]]}", 2, 3),
        ("{$matches: [$value, '^a+$']}", "aa", "ab"),
        ("{$matches: [$value, 'b']}", "abc", "ac"),
        ("{$has_prefix: [$value, ab]}", "abc", "cab"),
        ("{$has_suffix: [$value, [2, 3]]}", [1, 2, 3], [2, 3, 1]),
        ("{$contains: [$value, [2, 3]]}", [1, 2, 3, 4], [2, 4, 3]),
        ("{$contains: [$value, b]}", "abc", "ac"),
        ("{$has_entry: [$value, 1]}", {"a": 1}, {"a": 2}),
        ("{$has_key: [$value, a]}", {"a": 1}, {"b": 1}),
        ("{$has_all_keys: [$value, [a, b]]}", {"a": 1, "b": 1}, {"a": 1}),
        ("{$has_any_key: [$value, [a, b]]}", {"a": 1}, {"c": 1}),
        ("{$has_all_entries: [$value, [1, 2]]}", [2, 1, 3], [1]),
        ("{$has_any_entry: [$value, [1, 2]]}", [2], [3]),
        ("{$and: [{$greater_than: [$value, 1]}, {$less_than: [$value, 4]}]}", 2, 4),
        ("{$or: [{$equal: [$value, 1]}, {$equal: [$value, 4]}]}", 4, 2),
        ("{$not: [{$equal: [$value, 1]}]}", 2, 1),
        ("{$xor: [{$greater_than: [$value, 1]}, {$greater_than: [$value, 4]}]}", 2, 5),
        ("{$less_or_equal: [{$length: [$value]}, 2]}", "ab", "abc"),
        ("{$equal: [{$sum: [$value, 1, {$product: [2, 3]}]}, 9]}", 2, 3),
        ("{$equal: [{$round: [$value]}, 3]}", 3.5, 3.53),
        ("{$equal: [{$remainder: [$value, 4]}, 0]}", 8, 9),
        ("{$equal: [{$token: [$value, '.:', 1]}, b]}", "a:b.c", "a.c"),
        ("{$equal: [{$join: [[$value, b], '-']}, a-b]}", "a", "c"),
        ("{$equal: [{$concat: [$value, b]}, ab]}", "a", "b"),
        ("{$equal: [{$length: [{$union: [$value, [1, 2]]}]}, 2]}", [1], [3]),
        ("{$equal: [{$intersection: [$value, [1, 2]]}, [1]]}", [1], [2]),
        ("{$equal: [$value, $$x]}", "$x", "$$x"),
    ],
)
def test_a_validation_clause_is_kept_or_broken(text: str, good: object, bad: object) -> None:
    expression = node(text).data()
    assert evaluate(expression, good) is True
    assert evaluate(expression, bad) is False


def test_a_validation_clause_reads_units() -> None:
    expression = node("{$greater_or_equal: [$value, 1 GB]}").data()
    assert evaluate(expression, 10**9, lambda text: units.parse("scalar-unit.size", text)) is True
    assert evaluate(expression, 10**8, lambda text: units.parse("scalar-unit.size", text)) is False


@pytest.mark.parametrize(
    "text",
    [
        "{$equal: [$value, {$get_input: x}]}",
        "{$my_own: [$value]}",
        "{$equal: [$value]}",
        "{$length: [$value]}",
        "{$and: [true, {$get_input: x}]}",
        "{$greater_than: [$value, a]}",
        "{$greater_than: [{$quotient: [1, 0]}, 1]}",
        "{$equal: [{$product: [a, 1000000000]}, a]}",
        "{$matches: [$value, '(']}",
        "{$has_entry: [$value, a]}",
        "{$equal: [{$token: [a, '', 3]}, a]}",
        "true story",
        "[1]",
    ],
)
def test_what_cannot_be_known_now_is_none(text: str) -> None:
    assert evaluate(node(text).data(), 7) is None


def test_logic_knows_what_it_can() -> None:
    assert evaluate(node("{$or: [true, {$get_input: x}]}").data(), 7) is True
    assert evaluate(node("{$and: [{$get_input: x}, {$equal: [$value, 8]}]}").data(), 7) is False


def test_long_lists_end() -> None:
    assert evaluate(node("{$has_all_entries: [$value, [1]]}").data(), list(range(100_000))) is None
