"""Why a resource is there: the lines of the descriptor that asked for it, and the reason."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from meghdwar.cli.drawing import KINDS, Made, made_by_element
from meghdwar.diagnostics import Span, did_you_mean

if TYPE_CHECKING:
    from meghdwar.bundle import Bundle
    from meghdwar.compiler import Result
    from meghdwar.compiler.topology import Placed

LINES_MAX = 40


@dataclass(frozen=True, slots=True)
class Explanation:
    """Something in the descriptor, where it stands, and what came of it."""

    name: str
    what: str
    origin: Span
    lines: tuple[tuple[int, str], ...]
    made: tuple[Made, ...]

    def data(self) -> dict[str, object]:
        return {
            "name": self.name,
            "what": self.what,
            "place": _place(self.origin),
            "lines": [{"line": number, "text": text} for number, text in self.lines],
            "made": [
                {"resource": m.resource, "type": m.type, "place": _place(m.origin), "reason": m.reason}
                for m in self.made
            ],
        }


def run(name: str, result: Result, *, as_json: bool) -> int:
    """Prints what there is to say about a name of the descriptor or of the stack; 2 when nobody knows it."""
    found = explanation(name, result)
    if found is None:
        hint = did_you_mean(name, names(result))
        print(
            f"mdw-compile: cannot explain {name!r}: nothing has that name{'; ' + hint if hint else ''}", file=sys.stderr
        )
        return 2
    if as_json:
        import json

        print(json.dumps(found.data(), indent=2))
    else:
        print(as_text(found))
    return 0


def made(result: Result) -> list[Made]:
    """Every resource of the stack with the place that asked for it. A nested one is named by its path."""
    if result.bundle is None:
        return []
    types = resource_types(result.bundle)
    return [Made(name, types.get(name, ""), span, reason) for name, span, reason in result.bundle.explanations]


def resource_types(bundle: Bundle) -> dict[str, str]:
    """The type of each resource, read from the templates themselves; a nested template's are prefixed by its name."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    types: dict[str, str] = {}
    for file, data in bundle.files.items():
        if not file.endswith(".yaml"):
            continue
        template = yaml.load(data, Loader=loader)  # noqa: S506 - a safe one
        resources = template.get("resources") if isinstance(template, dict) else None
        for name, resource in (resources or {}).items():
            key = name if file == bundle.template else f"{file}: {name}"  # as explanations name them
            types[key] = str(resource.get("type", ""))
    return types


def names(result: Result) -> list[str]:
    """Everything that can be explained."""
    known = [item.resource for item in made(result)]
    if result.application is not None:
        known += [element.name for element in result.application.elements]
    if result.topology is not None:
        known += [*result.topology.templates, *result.topology.groups, *result.topology.policies]
    return known


def explanation(name: str, result: Result) -> Explanation | None:
    """A name is looked up in the descriptor first and then in the stack."""
    everything = made(result)
    application, topology = result.application, result.topology
    if application is not None:
        became = made_by_element(application, everything, shown_names(result.sources))
        for element in application.elements:
            if element.name == name:
                return _explain(result, name, KINDS[type(element)], element.origin, became.get(name, ()))
    if topology is not None:
        sections: tuple[tuple[str, Mapping[str, Placed]], ...] = (
            ("node template", topology.templates),
            ("group", topology.groups),
            ("policy", topology.policies),
        )
        for kind, section in sections:
            item = section.get(name)
            if item is not None:
                inside = tuple(m for m in everything if _within(m.origin, item.origin, result))
                return _explain(result, name, f"{kind} of type {item.type.name}", item.origin, inside)
    for resource in everything:
        if resource.resource == name:
            return _explain(result, name, f"resource of type {resource.type}", resource.origin, (resource,))
    return None


def shown_names(sources: Mapping[str, str]) -> dict[str, str]:
    """What people see for each file: `sources` hold its text under its own name and, after that, under this one."""
    last = {id(text): name for name, text in sources.items()}
    return {name: last[id(text)] for name, text in sources.items()}


def _explain(result: Result, name: str, what: str, origin: Span, became: tuple[Made, ...]) -> Explanation:
    shown = shown_names(result.sources).get(origin.file, origin.file)
    return Explanation(name, what, replace(origin, file=shown), tuple(_block(origin, result)), became)


def _block(origin: Span, result: Result) -> list[tuple[int, str]]:
    """The line of a key and all that is indented below it."""
    text = result.sources.get(origin.file)
    if text is None:
        return []
    lines = text.splitlines()
    first = min(max(origin.line, 1), len(lines) or 1) - 1
    indent = _indent(lines[first]) if lines else 0
    block = [(first + 1, lines[first])] if lines else []
    for number in range(first + 1, len(lines)):
        line = lines[number]
        if line.strip() and _indent(line) <= indent:
            break
        block.append((number + 1, line))
    while block and not block[-1][1].strip():
        block.pop()
    return block


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _within(inner: Span, outer: Span, result: Result) -> bool:
    shown = shown_names(result.sources)
    block = _block(outer, result)
    same = shown.get(inner.file) == shown.get(outer.file)
    return same and bool(block) and block[0][0] <= inner.line <= block[-1][0]


def _place(span: Span) -> dict[str, object]:
    return {"file": span.file, "line": span.line, "column": span.column or 1}


def as_text(found: Explanation) -> str:
    """For people: the lines as they stand, then each resource with the line that asked for it."""
    out = [f"{found.name}: {found.what}, {found.origin}", ""]
    width = len(str(found.lines[-1][0])) if found.lines else 0
    out += [f"  {number:>{width}} | {line}".rstrip() for number, line in found.lines[:LINES_MAX]]
    if len(found.lines) > LINES_MAX:
        out.append(f"  {'':>{width}} | ... {len(found.lines) - LINES_MAX} more lines")
    if not found.made:
        return "\n".join([*out, "", "It makes no resource of its own in this stack."])
    out += ["", "In the stack:"]
    for item in found.made:
        out.append(f"  {item.resource} ({item.type})" if item.type else f"  {item.resource}")
        out.append(f"    line {item.origin.line}: {item.reason}")
    return "\n".join(out)
