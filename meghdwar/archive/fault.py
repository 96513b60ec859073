"""Why an archive is refused, before anybody knows what it is called."""

from __future__ import annotations

from typing import NamedTuple

from meghdwar.diagnostics import Diagnostic, Rule, Span


class Fault(NamedTuple):
    """A rule that is broken, one sentence, and what to do."""

    rule: Rule
    message: str
    help: str = "pack it again"

    def at(self, file: str) -> Diagnostic:
        return Diagnostic(self.rule, Span(file), self.message, self.help)


class Refused(Exception):
    """Reading ends here: the archive, or one of its entries, is not what it says."""

    def __init__(self, rule: Rule, message: str, help_: str = "pack it again") -> None:
        super().__init__(message)
        self.fault = Fault(rule, message, help_)
