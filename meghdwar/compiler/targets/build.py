"""A target at work: each kind of element in the model has a row that says what it becomes in the stack.

A target is a table of such rows; `build` walks the application once and asks the row of each element.
What a scaling builds again and again goes into a template of its own, with the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil, isfinite
from typing import Any, TypeAlias

from meghdwar.bundle import EDGE
from meghdwar.compiler import rules
from meghdwar.compiler.known import known
from meghdwar.compiler.targets import circles, hot
from meghdwar.compiler.targets.hot import Data, Stack, Values
from meghdwar.compiler.targets.wiring import Wiring
from meghdwar.diagnostics import Diagnostic, Rule, Span
from meghdwar.model import Application, Attribute, Element, Input, Parameter, Value, expressions

GIB = 1024**3


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
    wiring: Wiring
    inputs: Mapping[str, Input]
    outer: Build | None = None  # a nested template knows the one round it ...
    unit: str | None = None  # ... the scaling that it is for ...
    passed: dict[str, Data] = field(default_factory=dict)  # ... and what it has to be given
    shared: dict[tuple[object, ...], Data] = field(default_factory=dict)  # parameters that were made for a need before
    values: Values = field(init=False)
    _units: dict[str, Build] = field(default_factory=dict)
    _parts: dict[tuple[str, str], str] = field(default_factory=dict)
    _part_names: set[str] = field(default_factory=set)
    _inputs: frozenset[str] = field(init=False)
    _defaults: Mapping[str, Value] = field(init=False)
    _unknown: list[Attribute] = field(default_factory=list)
    _tied: bool = False  # something refers to what another element will know: it may go round in a circle

    def __post_init__(self) -> None:
        self.values = Values.of(
            self.inputs.values(), self._attribute_or_note, self.outer.values.used if self.outer else None
        )
        self._inputs = frozenset(self.values.names.values())
        self._defaults = {
            name: input_.default if input_.given is None else input_.given for name, input_ in self.inputs.items()
        }

    # values
    def value(self, value: Value) -> Data:
        return self.values(value)

    def known(self, value: Value) -> Value:
        """The value with what the inputs are for now in it, or None when that does not say it all."""
        return known(value, self._defaults)

    def known_bytes(self, value: Value) -> int | None:
        """A size in bytes; an input that counts GiB is counted out."""
        found = self.known(value)
        if isinstance(found, bool) or not isinstance(found, int | float) or not isfinite(found):
            return None
        return ceil(found * (GIB if self.counts_gib(value) else 1))

    def counts_gib(self, value: Value) -> bool:
        """Whether a value is an input whose number counts GiB."""
        return isinstance(value, Parameter) and value.name in self.inputs and self.inputs[value.name].unit == "GiB"

    # names and references
    def part(self, name: str, part: str) -> str:
        """The name of a resource that goes with an element's own, such as the subnet of a network."""
        found = self._parts.get((name, part))
        if found is None:
            wanted = found = self.stack.unused(f"{self.names.get(name, name)}_{part}")
            number = 2
            while found in self._part_names:
                found, number = f"{wanted}_{number}", number + 1
            self._parts[name, part] = found
            self._part_names.add(found)
        return found

    def reference(self, name: str) -> Data:
        """What stands for an element where another one names it."""
        element = self.elements.get(name)
        if element is None:
            return self.handed(f"{name}_id", self.outer.reference(name)) if self.outer else None
        row = self.rows.get(type(element))
        return row.reference(element, self) if row and row.reference else {"get_resource": self.names[name]}

    def after(self, name: str) -> str:
        """The resource that is there when an element is: for what a scaling builds, the group of all of it."""
        unit = self.wiring.unit.get(name)
        here = unit if unit is not None and unit != self.unit else name
        return self.names.get(here, here)

    def attribute(self, attribute: Attribute) -> Data:
        """What an attribute of an element is in this stack, or None."""
        name = attribute.element
        element = self.elements.get(name)
        self._tied = True
        if element is None and self.outer is not None:
            return self.handed("_".join(map(str, (name, *attribute.path))), self.outer.attribute(attribute))
        row = self.rows.get(type(element))
        if row is None or row.attribute is None:
            return None
        unit = self.wiring.unit.get(name)
        if unit is not None and unit != self.unit:
            return self._attribute_of_all(unit, attribute)
        return row.attribute(element, attribute.path, self)

    def _attribute_of_all(self, unit: str, attribute: Attribute) -> Data:
        """An attribute of something that a scaling builds is a list with the value of each."""
        inner = self.nested(unit)
        found = inner.attribute(attribute)
        if found is None:
            return None
        output = hot.resource_name("_".join(map(str, (attribute.element, *attribute.path))))
        inner.stack.output(output, found)
        row, scaling = self.rows[type(self.elements[unit])], self.elements[unit]
        return row.attribute(scaling, (output,), self) if row.attribute else None

    def _attribute_or_note(self, attribute: Attribute) -> Data:
        found = self.attribute(attribute)
        if found is None:
            self._unknown.append(attribute)
        return found

    # parameters
    def parameter(self, name: str, type_: str = "string", **more: Data) -> Data:
        """A parameter of our own making; it never takes the name of an input. Asking again gives the same one."""
        name = hot.parameter_name(name)
        while not self._is_free(name):
            name += "_"
        if self.outer is not None:
            return self.handed(name, self.outer.parameter(name, type_, **more), type_)
        return self.stack.parameter(name, type_, **more)

    def handed(self, name: str, data: Data, type_: str = "string") -> Data:
        """Something of the template round this one, as a parameter of this one."""
        if data is None:
            return None
        name = hot.parameter_name(name)
        while not self._is_free(name) or repr(self.passed.get(name, data)) != repr(data):  # a NaN is not itself
            name += "_"
        self.passed[name] = data
        return self.stack.parameter(name, type_)

    def _is_free(self, name: str) -> bool:
        """A parameter has a name that no input and no resource has."""
        taken: tuple[Container[str], ...] = (
            self._inputs,
            self.stack.reserved,
            self.stack.resources,
            self._parts.values(),
        )
        return not any(name in names for names in taken)

    # nesting
    def nested(self, unit: str) -> Build:
        """The template of what a scaling builds, built when it is first asked for."""
        if unit not in self._units:
            elements = {e.name: e for e in self.wiring.inside(unit, self.elements)}
            names = hot.resource_names(elements, self._inputs)
            title = f"{self.application.name}.{hot.resource_name(unit)}"
            stack = Stack(title, f"One of {unit}.", reserved=frozenset(names.values()))
            inner = Build(
                self.application, self.rows, self.heat, stack, elements, names, self.wiring, self.inputs, self, unit
            )
            self._units[unit] = inner
        return self._units[unit]

    def build_nested(self, unit: str) -> Iterator[Diagnostic]:
        """Builds it, once, and puts it beside this template. Yields what is wrong in it."""
        inner = self.nested(unit)
        for name in dict.fromkeys(
            e.name for e in expressions(tuple(inner.elements.values())) if isinstance(e, Parameter)
        ):
            if name in self.inputs:
                known_as = self.values.names[name]
                inner.stack.parameter(known_as, self.values.kinds[name], hidden=self.inputs[name].secret or None)
                inner.passed[known_as] = {"get_param": known_as}
        yield from inner.run()
        self.stack.nested[f"{inner.stack.name}.yaml"] = inner.stack

    def run(self) -> Iterator[Diagnostic]:
        """Asks the row of each element, in order."""
        for name, element in self.elements.items():
            row = self.rows.get(type(element))
            if row is not None and self.wiring.unit.get(name) == self.unit:
                yield from row.add(element, self)
                yield from self.unknown(rules.UNKNOWN_ATTRIBUTE, element.origin, name)
        present = self.stack.resources
        for resource in present.values():  # what somebody waits for may be nothing in this stack
            waits = resource.get("depends_on")
            if isinstance(waits, list):
                resource["depends_on"] = [name for name in waits if name in present]
                if not resource["depends_on"]:
                    del resource["depends_on"]
        if self._tied or self._units:
            yield from circles.check(self.stack)

    def unknown(self, rule: Rule, origin: Span, name: str) -> Iterator[Diagnostic]:
        for attribute in dict.fromkeys(self._unknown):
            path = ".".join(map(str, attribute.path))
            yield Diagnostic(
                rule,
                origin,
                f"cannot tell {path!r} of {attribute.element!r} for {name!r}: the stack does not know it",
                "docs/reference/mapping.md lists the attributes that a stack knows",
            )
        self._unknown.clear()


def start(application: Application, rows: Rows, heat: str) -> Build:
    """An empty stack for an application, with its parameters."""
    elements = {element.name: element for element in application.elements}
    parameters = hot.parameter_names(input_.name for input_ in application.inputs)
    names = hot.resource_names(elements, frozenset(parameters.values()))
    stack = Stack(application.name, application.description, reserved=frozenset(names.values()))
    inputs = {input_.name: input_ for input_ in application.inputs}
    build_ = Build(application, rows, heat, stack, elements, names, Wiring.of(application), inputs)
    hot.declare(stack, application.inputs, build_.values.names)
    return build_


def build(application: Application, rows: Rows, heat: str) -> tuple[Stack, list[Diagnostic]]:
    """The whole stack of an application. Elements of a kind without a row become nothing."""
    build_ = start(application, rows, heat)
    diagnostics = list(build_.run())
    secrets = {input_.name for input_ in application.inputs if input_.secret}
    for output in application.outputs:
        told = next((e.name for e in expressions(output.value) if isinstance(e, Parameter) and e.name in secrets), None)
        if told is not None:
            diagnostics.append(
                Diagnostic(
                    rules.SECRET_IN_OUTPUT,
                    output.origin,
                    f"output {output.name!r} is left out: it would show the secret input {told!r} to many",
                    "leave the secret out of it, or say `metadata: {secret: false}` at the input",
                )
            )
            continue
        value = build_.value(output.value)
        missing = list(build_.unknown(rules.OUTPUT_LEFT_OUT, output.origin, output.name))
        diagnostics.extend(missing)
        if not missing and value is not None:
            build_.stack.output(output.name, value, output.description)
    return build_.stack, [*diagnostics, *_without_effect(build_)]


def _without_effect(build_: Build) -> Iterator[Diagnostic]:
    """Inputs that neither the stack nor the plan asks for: their values are in it already, or nowhere."""
    waiting = [input_ for input_ in build_.application.inputs if input_.name not in build_.values.used]
    items = tuple(e for e in build_.application.elements if isinstance(e, EDGE)) if waiting else ()
    planned = {e.name for e in expressions(items) if isinstance(e, Parameter)}
    for input_ in waiting:
        if input_.name not in planned:
            yield Diagnostic(
                rules.FIXED_INPUT,
                input_.origin,
                f"nothing in the stack uses the input {input_.name!r}: it has no effect when the stack is created",
                f"give its value when compiling (--input {input_.name}=...), or take it out when nothing needs it",
            )
