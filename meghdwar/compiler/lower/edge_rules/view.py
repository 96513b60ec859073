"""The edge of one application as its rules see it: the parts, and where each was written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from meghdwar.compiler.site import Site
from meghdwar.compiler.topology import Topology
from meghdwar.diagnostics import Span


@dataclass(frozen=True, slots=True)
class Edge:
    """The edge of one application, and where its parts were written."""

    topology: Topology
    site: Site

    def place(self, name: str, *path: str | int) -> Span:
        """Where a property of an element was written, or the element."""
        topology = self.topology
        placed = topology.templates.get(name) or topology.groups.get(name) or topology.policies.get(name)
        return placed.place(*path) if placed else topology.origin

    def requirement(self, cloudlet: str, name: str, target: str | None) -> Span:
        """Where a requirement of a cloudlet was written, or the cloudlet."""
        template = self.topology.templates.get(cloudlet)
        found = (r.origin for r in template.requirements if r.name == name and r.target == target) if template else ()
        return next(iter(found), self.place(cloudlet))


def listed(names: Iterable[str], quoted: bool = True) -> str:
    shown = [repr(name) if quoted else name for name in names]
    if len(shown) > 4:
        shown = [*shown[:3], f"{len(shown) - 3} more"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)
