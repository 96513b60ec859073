"""TOSCA in, a bundle out: read -> check -> build -> lower -> emit."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from meghdwar.compiler import build, flavours, inputs, rules
from meghdwar.compiler.check import check
from meghdwar.compiler.documents import load
from meghdwar.compiler.location import Location, open_location
from meghdwar.diagnostics import Diagnostic, Span

if TYPE_CHECKING:
    from meghdwar.bundle import Bundle, Plan
    from meghdwar.compiler.service import Service
    from meghdwar.compiler.source import Node
    from meghdwar.compiler.targets.hot import Stack
    from meghdwar.compiler.topology import Topology
    from meghdwar.model import Application

NO_INPUTS: Mapping[str, object] = {}
_STAND_IN = """#!/bin/sh
# {path} was not there when this stack was compiled. Put the real script here.
echo 'meghdwar: the script {path} is missing' >&2
exit 1
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a descriptor. `sources` are the texts of the files read, by the names that diagnostics use."""

    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, str] = field(default_factory=dict)
    topology: Topology | None = None
    application: Application | None = None
    bundle: Bundle | None = None
    frame: Topology | None = None  # of a VNF with flavours: the one that says what it is; `topology` is the flavour's

    @property
    def failed(self) -> bool:
        return any(item.is_error for item in self.diagnostics)


def check_file(
    path: str,
    *,
    target: str = "senlin",
    heat: str = "2024.1",
    inputs: Mapping[str, object] = NO_INPUTS,
    skip_unmapped: bool = False,
) -> Result:
    """What is wrong with a descriptor, in a folder or a package. What cannot become a stack is only warned of."""
    found = open_location(path)
    if isinstance(found, list):
        return Result(tuple(found))
    return check_location(*found, target=target, heat=heat, inputs=inputs, skip_unmapped=skip_unmapped)


def check_location(
    location: Location,
    entry: str,
    *,
    target: str = "senlin",
    heat: str = "2024.1",
    inputs: Mapping[str, object] = NO_INPUTS,
    skip_unmapped: bool = False,
) -> Result:
    """As `check_file`, of a location that is open already."""
    from meghdwar.compiler.lower import SAID_OF_STACKS, SAID_OF_TARGETS

    with _collecting_later():
        result = _understood(location, entry, inputs, skip_unmapped)
        if not result.failed and result.application is not None:
            more = [
                item for item in _targeted(result.application, target, heat)[2] if item.rule.code in SAID_OF_TARGETS
            ]
            result = replace(result, diagnostics=(*result.diagnostics, *more))
    mild = [item.as_warning() if item.rule.code in SAID_OF_STACKS else item for item in result.diagnostics]
    return _shown(replace(result, diagnostics=tuple(mild)), location)


def compile_file(
    path: str,
    *,
    target: str = "senlin",
    heat: str = "2024.1",
    inputs: Mapping[str, object] = NO_INPUTS,
    skip_unmapped: bool = False,
) -> Result:
    """The bundle of a descriptor, or what stands in its way. Reads the files beside it and nothing else.

    `inputs` are values for the template's inputs; `heat` is a release that `targets.releases` lists. The same
    descriptor and inputs give the same bytes.
    """
    with _collecting_later():
        found = open_location(path)
        if isinstance(found, list):
            return Result(tuple(found))
        return _compile(*found, target, heat, inputs, skip_unmapped)


def compile_location(
    location: Location,
    entry: str,
    *,
    target: str = "senlin",
    heat: str = "2024.1",
    inputs: Mapping[str, object] = NO_INPUTS,
    skip_unmapped: bool = False,
) -> Result:
    """As `compile_file`, of a location that is open already."""
    with _collecting_later():
        return _compile(location, entry, target, heat, inputs, skip_unmapped)


@contextmanager
def _collecting_later() -> Iterator[None]:
    """Everything made while compiling is kept to its end, and looking for garbage would take a third of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _compile(
    location: Location, entry: str, target: str, heat: str, inputs: Mapping[str, object], skip_unmapped: bool
) -> Result:
    result = _understood(location, entry, inputs, skip_unmapped)
    if not result.failed and result.application is None:
        help_ = "use --check for files that only define types"
        span = Span(entry)
        missing = Diagnostic(
            rules.NO_SERVICE_TEMPLATE, span, "cannot make a stack of this: it has no topology template", help_
        )
        result = replace(result, diagnostics=(*result.diagnostics, missing))
    elif not result.failed and result.application is not None:
        result = _emitted(result, result.application, location, target, heat)
    return _shown(result, location)


def _understood(location: Location, entry: str, given: Mapping[str, object], skip_unmapped: bool) -> Result:
    """As far as the model, without a thought of where it will run."""
    documents, texts, problems = load(location, entry)
    service, diagnostics = check(documents, location, problems)
    result = Result((), texts)
    if service is None:
        return replace(result, diagnostics=tuple(diagnostics))
    values, wrong = inputs.given(service, given)
    diagnostics += wrong
    if any(item.is_error for item in diagnostics):
        return replace(result, diagnostics=(*diagnostics, *_edge_rules(service, values, diagnostics)))
    from meghdwar.compiler.lower import lower

    topology, unclear = build.build(service, values)
    flavour = flavours.chosen(topology, documents[1:])
    if isinstance(flavour, Diagnostic):
        return replace(result, diagnostics=(*diagnostics, *unclear, flavour), topology=topology)
    if flavour is not None:
        inner = _framed(_understood(location, flavour.path, flavour.inputs, skip_unmapped), topology)
        told = (*diagnostics, *unclear, *flavour.problems, *inner.diagnostics)
        return replace(inner, diagnostics=told, sources={**texts, **inner.sources})
    application, unmapped = lower(topology, skip_unmapped=skip_unmapped)
    return replace(result, diagnostics=(*diagnostics, *unclear, *unmapped), topology=topology, application=application)


def _framed(result: Result, frame: Topology) -> Result:
    """A flavour under the name of its VNF. Of what the VNF tells it, only what it uses is a parameter of the stack."""
    from meghdwar.model import Parameter, expressions

    if result.application is None or result.topology is None:
        return replace(result, frame=frame)
    application, topology = result.application, result.topology
    asked = [*application.elements, *application.outputs]
    used = {e.name for part in asked for e in expressions(part) if isinstance(e, Parameter)}
    application = replace(
        application, name=frame.name, inputs=tuple(each for each in application.inputs if each.name in used)
    )
    topology = replace(topology, given={name: value for name, value in topology.given.items() if name in used})
    return replace(result, application=application, topology=topology, frame=frame)


def _edge_rules(service: Service, values: Mapping[str, Node], wrong: list[Diagnostic]) -> list[Diagnostic]:
    """What the rules of the edge say of the sound part of a template, so that all its errors come out in one run.

    Values that are wrong count as absent, and nothing is said of a template with an error of its own. With a
    template of a type that is not known, what is missing from a cluster cannot be told: then nothing is said at all.
    """
    if any(bound.type is None for bound in (*service.templates.values(), *service.groups.values())):
        return []
    from meghdwar.compiler.lower import EDGE_RULES, lower

    errors = {item.span for item in wrong if item.is_error}
    told = {(span.file, span.line) for span in errors}
    topology, _ = build.build(service, values, frozenset((s.file, s.line, s.column) for s in errors))
    found = lower(topology, skip_unmapped=True)[1]
    lines = [_lines(bound.node) for bound in service.templates.values()]
    sick = {line for template in lines if not told.isdisjoint(template) for line in template}
    return [
        item
        for item in found
        if item.rule.code in EDGE_RULES and item.span not in errors and (item.span.file, item.span.line) not in sick
    ]


def _lines(node: Node) -> list[tuple[str, int]]:
    """The lines of a template: from its name to its last value."""
    last = max((inner.span.line for inner in node.walk()), default=node.span.line)
    return [(node.file, line) for line in range(node.key_span.line, last + 1)]


def _emitted(result: Result, application: Application, location: Location, target: str, heat: str) -> Result:
    from meghdwar.compiler.targets import limits

    stack, plan, problems = _targeted(application, target, heat)
    if any(item.is_error for item in problems):
        return replace(result, diagnostics=(*result.diagnostics, *problems))
    bundle = _bundle(result, stack, plan, location)
    texts = {name: data.decode("utf-8", "replace") for name, data in bundle.files.items() if name != bundle.environment}
    beyond = limits.check(stack, texts, application.origin)
    return replace(result, diagnostics=(*result.diagnostics, *problems, *beyond), bundle=bundle)


def _targeted(application: Application, target: str, heat: str) -> tuple[Stack, Plan, list[Diagnostic]]:
    from meghdwar.compiler.targets import target as target_of

    return target_of(target)(application, heat)


def _bundle(result: Result, stack: Stack, plan: Plan, location: Location) -> Bundle:
    from meghdwar import bundle
    from meghdwar.compiler.targets import hot

    assert result.topology is not None  # noqa: S101 - an application came of it
    name = stack.name
    if plan.items:
        stack.output(
            "meghdwar_plan", bundle.identity(name, plan), "The identity of the plan that goes with this stack."
        )
    templates = {f"{name}.hot.yaml": hot.emit(stack.data())}
    scripts: dict[str, bytes] = {}
    explanations = []
    waiting = [("", stack)]
    while waiting:
        prefix, here = waiting.pop(0)
        explanations += [(prefix + made, span, why) for made, (span, why) in here.origins.items()]
        for file, path in here.files.items():
            content = location.read(path)
            scripts[file] = content if content is not None else _STAND_IN.format(path=path).encode()
        for file, inner in here.nested.items():
            templates[file] = hot.emit(inner.data())
            waiting.append((f"{file}: ", inner))
    names = hot.parameter_names(result.topology.inputs)
    parameters = {
        names[key]: hot.whole(hot.plain(value), result.topology.inputs[key].unit)
        for key, value in result.topology.given.items()
    }
    shown = tuple((made, replace(span, file=location.shown(span.file)), why) for made, span, why in explanations)
    return bundle.make(name, templates, plan, parameters=parameters, scripts=scripts, explanations=shown)


def _shown(result: Result, location: Location) -> Result:
    """The result with files named as the user can open them, in the order of the files, once each."""

    def place(span: Span) -> Span:
        """Packaged files keep their bare names."""
        return replace(span, file=location.shown(span.file)) if span.file in result.sources else span

    order = {name: number for number, name in enumerate(result.sources)}
    unique = dict.fromkeys(result.diagnostics)
    in_order = sorted(
        unique,
        key=lambda item: (order.get(item.span.file, len(order)), item.span.line, item.span.column, item.rule.code),
    )
    diagnostics = tuple(
        replace(item, span=place(item.span), related=tuple((place(span), words) for span, words in item.related))
        for item in in_order
    )
    sources = dict(result.sources)
    sources.update({location.shown(name): text for name, text in result.sources.items()})
    return replace(result, diagnostics=diagnostics, sources=sources)
