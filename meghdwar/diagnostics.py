"""Problems are values: a place, a code that never changes, one sentence and a way out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from heapq import nsmallest
from posixpath import commonprefix


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A place in a file; line and column count from 1, and column 0 means the whole line."""

    file: str
    line: int = 1
    column: int = 0
    length: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column or 1}"


@dataclass(frozen=True, slots=True)
class Rule:
    """What can be wrong: the code is stable, the name is for people, docs/errors/CODE.md explains it."""

    code: str
    name: str
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem at one place; `help` says what to do, `related` points at other places that matter."""

    rule: Rule
    span: Span
    message: str
    help: str
    related: tuple[tuple[Span, str], ...] = ()

    @property
    def is_error(self) -> bool:
        return self.rule.severity is Severity.ERROR

    def as_error(self) -> Diagnostic:
        """The same problem where it does stand in the way."""
        return replace(self, rule=replace(self.rule, severity=Severity.ERROR))

    def as_warning(self) -> Diagnostic:
        """The same problem where it does not stand in the way."""
        if not self.is_error:
            return self
        return replace(self, rule=replace(self.rule, severity=Severity.WARNING))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A way out for a misspelt name: the nearest known ones, or "" when nothing is near.

    It takes a millisecond at most, for a file with thousands of names may have thousands of mistakes.
    """
    names = set(known)
    near = _alike(word, names) if len(names) <= _COMPARED_MAX else sorted(_one_slip(word) & names)
    if not near:
        return ""
    return "did you mean " + " or ".join(repr(name) for name in near[:2]) + "?"


_COMPARED_MAX, _ALIKE = 500, 0.6
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."


def _alike(word: str, names: Iterable[str]) -> list[str]:
    """Names one slip away or with most pairs of letters in common, nearest first; of dotted ones the last part."""
    scores: dict[str, float] = {}
    last = word.rpartition(".")[2]
    pairs = _pairs(last)
    for name in names:
        end = name.rpartition(".")[2]
        share = 2 * len(pairs & _pairs(end)) / (len(pairs) + len(_pairs(end)) or 1)
        if _is_one_slip(word, name):
            scores[name] = 2
        elif _is_one_slip(last, end) or share >= _ALIKE:
            scores[name] = share
    slips = {name: score for name, score in scores.items() if score == 2} or scores
    return sorted(slips, key=lambda name: (-slips[name], name))


@lru_cache(maxsize=4096)
def _pairs(word: str) -> frozenset[str]:
    word = word.lower()
    return frozenset(word[i : i + 2] for i in range(len(word) - 1)) or frozenset(word)


def _is_one_slip(word: str, name: str) -> bool:
    """One letter too few, too many or wrong, or two in the other order."""
    longer = max(len(word), len(name))
    if abs(len(word) - len(name)) > 1 or longer < 2 or (word[:1] != name[:1] and word[-1:] != name[-1:]):
        return False
    same = len(commonprefix((word, name)))
    rest, other = word[same:], name[same:]
    return (
        rest[1:] == other
        or rest == other[1:]
        or rest[1:] == other[1:]
        or rest[:2] + rest[2:] == other[1::-1] + other[2:]
    )


@lru_cache(maxsize=8)
def _one_slip(word: str) -> frozenset[str]:
    """Everything that is one slip away from a word."""
    cuts = [(word[:i], word[i:]) for i in range(min(len(word), 60) + 1)]
    found = {a + b[1:] for a, b in cuts if b} | {a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1}
    found.update(a + letter + b[1:] for a, b in cuts if b for letter in _LETTERS)
    found.update(a + letter + b for a, b in cuts for letter in _LETTERS)
    return frozenset(found)


def nearest(word: str, known: Iterable[str]) -> str:
    """A way out where a name is wanted: what may have been meant, or else what there is."""
    names = set(known)
    more = ", ..." if len(names) > 8 else ""
    return did_you_mean(word, names) or (
        f"there are {', '.join(nsmallest(8, names))}{more}" if names else "there is none here"
    )
