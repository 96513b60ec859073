"""What the Heat of each release can do with Senlin: what it cannot goes into the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Release:
    """A release of Heat.

    `senlin`: its OS::Senlin types make something. `cluster_policies`: it binds the policies that a cluster
    names. `node`: it makes a node without losing it. `keeps_policies`: policies outlive their stack.
    """

    name: str
    heat: int
    senlin: bool = True
    cluster_policies: bool = False
    node: bool = False
    keeps_policies: bool = True

    @property
    def title(self) -> str:
        return f"Heat {self.heat} ({self.name})" if self.heat else "Heat with the Meghdwar plug-in"


PLUGIN = "plugin"
DEFAULT = "2024.1"

# From 2024.2 on the OS::Senlin types are stubs: any properties pass, nothing is made, and the stack is CREATE_COMPLETE.
RELEASES: Mapping[str, Release] = {
    release.name: release
    for release in (
        Release("zed", 19),
        Release("2023.1", 20),
        Release("2023.2", 21, cluster_policies=True),
        Release("2024.1", 22, cluster_policies=True),
        Release("2024.2", 23, senlin=False),
        Release("2025.1", 24, senlin=False),
        Release("2025.2", 25, senlin=False),
        Release("2026.1", 26, senlin=False),
        Release("2026.2", 27, senlin=False),
        Release(PLUGIN, 0, cluster_policies=True, node=True, keeps_policies=False),
    )
}
