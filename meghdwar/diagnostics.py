"""Problems are values: a place, a code that never changes, one sentence and a way out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


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
    """A way out for a misspelt name: the nearest known ones, or "" when nothing is near."""
    from difflib import get_close_matches

    names = sorted(set(known))
    short = {name.rpartition(".")[2].lower(): name for name in reversed(names)}
    near = get_close_matches(word, names, n=2, cutoff=0.72)
    if not near:
        last = word.rpartition(".")[2].lower()
        near = [short[n] for n in get_close_matches(last, list(short), n=1, cutoff=0.8)]
    if not near:
        return ""
    return "did you mean " + " or ".join(repr(name) for name in near) + "?"


def nearest(word: str, known: Iterable[str]) -> str:
    """A way out where a name is wanted: what may have been meant, or else what there is."""
    names = sorted(set(known))
    more = ", ..." if len(names) > 8 else ""
    return did_you_mean(word, names) or (f"there are {', '.join(names[:8])}{more}" if names else "there is none here")
