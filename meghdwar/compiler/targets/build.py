"""A target at work: each kind of element in the model has a row that says what it becomes in the stack.

A target is a table of such rows; `build` walks the application once and asks the row of each element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from meghdwar.compiler.targets import hot
from meghdwar.compiler.targets.hot import Data, Stack, Values
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import Application, Attribute, Element, Value


@dataclass(frozen=True, slots=True)
class Row:
    """What one kind of element becomes.

    `add` puts its resources into `build.stack`; `attribute` says what an attribute of it is in a template
    (None: the stack cannot tell); `reference` is what others name it by, get_resource when absent.
    """

    add: Callable[[Any, Build], Iterable[Diagnostic]]
    attribute: Callable[[Any, tuple[str | int, ...], Build], Data] | None = None
    reference: Callable[[Any, Build], Data] | None = None


Rows: TypeAlias = Mapping[type, Row]


@dataclass(slots=True)
class Build:
    """A stack being built from an application. `names` are the resources' names by element."""

    application: Application
    rows: Rows
    heat: str  # the release of the Heat that will read it
    stack: Stack
    elements: Mapping[str, Element]
    names: Mapping[str, str]
    values: Values
    outer: Build | None = None  # a nested template knows the one round it ...
    passed: dict[str, Data] = field(default_factory=dict)  # ... and what it has to be given by it

    def value(self, value: Value) -> Data:
        return self.values(value)

    def reference(self, name: str) -> Data:
        """What stands for an element where another one names it."""
        element = self.elements.get(name)
        if element is None:
            return self.outer.reference(name) if self.outer else None
        row = self.rows.get(type(element))
        return row.reference(element, self) if row and row.reference else {"get_resource": self.names[name]}

    def attribute(self, attribute: Attribute) -> Data:
        """What an attribute of an element is in this stack, or None."""
        element = self.elements.get(attribute.element)
        row = self.rows.get(type(element))
        return row.attribute(element, attribute.path, self) if row and row.attribute else None


def build(application: Application, rows: Rows, heat: str) -> tuple[Stack, list[Diagnostic]]:
    """The whole stack of an application. Elements of a kind without a row become nothing."""
    elements = {element.name: element for element in application.elements}
    names = hot.resource_names(elements)
    stack = Stack(application.name, application.description, reserved=frozenset(names.values()))
    values = Values.of(application.inputs, lambda attribute: self.attribute(attribute))
    self = Build(application, rows, heat, stack, elements, names, values)
    hot.declare(stack, application.inputs, values.names)
    diagnostics: list[Diagnostic] = []
    for element in application.elements:
        row = rows.get(type(element))
        if row is not None:
            diagnostics.extend(row.add(element, self))
    for output in application.outputs:
        stack.output(output.name, self.value(output.value), output.description)
    return stack, diagnostics
