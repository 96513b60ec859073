"""What a Heat with its default settings takes of one stack. More is a warning: an operator may have raised it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meghdwar.compiler import rules
from meghdwar.compiler.targets.hot import Data, Stack
from meghdwar.diagnostics import Diagnostic, Span

TEMPLATE_BYTES_MAX = 524288  # max_template_size
RESOURCES_MAX = 1000  # max_resources_per_stack, nested ones included
REQUEST_BYTES_MAX = 1048576  # max_json_body_size


def check(stack: Stack, files: Mapping[str, str], origin: Span) -> Iterator[Diagnostic]:
    """What of a stack is too much. `files` are the texts that go to Heat: the templates, and the files they name."""
    split = "split the descriptor into several"
    for name, text in files.items():
        size = len(text.encode())
        if size > TEMPLATE_BYTES_MAX:
            yield Diagnostic(
                rules.TEMPLATE_TOO_LARGE,
                origin,
                f"{name} has {size} bytes; a stock Heat takes {TEMPLATE_BYTES_MAX}",
                f"{split}, or have max_template_size raised in heat.conf",
            )
    resources = count(stack)
    if resources > RESOURCES_MAX:
        yield Diagnostic(
            rules.TOO_MANY_RESOURCES,
            origin,
            f"the stack has {resources} resources; a stock Heat takes {RESOURCES_MAX}",
            f"{split}, or have max_resources_per_stack raised in heat.conf",
        )
    request = sum(len(text.encode()) for text in files.values())
    if request > REQUEST_BYTES_MAX:
        yield Diagnostic(
            rules.REQUEST_TOO_LARGE,
            origin,
            f"the request that creates the stack has {request} bytes; a stock Heat takes {REQUEST_BYTES_MAX}",
            f"{split}, or have max_json_body_size raised in heat.conf",
        )


def count(stack: Stack) -> int:
    """The resources of a stack with those of all templates in it, each as often as it is built at first."""
    total = len(stack.resources)
    if not stack.nested:
        return total
    for resource in stack.resources.values():
        for type_, times, groups in _nested(resource):
            if type_ in stack.nested:
                total += times * (count(stack.nested[type_]) + groups)
    return total


def _nested(resource: Mapping[str, Data]) -> Iterator[tuple[Data, int, int]]:
    """The template that a resource builds, how often, and the resources that it takes to hold each of them."""
    yield resource.get("type"), 1, 0
    properties = resource.get("properties")
    if isinstance(properties, Mapping):
        for key, number in (("resource", "desired_capacity"), ("resource_def", "count")):
            inner, times = properties.get(key), properties.get(number)
            if isinstance(inner, Mapping):
                yield inner.get("type"), times if isinstance(times, int) else 1, 1
