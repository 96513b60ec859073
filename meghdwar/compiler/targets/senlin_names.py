"""Names that Senlin takes: it refuses most of what a descriptor and Heat allow."""

from __future__ import annotations

import re

from meghdwar.compiler.targets.hot import Stack

_OTHER = re.compile(r"[^A-Za-z0-9._-]")


def fit(name: str) -> str:
    """The name as Senlin takes it, and Heat for the stack of a node: letters, digits and ._-, a letter first."""
    clean = _OTHER.sub("_", name)[:200] or "_"
    return clean if clean[0].isascii() and clean[0].isalpha() else f"n{clean}"


def settle(stack: Stack) -> None:
    """Gives a fit name to each resource of Senlin that would otherwise have one that Senlin refuses.

    Without a name of its own a resource is called after the stack and its name in the template.
    """
    for name, resource in stack.resources.items():
        if not str(resource["type"]).startswith("OS::Senlin::"):
            continue
        properties = resource.get("properties")
        assert isinstance(properties, dict)  # noqa: S101 - for the type checker: none of them goes without
        given = properties.get("name")
        if given is None and _OTHER.search(name):
            given = name
        if isinstance(given, str):
            properties["name"] = fit(given)
