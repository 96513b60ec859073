"""Circles that no order of work can resolve: hosts on themselves, values that come from themselves."""

from __future__ import annotations

from collections.abc import Iterator

from meghdwar.compiler import functions, rules
from meghdwar.compiler.service import Bound, Here, Service
from meghdwar.compiler.source import Node
from meghdwar.diagnostics import Diagnostic


def hosts(service: Service) -> Iterator[Diagnostic]:
    """Hosts that stand on each other in a circle."""
    done: set[str] = set()
    for start in service.templates.values():
        path: list[str] = []
        here: Bound | None = start
        while here is not None and here.name not in done:
            if here.name in path:
                ring = " -> ".join([*path[path.index(here.name) :], here.name])
                fill = next(fill for fill in here.fills if fill.name == "host" and fill.target is not None)
                yield Diagnostic(
                    rules.REQUIREMENT_CYCLE,
                    fill.node.span,
                    f"cannot host {here.name!r} on itself: {ring}",
                    "let one of them stand on something else",
                )
                break
            path.append(here.name)
            here = here.host
        done.update(path)


def values(service: Service) -> Iterator[Diagnostic]:
    """Properties that get their values from each other in a circle."""
    edges: dict[tuple[str, str], list[tuple[tuple[str, str], Node]]] = {}
    for bound in service.templates.values():
        here = Here(service, service.scope, bound)
        for name, node in bound.assigned("properties").items():
            if node.is_scalar:
                continue
            for inner in node.walk():
                call = functions.call(inner, here) if inner.is_map else None
                if call is None or call.name not in functions.REFERENCES or len(call.arguments) < 2:
                    continue
                other = service.entity(call.arguments[0].text, here, call.arguments[1].text)
                if other is not None and call.arguments[1].text in other.assigned("properties"):
                    edges.setdefault((bound.name, name), []).append(((other.name, call.arguments[1].text), inner))
    done: set[tuple[str, str]] = set()
    for start in edges:
        path: list[tuple[str, str]] = []
        stack = [(start, iter(edges[start]))] if start not in done else []
        path.append(start)
        while stack:
            here_key, rest = stack[-1]
            step = next(rest, None)
            if step is None:
                stack.pop()
                path.pop()
                done.add(here_key)
                continue
            target, at = step
            if target in path:
                ring = " -> ".join(".".join(key) for key in [*path[path.index(target) :], target])
                yield Diagnostic(
                    rules.VALUE_CYCLE,
                    at.span,
                    f"cannot tell the value of {'.'.join(target)}: it comes from itself ({ring})",
                    "give one of them a value of its own",
                )
            elif target in edges and target not in done:
                stack.append((target, iter(edges[target])))
                path.append(target)
