"""What an application looks like: boxes, lines between them, and what each box became in the stack.

A drawing is plain data; graph.py writes it as text, svg.py as a picture.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from meghdwar import model
from meghdwar.diagnostics import Span

KINDS: Mapping[type, str] = {
    model.Gateway: "gateway",
    model.Cluster: "cluster",
    model.ClusterPolicy: "policy",
    model.Receiver: "receiver",
    model.Cloudlet: "cloudlet",
    model.Volume: "volume",
    model.StateFiles: "state files",
    model.Mobility: "mobility",
    model.Server: "server",
    model.BlockStorage: "block storage",
    model.ObjectStorage: "object storage",
    model.Network: "network",
    model.Port: "port",
    model.FloatingAddress: "floating address",
    model.LoadBalancer: "load balancer",
    model.Software: "software",
    model.Placement: "placement",
    model.ServerScaling: "scaling",
    model.Attachment: "attachment",
}
"""The word for each element; an attachment is drawn as a line."""
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Made:
    """A resource of the stack, the place in the descriptor that asked for it, and why it is there."""

    resource: str
    type: str
    origin: Span
    reason: str


@dataclass(frozen=True, slots=True)
class Box:
    name: str
    kind: str
    details: tuple[str, ...] = ()
    became: tuple[str, ...] = ()
    inside: str = ""  # the cluster that holds it


@dataclass(frozen=True, slots=True)
class Line:
    """`start` needs or acts on `end`; a dashed one is a possibility."""

    start: str
    end: str
    label: str = ""
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    title: str
    boxes: tuple[Box, ...] = ()
    lines: tuple[Line, ...] = field(default=())

    def data(self) -> dict[str, object]:
        """As plain data, for JSON."""
        return {
            "title": self.title,
            "boxes": [
                {"name": b.name, "kind": b.kind, "details": b.details, "became": b.became, "inside": b.inside}
                for b in self.boxes
            ],
            "lines": [{"from": e.start, "to": e.end, "label": e.label, "dashed": e.dashed} for e in self.lines],
        }


def draw(application: model.Application, made: Mapping[str, tuple[Made, ...]]) -> Drawing:
    """The drawing of an application; `made` says by element name what it became."""
    inside = {name: cluster.name for cluster in application.each(model.Cluster) for name in cluster.gateways}
    boxes = tuple(
        Box(
            element.name,
            KINDS[type(element)],
            details(element),
            tuple(f"{m.type} {m.resource}" for m in made.get(element.name, ())),
            inside.get(element.name, ""),
        )
        for element in application.elements
        if not isinstance(element, model.Attachment)
    )
    known = {box.name for box in boxes}
    lines = tuple(dict.fromkeys(line for line in _lines(application) if {line.start, line.end} <= known))
    return Drawing(application.name, boxes, lines)


def made_by_element(
    application: model.Application, made: list[Made], shown: Mapping[str, str] = NOTHING
) -> dict[str, tuple[Made, ...]]:
    """Which element each resource belongs to: the one in whose lines its origin stands.

    `shown` gives the name that origins of resources have for a file of the application's.
    """
    elements = application.elements
    at_line: dict[tuple[str, int], list[str]] = {}
    for element in elements:
        place = (shown.get(element.origin.file, element.origin.file), element.origin.line)
        at_line.setdefault(place, []).append(element.name)
    starts = sorted(at_line)
    result: dict[str, list[Made]] = {}
    for item in made:
        file = shown.get(item.origin.file, item.origin.file)
        at = bisect_right(starts, (file, item.origin.line)) - 1
        if at >= 0 and starts[at][0] == file:
            result.setdefault(_named_like(item.resource, at_line[starts[at]]), []).append(item)
    return {name: tuple(items) for name, items in result.items()}


def _named_like(resource: str, elements: list[str]) -> str:
    """Of elements on one line (a policy and its receiver), the one whose name the resource bears, else the first."""
    fitting = [name for name in elements if resource.startswith(name)]
    return max(fitting, key=len) if fitting else elements[0]


def details(element: model.Element) -> tuple[str, ...]:
    """What a reader wants to see of an element beside its name."""
    match element:
        case model.Gateway():
            where = word(element.zone)
            stands = f"stands at {word(element.endpoint)}" if element.stands else "built by the stack"
            return tuple(x for x in (element.hypervisor, where, stands) if x)
        case model.Cluster():
            most = "any number" if element.maximum < 0 else str(element.maximum)
            return (f"{element.minimum} to {most}",)
        case model.ClusterPolicy():
            return (f"{element.kind}-{element.version}",)
        case model.Receiver():
            return (element.action,)
        case model.Cloudlet():
            return (element.kind, word(element.image), element.instances)
        case model.Volume():
            return (size(element.size_bytes),)
        case model.StateFiles():
            return element.paths
        case model.Mobility():
            return (element.strategy, element.trigger)
        case model.Server():
            return tuple(x for x in (word(element.flavor), word(element.image)) if x)
        case model.BlockStorage():
            return (size(element.size_bytes),) if element.size_bytes is not None else ()
        case model.Network():
            return (word(element.cidr),) if element.cidr is not None else ()
        case model.Software():
            return (element.action,)
        case model.Placement():
            return (element.kind,)
        case model.ServerScaling():
            return (f"{element.minimum} to {element.maximum}",)
        case _:
            return ()


def word(value: model.Value) -> str:
    """A value in a word: data as it is, an expression by what it asks for."""
    match value:
        case None:
            return ""
        case model.Parameter():
            return "$" + ".".join([value.name, *map(str, value.path)])
        case model.Attribute():
            return ".".join([value.element, *map(str, value.path)])
        case model.Join():
            return value.separator.join(map(word, value.parts))
        case model.Token():
            return f"part {value.index} of {word(value.text)}"
        case _:
            return str(value)


def size(value: model.Value) -> str:
    if not isinstance(value, int) or isinstance(value, bool):
        return word(value)
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10), ("GB", 10**9), ("MB", 10**6)):
        if value >= factor and value % factor == 0:
            return f"{value // factor} {unit}"
    return f"{value} B"


def _lines(application: model.Application) -> Iterator[Line]:
    members = {cluster.name: cluster.gateways for cluster in application.each(model.Cluster)}
    cloudlets = {cloudlet.name: cloudlet for cloudlet in application.each(model.Cloudlet)}
    for element in application.elements:
        name = element.name
        match element:
            case model.Cloudlet():
                if element.host:
                    yield Line(name, element.host, "starts at")
                for mount in element.state:
                    yield Line(name, mount.state, mount.location)
            case model.Mobility():
                for target in element.cloudlets:
                    yield Line(name, target, "moves")
                    cloudlet = cloudlets.get(target)
                    for gateway in members.get(cloudlet.cluster or "", ()) if cloudlet else ():
                        if cloudlet and gateway != cloudlet.host:
                            yield Line(target, gateway, "may move to", dashed=True)
            case model.ClusterPolicy() | model.Receiver():
                yield Line(name, element.cluster)
            case model.Attachment():
                yield Line(element.server, element.storage, word(element.location))
            case model.Server():
                if element.boot_volume:
                    yield Line(name, element.boot_volume, "boots from")
            case model.Port():
                if element.server:
                    yield Line(element.server, name)
                if element.network:
                    yield Line(name, element.network)
            case model.FloatingAddress():
                if element.server or element.port:
                    yield Line(name, element.port or element.server or "")
            case model.LoadBalancer() | model.Placement() | model.ServerScaling():
                for member in element.members:
                    yield Line(name, member)
            case model.Software():
                yield Line(name, element.server, element.component if element.component != name else "")
            case _:
                pass
