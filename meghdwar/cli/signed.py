"""A package in a zip with its signature (SOL004, option 2): opened as onboarding does, and compiled from inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from meghdwar.compiler import Result
from meghdwar.compiler.location import Location
from meghdwar.diagnostics import Rule
from meghdwar.onboard import package, rules
from meghdwar.onboard.wrapper import holds_package

_OURS = {rule for rule in vars(rules).values() if isinstance(rule, Rule)}


def inside(path: str, work: Callable[[Location, str], Result]) -> Result | None:
    """The work on the package inside, and what its signature and its hashes are worth; None when there is none."""
    if not holds_package(Path(path)):
        return None
    found, diagnostics = package.read(Path(path))
    if found is None:
        return Result(tuple(diagnostics))
    result = work(found.archive, found.descriptor)
    worth = (diagnostic for diagnostic in diagnostics if diagnostic.rule in _OURS)
    return replace(result, diagnostics=(*worth, *result.diagnostics))
