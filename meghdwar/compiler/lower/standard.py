"""The normative types of TOSCA as elements of the model."""

from __future__ import annotations

from collections.abc import Iterator

from meghdwar.compiler import rules
from meghdwar.compiler.lower.scope import Item, Scope
from meghdwar.compiler.topology import Template
from meghdwar.diagnostics import Diagnostic

SKIPPABLE = frozenset({rules.UNMAPPED})


def unmapped(template: Template, scope: Scope) -> Iterator[Item]:
    """A type that stands for nothing that we can build."""
    yield Diagnostic(
        rules.UNMAPPED,
        template.origin,
        f"cannot tell what to build for {template.name!r}: {template.type.name} has no mapping",
        "derive its type from one that has (docs/reference/mapping.md), or leave it out with --skip-unmapped",
    )
