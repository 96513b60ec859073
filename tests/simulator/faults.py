"""What may go wrong, each by name: where it fits, and how often it is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ROUTER, STACK, JOURNAL = "router", "stack", "journal"
OUTSIDE = frozenset({ROUTER, STACK, JOURNAL})
CHANGES = frozenset({"hold", "define", "start", "stop", "pause", "resume", "remove", "make_disk", "copy_disk"}) | {
    *("attach", "detach", "put_files", "migrate")
}
ROOM = frozenset({"define", "make_disk", "copy_disk", "put_files", "migrate"})


@dataclass(frozen=True, slots=True)
class Fault:
    """At the first call, from the point `at` of the operation on, that it fits."""

    operation: int
    at: int
    kind: str
    argument: int = 0

    def __str__(self) -> str:
        return f"{self.kind} ({self.argument}) at {self.operation}:{self.at}"


@dataclass(frozen=True, slots=True)
class Kind:
    """`at` says whom it meets: any, gateway, router, stack or journal; `acts` which calls (all when empty)."""

    weight: int
    at: str
    acts: frozenset[str] = frozenset()

    def fits(self, where: str, act: str) -> bool:
        if self.acts and act not in self.acts:
            return False
        return self.at == "any" or self.at == where or (self.at == "gateway" and where not in OUTSIDE)


FAULTS: Mapping[str, Kind] = {
    "crash before": Kind(8, "any"),
    "crash after": Kind(12, "any"),
    "reply lost": Kind(8, "any"),
    "timeout": Kind(6, "any"),
    "late": Kind(5, "gateway", CHANGES),
    "late and crash": Kind(5, "gateway", CHANGES),
    "gateway away": Kind(5, "gateway"),
    "gateway dies": Kind(6, "gateway"),
    "gateway reboots": Kind(4, "gateway"),
    "partition": Kind(5, "any"),
    "router away": Kind(2, "router"),
    "stack away": Kind(2, "stack"),
    "database away": Kind(3, "journal"),
    "cut off": Kind(3, "gateway", frozenset({"copy_disk", "put_files", "migrate", "remove"})),
    "cut off and crash": Kind(3, "gateway", frozenset({"copy_disk", "put_files", "migrate", "remove"})),
    "damaged": Kind(5, "gateway", frozenset({"copy_disk", "put_files"})),
    "full": Kind(3, "gateway", ROOM),
    "not ready": Kind(4, "gateway", frozenset({"probe", "start"})),
    "overtaken": Kind(8, "any"),
    "overtaken in the act": Kind(8, "gateway", CHANGES),
    "rival": Kind(2, "any"),
}
