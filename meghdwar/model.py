"""The application that is wanted: small frozen values without a word of TOSCA or OpenStack.

Sizes are bytes, times are seconds. Every element says where it was written (`origin`). A value that is
known only when the stack is built is an `Expression`; every other value is plain data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias, TypeVar, cast

from meghdwar.diagnostics import Span

T = TypeVar("T")


# values
@dataclass(frozen=True, slots=True)
class Parameter:
    """An input of the application whose value is given when the stack is built; `path` goes into maps and lists."""

    name: str
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Attribute:
    """What an element will know of itself once it runs, such as Attribute("web", ("private_address",))."""

    element: str
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Join:
    """The parts as one text, with the separator between them."""

    parts: tuple[Value, ...]
    separator: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """The part number `index`, from 0, of a text cut at a separator."""

    text: Value
    separator: str
    index: int


Expression: TypeAlias = Parameter | Attribute | Join | Token
Value: TypeAlias = "bool | int | float | str | tuple[Value, ...] | Mapping[str, Value] | Expression | None"
EXPRESSIONS = (Parameter, Attribute, Join, Token)


@dataclass(frozen=True, slots=True)
class Constraint:
    """A limit on an input: operator in equal, greater_than, greater_or_equal, less_than, less_or_equal,
    in_range, valid_values, length, min_length, max_length, pattern."""

    operator: str
    operand: Value


@dataclass(frozen=True, slots=True)
class Input:
    """A value asked for when the stack is built: kind is string, integer, float, boolean, map or list.

    `unit` names what a number counts when the declared type had units: "GiB" for sizes, "s" for times, "Hz", "bit/s".
    """

    name: str
    kind: str
    origin: Span
    default: Value = None
    description: str = ""
    constraints: tuple[Constraint, ...] = ()
    secret: bool = False
    required: bool = True
    unit: str = ""
    entry: str = ""  # the kind of the entries of a map or list, when it was declared
    given: Value = None  # what it is for this time, beside its default: nobody else's stack has it


@dataclass(frozen=True, slots=True)
class Output:
    name: str
    value: Value
    origin: Span
    description: str = ""


# the edge
@dataclass(frozen=True, slots=True)
class Gateway:
    """An edge host with one hypervisor. With an `endpoint` it stands already; without one the stack builds it."""

    name: str
    hypervisor: str  # lxd, kvm or local
    origin: Span
    zone: Value = None
    serves: tuple[str, ...] = ()
    latitude: float | None = None
    longitude: float | None = None
    endpoint: Value = None
    certificate: Value = None  # the SHA-256 fingerprint that the endpoint must show
    flavor: Value = None
    image: Value = None
    key_name: Value = None
    networks: tuple[Value, ...] = ()
    capacity: int | None = None  # how many cloudlets it takes
    metadata: Mapping[str, Value] = field(default_factory=dict)

    @property
    def stands(self) -> bool:
        return self.endpoint is not None


@dataclass(frozen=True, slots=True)
class Cluster:
    """The gateways that serve one application together."""

    name: str
    gateways: tuple[str, ...]
    origin: Span
    minimum: int = 0
    maximum: int = -1  # -1: no limit
    timeout_s: int | None = None
    metadata: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterPolicy:
    """A rule that the cluster manager keeps for a cluster.

    `kind` is scaling, deletion, batch, health, loadbalance, affinity, zone_placement or region_placement;
    `settings` is its specification; `places` says where each part of it was written, by path
    (("detection", "interval") and so on; () is the policy itself).
    """

    name: str
    kind: str
    version: str
    cluster: str
    settings: Mapping[str, Value]
    origin: Span
    places: Mapping[tuple[str | int, ...], Span] = field(default_factory=dict)
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Receiver:
    """A door through which something outside makes a cluster grow or shrink."""

    name: str
    cluster: str
    action: str  # grow or shrink
    origin: Span
    count: int = 1


@dataclass(frozen=True, slots=True)
class Mount:
    """State that a cloudlet keeps: a Volume or StateFiles by name, and the path where it sees it."""

    state: str
    location: str
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """How to know that a cloudlet serves: an HTTP path on a port, a TCP port or a command."""

    http: str | None = None
    port: int | None = None
    command: tuple[str, ...] = ()
    within_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Cloudlet:
    """What runs at the edge and may move: a system container or a virtual machine."""

    name: str
    kind: str  # container or vm
    image: Value
    origin: Span
    host: str | None = None  # the gateway where it starts
    cluster: str | None = None
    cpus: Value = 1
    memory_bytes: Value = None
    disk_bytes: Value = None
    ports: tuple[int, ...] = ()
    address: Value = None
    command: tuple[str, ...] = ()
    environment: Mapping[str, Value] = field(default_factory=dict)
    quiesce: tuple[str, ...] = ()  # a command after which nothing writes to the state
    ready: Ready = field(default_factory=Ready)
    instances: str = "shared"  # or per_subscriber
    state: tuple[Mount, ...] = ()
    metadata: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Volume:
    """State of a cloudlet as a file system of its own that moves with it."""

    name: str
    size_bytes: Value
    origin: Span
    volume_type: Value = None


@dataclass(frozen=True, slots=True)
class StateFiles:
    """State of a cloudlet as files, carried by version and checksum."""

    name: str
    paths: tuple[str, ...]
    origin: Span
    size_max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Mobility:
    """How cloudlets follow their subscribers."""

    name: str
    cloudlets: tuple[str, ...]
    origin: Span
    strategy: str = "precopy"  # cold, precopy, warm, live or files
    trigger: str = "serving-cell"  # or nearer-site
    hysteresis_s: float = 30.0
    cooldown_s: float = 0.0
    margin_ms: float = 0.0
    max_downtime_s: float | None = None


# the rest of a data centre
@dataclass(frozen=True, slots=True)
class Server:
    """A machine. When `image` or `flavor` is None they follow from the needs beside them."""

    name: str
    origin: Span
    image: Value = None
    flavor: Value = None
    cpus: Value = None
    memory_bytes: Value = None
    disk_bytes: Value = None
    architecture: Value = None
    os_type: Value = None
    distribution: Value = None
    os_version: Value = None
    key_name: Value = None
    zone: Value = None
    user_data: Value = None
    networks: tuple[Value, ...] = ()
    metadata: Mapping[str, Value] = field(default_factory=dict)
    ports: tuple[int, ...] = ()
    count: int = 1
    boot_volume: str | None = None  # a BlockStorage by name


@dataclass(frozen=True, slots=True)
class BlockStorage:
    name: str
    origin: Span
    size_bytes: Value = None
    existing: Value = None  # the id of a volume that is there already
    snapshot: Value = None
    image: Value = None
    volume_type: Value = None
    metadata: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    server: str
    storage: str
    origin: Span
    location: Value = None
    device: Value = None


@dataclass(frozen=True, slots=True)
class ObjectStorage:
    name: str
    origin: Span
    container: Value = None
    size_max_bytes: Value = None
    metadata: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Network:
    """A network to make, or with `existing` one that is there already (its name or id)."""

    name: str
    origin: Span
    label: Value = None
    existing: Value = None
    ip_version: Value = 4
    cidr: Value = None
    start_address: Value = None
    end_address: Value = None
    gateway_address: Value = None
    dhcp: Value = True
    network_type: Value = None
    physical_network: Value = None
    segmentation_id: Value = None
    mtu: Value = None


@dataclass(frozen=True, slots=True)
class SecurityRule:
    """What may pass a port; without limits all port numbers."""

    direction: Value
    ether_type: Value
    protocol: Value
    port_min: Value = None
    port_max: Value = None


@dataclass(frozen=True, slots=True)
class Port:
    name: str
    origin: Span
    network: str | None = None
    server: str | None = None
    address: Value = None
    order: Value = 0
    vnic_type: Value = None
    mac_address: Value = None
    security: Value = None
    count: int = 1
    rules: tuple[SecurityRule, ...] = ()


@dataclass(frozen=True, slots=True)
class FloatingAddress:
    name: str
    origin: Span
    network: Value = None
    port: str | None = None
    server: str | None = None
    address: Value = None


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    name: str
    origin: Span
    members: tuple[str, ...] = ()
    port: Value = 80
    member_port: Value = 80
    protocol: Value = "HTTP"
    algorithm: Value = None
    network: str | None = None


@dataclass(frozen=True, slots=True)
class Software:
    """One step of a life cycle run on a server: a script, what goes in, what comes out, what must run before."""

    name: str
    server: str
    component: str
    action: str  # create, configure, start, stop, delete ...
    script: str  # the path of the file in the descriptor's folder or package
    origin: Span
    inputs: Mapping[str, Value] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    group: str = "script"  # script, ansible, puppet, salt, docker-compose ...


@dataclass(frozen=True, slots=True)
class Placement:
    """Servers that stay together or apart: kind is affinity, anti-affinity, soft-affinity or soft-anti-affinity."""

    name: str
    kind: str
    members: tuple[str, ...]
    origin: Span


@dataclass(frozen=True, slots=True)
class Alarm:
    """A reading that makes a group of servers grow or shrink, or only tells."""

    name: str
    metric: str
    origin: Span
    threshold: Value = None
    comparison: str = "gt"
    granularity_s: int = 60
    evaluations: int = 1
    aggregation: str = "mean"
    action: str = ""  # grow, shrink or ""


@dataclass(frozen=True, slots=True)
class ServerScaling:
    """A group of servers that grows and shrinks between limits."""

    name: str
    members: tuple[str, ...]
    origin: Span
    minimum: int = 0
    maximum: int = 1
    default: int = 1
    step: int = 1
    cooldown_s: int = 0
    alarms: tuple[Alarm, ...] = ()
    clustered: bool = False  # by the cluster manager, not by the stack itself
    cluster_if_bare: bool = False  # the same where there is a cluster manager and its servers are all that there is


Element: TypeAlias = (
    Gateway | Cluster | ClusterPolicy | Receiver | Cloudlet | Volume | StateFiles | Mobility | Server | BlockStorage
    | Attachment | ObjectStorage | Network | Port | FloatingAddress | LoadBalancer | Software | Placement
    | ServerScaling
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Application:
    """Everything that one descriptor asks for. Elements stand in the order in which they were written."""

    name: str
    origin: Span
    description: str = ""
    inputs: tuple[Input, ...] = ()
    elements: tuple[Element, ...] = ()
    outputs: tuple[Output, ...] = ()

    def each(self, kind: type[T]) -> Iterator[T]:
        """The elements of one kind, in order."""
        return (element for element in self.elements if isinstance(element, kind))


def expressions(value: object) -> Iterator[Expression]:
    """Every expression inside a value, an element or an application, outermost first."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, EXPRESSIONS):
            yield item
        if isinstance(item, Mapping):
            stack.extend(reversed(list(item.values())))
        elif isinstance(item, tuple):
            stack.extend(reversed(item))
        elif hasattr(item, "__dataclass_fields__") and not isinstance(item, Span):
            stack.extend(getattr(item, f.name) for f in reversed(fields(item)))  # type: ignore[arg-type]


def renamed(value: T, names: Mapping[str, str]) -> T:
    """The same value, element or tuple of elements with other names for the parameters in it."""
    changed: Any = value
    if isinstance(changed, Parameter):
        changed = replace(changed, name=names.get(changed.name, changed.name))
    elif isinstance(changed, tuple):
        changed = tuple(renamed(entry, names) for entry in changed)
    elif isinstance(changed, Mapping):
        changed = {key: renamed(entry, names) for key, entry in changed.items()}
    elif hasattr(changed, "__dataclass_fields__") and not isinstance(changed, Span):
        changed = replace(
            changed, **{each.name: renamed(getattr(changed, each.name), names) for each in fields(changed)}
        )
    return cast(T, changed)
