"""Resources that wait for one another in a circle: Heat refuses the whole stack, and names none of the places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meghdwar.compiler import rules
from meghdwar.compiler.targets.hot import Data, Stack
from meghdwar.diagnostics import Diagnostic


def check(stack: Stack) -> Iterator[Diagnostic]:
    """The first circle in a stack, if there is one."""
    found = circle(stack)
    if found:
        names = ", ".join(repr(name) for name in found)
        yield Diagnostic(
            rules.STACK_CIRCLE,
            stack.origins[found[0]][0],
            f"cannot make {names}: each has to wait for the next one, and the last for the first",
            "take one of the references or requirements between them out",
            tuple((stack.origins[name][0], f"{name!r}: {stack.origins[name][1]}") for name in found[1:]),
        )


def circle(stack: Stack) -> list[str]:
    """Resources each of which waits for the next, and the last for the first; none when Heat can order them."""
    done: set[str] = set()
    for start in stack.resources:
        path: dict[str, Iterator[str]] = {} if start in done else {start: waits_for(stack, start)}
        while path:
            here = next(reversed(path))
            name = next(path[here], None)
            if name is None:
                path.popitem()
                done.add(here)
            elif name in path:
                names = list(path)
                return names[names.index(name) :]
            elif name not in done:
                path[name] = waits_for(stack, name)
    return []


def waits_for(stack: Stack, name: str) -> Iterator[str]:
    """The resources that a resource names, by depends_on or in what it is given."""
    stack_: list[Data] = [stack.resources[name]]
    while stack_:
        item = stack_.pop()
        if isinstance(item, Mapping):
            for key, entry in item.items():
                named = entry[0] if key == "get_attr" and isinstance(entry, list) and entry else entry
                if key in ("get_resource", "get_attr") and isinstance(named, str) and named in stack.resources:
                    yield named
                elif key == "depends_on" and isinstance(entry, list):
                    yield from (other for other in entry if isinstance(other, str) and other in stack.resources)
                stack_.append(entry)
        elif isinstance(item, list):
            stack_.extend(item)
