"""What has to hold for state: whose it is, where it is seen, and that it can travel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from meghdwar.compiler import rules
from meghdwar.compiler.lower.edge_rules.cloudlets import HYPERVISORS
from meghdwar.compiler.lower.edge_rules.view import Edge, listed
from meghdwar.diagnostics import Diagnostic, Span
from meghdwar.model import Cloudlet, StateFiles, Volume


def state_owners(edge: Edge) -> Iterator[Diagnostic]:
    """State belongs to one cloudlet, and somebody keeps it."""
    owners: dict[str, str] = {}
    for cloudlet in edge.site.cloudlets.values():
        for mount in cloudlet.state:
            other = owners.get(mount.state)
            if other is not None:
                yield Diagnostic(
                    rules.STATE_OF_TWO,
                    edge.requirement(cloudlet.name, "state", mount.state),
                    f"cannot keep {mount.state!r} for both {other!r} and {cloudlet.name!r}"
                    if other != cloudlet.name
                    else f"cannot keep {mount.state!r} for {cloudlet.name!r} twice",
                    "give each its own: state moves with one cloudlet"
                    if other != cloudlet.name
                    else "remove one of the two requirements",
                    ((edge.requirement(other, "state", mount.state), "the first one"),),
                )
            owners.setdefault(mount.state, cloudlet.name)
    states: list[Volume | StateFiles] = [*edge.site.volumes.values(), *edge.site.files.values()]
    for state in states:
        if state.name not in owners:
            yield Diagnostic(
                rules.STATE_OF_NOBODY,
                state.origin,
                f"no cloudlet keeps {state.name!r}",
                "name it in a state requirement of a cloudlet",
            )


def state_travels(edge: Edge) -> Iterator[Diagnostic]:
    """A volume can be carried between hypervisors of one kind only; files can be carried anywhere."""
    for cloudlet in edge.site.cloudlets.values():
        kinds = sorted({gateway.hypervisor for gateway in edge.site.reach(cloudlet)})
        if len(kinds) < 2 or any(kind not in HYPERVISORS[cloudlet.kind] for kind in kinds):
            continue
        for mount in cloudlet.state:
            if mount.state in edge.site.volumes:
                yield Diagnostic(
                    rules.STATE_CANNOT_TRAVEL,
                    edge.requirement(cloudlet.name, "state", mount.state),
                    f"cannot carry volume {mount.state!r} of {cloudlet.name!r} between {listed(kinds, quoted=False)}",
                    "let all gateways of its cluster run the same hypervisor, or keep its state as StateFiles",
                )


def mounts(edge: Edge) -> Iterator[Diagnostic]:
    """State is seen at an absolute path of its own."""
    for cloudlet in edge.site.cloudlets.values():
        seen: dict[str, str] = {}
        for mount in cloudlet.state:
            span = _location(edge, cloudlet, mount.state)
            clean = _clean(mount.location)
            if clean is None or clean == "/":
                shown = repr(mount.location) if mount.location else "an empty path"
                yield Diagnostic(
                    rules.BAD_LOCATION,
                    span,
                    f"cannot place {mount.state!r} at {shown} in {cloudlet.name!r}",
                    "write an absolute path below /, such as /data",
                )
                continue
            if mount.state in edge.site.files:
                continue  # files lie among the others; only a volume covers what is below it
            if clean in seen:
                yield Diagnostic(
                    rules.BAD_LOCATION,
                    span,
                    f"cannot place both {seen[clean]!r} and {mount.state!r} at {clean} in {cloudlet.name!r}",
                    "give each a path of its own",
                )
            seen.setdefault(clean, mount.state)
    for files in edge.site.files.values():
        listed = Counter(path.rstrip("/") for path in files.paths)
        for index, path in enumerate(files.paths):
            parts = path.split("/")
            if not path.strip("/") or ".." in parts or listed[path.rstrip("/")] > 1:
                why = "twice" if listed[path.rstrip("/")] > 1 else "as a file"
                yield Diagnostic(
                    rules.BAD_LOCATION,
                    edge.place(files.name, "paths", index),
                    f"cannot name {path!r} {why} in {files.name!r}",
                    "name each file once, without ..",
                )


def _location(edge: Edge, cloudlet: Cloudlet, state: str) -> Span:
    template = edge.topology.templates.get(cloudlet.name)
    for requirement in template.requirements if template else ():
        if requirement.name == "state" and requirement.target == state and requirement.relationship:
            place = requirement.relationship.place("location")
            return place if "location" in requirement.relationship.nodes else requirement.origin
    return cloudlet.origin


def _clean(location: str) -> str | None:
    parts = [part for part in location.split("/") if part not in ("", ".")]
    return "/" + "/".join(parts) if location.startswith("/") and ".." not in parts else None
