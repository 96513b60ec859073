"""Regular expressions from strangers: they match in bounded time or they are not run at all.

A pattern that cannot backtrack far runs on `re`. Any other one runs on a machine of our own that looks at all
ways to match at once, and so takes time in proportion to the length of the value.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as grammar  # type: ignore[attr-defined]
from typing import Any, TypeAlias

LENGTH_MAX = 2000  # of a pattern
VALUE_MAX = 100_000
_SIMPLE_VALUE_MAX = 300
_PROGRAM_MAX = 20_000
_WORK_MAX = 3_000_000

# a program: ("char", test) | ("at", where) | ("split", a, b) | ("jump", a) | ("match",)
_Instruction: TypeAlias = tuple[Any, ...]


class _Unsupported(Exception):
    """Something that only backtracking can match."""


@dataclass(frozen=True, slots=True)
class Pattern:
    text: str
    _regex: re.Pattern[str] = field(repr=False)
    _simple: bool = field(repr=False)

    def matches(self, value: str, *, whole: bool = True) -> bool | None:
        """Whether the pattern matches all of the value (or, not `whole`, some part); None when that takes too long."""
        if len(value) > VALUE_MAX:
            return None
        if self._simple and len(value) <= _SIMPLE_VALUE_MAX:
            return bool(self._regex.fullmatch(value) if whole else self._regex.search(value))
        try:
            program = _program(self.text)
        except (_Unsupported, RecursionError):
            return None
        if len(program) * (len(value) + 1) > _WORK_MAX:
            return None
        return _run(program, value, whole)


def compile_pattern(text: str) -> Pattern | str:
    """The pattern, or in words why there is none."""
    if len(text) > LENGTH_MAX:
        return f"it is longer than {LENGTH_MAX} characters"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            regex = re.compile(text)
            tree = grammar.parse(text)
    except re.error as error:
        return f"{error.msg} at character {error.pos + 1}" if error.pos is not None else error.msg
    except (RecursionError, OverflowError):
        return "it is nested too deeply"
    return Pattern(text, regex, _is_simple(tree))


# what may backtrack far
def _is_simple(tree: Any) -> bool:
    """Whether at most two repetitions follow each other and none holds another or a choice."""
    return _repetitions(tree, inside=False) <= 2


def _repetitions(tree: Any, inside: bool) -> int:
    many = 100
    count = 0
    for op, argument in tree:
        if op in (ops.MAX_REPEAT, ops.MIN_REPEAT):
            low, high, body = argument
            varies = low != high and high > 1
            if varies and inside:
                return many
            count += varies + _repetitions(body, inside or high > 1)
        elif op is ops.SUBPATTERN:
            count += _repetitions(argument[-1], inside)
        elif op is ops.BRANCH:
            if inside:
                return many
            count += sum(_repetitions(branch, inside) for branch in argument[1])
        elif op not in (ops.LITERAL, ops.NOT_LITERAL, ops.ANY, ops.IN, ops.AT):
            return many
    return count


# the machine
def _program(text: str) -> list[_Instruction]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = grammar.parse(text)
    if tree.state.flags & ~re.UNICODE.value:
        raise _Unsupported
    program: list[_Instruction] = []
    _compile(tree, program)
    program.append(("match",))
    return program


def _compile(tree: Any, program: list[_Instruction]) -> None:
    for op, argument in tree:
        if len(program) > _PROGRAM_MAX:
            raise _Unsupported
        if op is ops.SUBPATTERN:
            if argument[1] or argument[2]:
                raise _Unsupported
            _compile(argument[-1], program)
        elif op is ops.BRANCH:
            _compile_choice(argument[1], program)
        elif op in (ops.MAX_REPEAT, ops.MIN_REPEAT):
            low, high, body = argument
            _compile_repeat(low, high, body, program)
        elif op is ops.AT:
            program.append(("at", argument))
        else:
            program.append(("char", _test(op, argument)))


def _compile_choice(branches: list[Any], program: list[_Instruction]) -> None:
    ends = []
    for branch in branches[:-1]:
        split = len(program)
        program.append(("split",))
        _compile(branch, program)
        ends.append(len(program))
        program.append(("jump",))
        program[split] = ("split", split + 1, len(program))
    _compile(branches[-1], program)
    for end in ends:
        program[end] = ("jump", len(program))


def _compile_repeat(low: int, high: Any, body: Any, program: list[_Instruction]) -> None:
    if low > _PROGRAM_MAX:
        raise _Unsupported
    for _ in range(low):
        _compile(body, program)
    if high is ops.MAXREPEAT:
        split = len(program)
        program.append(("split",))
        _compile(body, program)
        program.append(("jump", split))
        program[split] = ("split", split + 1, len(program))
        return
    splits = []
    for _ in range(high - low):
        splits.append(len(program))
        program.append(("split",))
        _compile(body, program)
        if len(program) > _PROGRAM_MAX:
            raise _Unsupported
    for split in splits:
        program[split] = ("split", split + 1, len(program))


_CATEGORIES: dict[Any, Callable[[str], bool]] = {
    ops.CATEGORY_DIGIT: str.isdecimal,
    ops.CATEGORY_NOT_DIGIT: lambda c: not c.isdecimal(),
    ops.CATEGORY_SPACE: str.isspace,
    ops.CATEGORY_NOT_SPACE: lambda c: not c.isspace(),
    ops.CATEGORY_WORD: lambda c: c.isalnum() or c == "_",
    ops.CATEGORY_NOT_WORD: lambda c: not (c.isalnum() or c == "_"),
}


def _test(op: Any, argument: Any) -> Callable[[str], bool]:
    """What one character has to be."""
    if op is ops.LITERAL:
        return chr(argument).__eq__
    if op is ops.NOT_LITERAL:
        return chr(argument).__ne__
    if op is ops.ANY:
        return "\n".__ne__
    if op is ops.RANGE:
        low, high = chr(argument[0]), chr(argument[1])
        return lambda c: low <= c <= high
    if op is ops.CATEGORY and argument in _CATEGORIES:
        return _CATEGORIES[argument]
    if op is ops.IN:
        negated = argument[0][0] is ops.NEGATE
        tests = [_test(*item) for item in argument[negated:]]
        return (lambda c: not any(t(c) for t in tests)) if negated else (lambda c: any(t(c) for t in tests))
    raise _Unsupported


def _run(program: list[_Instruction], value: str, whole: bool) -> bool:
    last = len(value)
    threads: list[int] = []
    for position in range(last + 1):
        seen: set[int] = set()
        stack = threads if whole and position else [*threads, 0]
        waiting: list[int] = []
        while stack:
            at = stack.pop()
            if at in seen:
                continue
            seen.add(at)
            kind, *rest = program[at]
            if kind == "char":
                waiting.append(at)
            elif kind == "match":
                if not whole or position == last:
                    return True
            elif kind != "at":
                stack.extend(rest)
            elif _is_at(rest[0], value, position):
                stack.append(at + 1)
        if position < last:
            character = value[position]
            threads = [at + 1 for at in waiting if program[at][1](character)]
    return False


def _is_at(where: Any, value: str, position: int) -> bool:
    last = len(value)
    if where in (ops.AT_BEGINNING, ops.AT_BEGINNING_STRING):
        return position == 0
    if where is ops.AT_END:
        return position == last or (position == last - 1 and value[position] == "\n")
    if where is ops.AT_END_STRING:
        return position == last
    is_word = _CATEGORIES[ops.CATEGORY_WORD]
    before = position > 0 and is_word(value[position - 1])
    after = position < last and is_word(value[position])
    return (before != after) is (where is ops.AT_BOUNDARY)
