"""From a bundle to what is wanted at the edge: which gateways, which instances, how each follows its subscribers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from hashlib import sha256
from typing import Any, TypeVar, cast

from meghdwar.bundle import Bundle, BundleError
from meghdwar.driver import inputs
from meghdwar.driver.instance import Disk, Files, Instance
from meghdwar.model import (
    Attribute,
    Cloudlet,
    Cluster,
    Gateway,
    Join,
    Mobility,
    Mount,
    Parameter,
    StateFiles,
    Token,
    Value,
    Volume,
)

T = TypeVar("T")
NAME_MAX = 63
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Wanted:
    """The edge of one application, every value known. `mobility` is by cloudlet; one without stays where it is."""

    application: str
    gateways: Mapping[str, Gateway]
    cloudlets: Mapping[str, Cloudlet]
    clusters: Mapping[str, Cluster]
    volumes: Mapping[str, Volume]
    files: Mapping[str, StateFiles]
    mobility: Mapping[str, Mobility] = field(default_factory=dict)

    def instances(self) -> Iterator[tuple[Instance, str]]:
        """Each instance that is there from the beginning, with the gateway where it starts."""
        for cloudlet in self._shared():
            yield self.instance(cloudlet.name), str(cloudlet.host)

    def names(self) -> Iterator[str]:
        """What those instances are called."""
        return (instance_name(self.application, cloudlet.name) for cloudlet in self._shared())

    def _shared(self) -> Iterator[Cloudlet]:
        return (each for each in self.cloudlets.values() if each.instances == "shared" and each.host is not None)

    def reach(self, cloudlet: str) -> tuple[str, ...]:
        """The gateways where it may be: those of its cluster, or all of its host's kind."""
        wanted = self.cloudlets[cloudlet]
        if wanted.cluster is not None:
            return self.clusters[wanted.cluster].gateways
        return () if wanted.host is None else (wanted.host,)

    def instance(self, cloudlet: str, subscriber: str | None = None) -> Instance:
        """The instance of a cloudlet: the one that all share, or the subscriber's own."""
        wanted = self.cloudlets[cloudlet]
        name = instance_name(self.application, cloudlet, subscriber)
        disks = tuple(
            Disk(edge_name(name, mount.state), int(cast(int, volume.size_bytes)), mount.location, mount.device)
            for mount, volume in self._mounts(wanted, self.volumes)
        )
        files = tuple(
            Files(mount.state, found.paths, found.size_max_bytes) for mount, found in self._mounts(wanted, self.files)
        )
        return Instance(
            name=name,
            application=self.application,
            cloudlet=cloudlet,
            kind=wanted.kind,
            image=str(wanted.image),
            subscriber=subscriber,
            cpus=int(cast(int, wanted.cpus)),
            memory_bytes=int(cast(int, wanted.memory_bytes or 128 * 2**20)),
            disk_bytes=None if wanted.disk_bytes is None else int(cast(int, wanted.disk_bytes)),
            address=None if wanted.address is None or subscriber is not None else str(wanted.address),
            ports=wanted.ports,
            command=wanted.command,
            environment={key: str(value) for key, value in wanted.environment.items()},
            quiesce=wanted.quiesce,
            ready=wanted.ready,
            disks=disks,
            files=files,
        )

    def _mounts(self, cloudlet: Cloudlet, kind: Mapping[str, T]) -> Iterator[tuple[Mount, T]]:
        return ((mount, kind[mount.state]) for mount in cloudlet.state if mount.state in kind)


def instance_name(application: str, cloudlet: str, subscriber: str | None = None) -> str:
    """The name at the edge: arena, shop-arena, shop-arena-anna. One that had to be changed to fit bears a checksum."""
    parts = [application] if application == cloudlet else [application, cloudlet]
    return edge_name(*parts, *([subscriber] if subscriber is not None else []))


@lru_cache(4096)
def edge_name(*parts: str) -> str:
    """The parts as one name that every hypervisor takes: letters, digits and hyphens, a letter first."""
    whole = "-".join(parts)
    fit = re.sub(r"[^A-Za-z0-9-]", "-", whole)
    if not re.match(r"[A-Za-z]", fit):
        fit = f"i{fit}"
    # "_" is how names are usually written in descriptors, and no hypervisor's hostname takes it
    same = fit == whole.replace("_", "-") and not fit.endswith("-") and len(fit) <= NAME_MAX and len(parts) < 3
    if same:
        return fit
    digest = sha256("\0".join(parts).encode()).hexdigest()[:8]
    return f"{fit[: NAME_MAX - 9].rstrip('-')}-{digest}"


# from a bundle
def wanted(bundle: Bundle, parameters: Mapping[str, object] | None = None) -> Wanted:
    """What a bundle asks for, with these parameters instead of its own.

    Raises BundleError when a value is missing, or is known only to the stack that was built.
    """
    declared, values = parameters_of(bundle)
    inputs.check(bundle.plan_file, declared, parameters or {})
    values |= dict(parameters or {})
    plan = bundle.plan
    known = _Known(bundle, values, plan.units)

    def each(kind: type[T]) -> dict[str, T]:
        return {item.name: known.element(item) for item in plan.each(kind)}

    follows = {name: rule for rule in each(Mobility).values() for name in rule.cloudlets}
    return Wanted(
        application=bundle.name,
        gateways=each(Gateway),
        cloudlets=each(Cloudlet),
        clusters=each(Cluster),
        volumes=each(Volume),
        files=each(StateFiles),
        mobility=follows,
    )


def parameters_of(bundle: Bundle) -> tuple[dict[str, Any], dict[str, object]]:
    """The parameters as the stack declares them, and their values: from the environment, or their defaults."""
    import yaml

    loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    template = yaml.load(bundle.files.get(bundle.template, b""), Loader=loader) or {}  # noqa: S506 - a safe one
    environment = yaml.load(bundle.files.get(bundle.environment, b""), Loader=loader) or {}  # noqa: S506
    declared = template.get("parameters") or {}
    values = {name: entry["default"] for name, entry in declared.items() if "default" in entry}
    return declared, values | (environment.get("parameters") or {})


# what only the stack that builds the gateway needs
_OF_THE_STACK = frozenset({"flavor", "image", "key_name", "networks", "metadata", "zone", "volume_type"})


@dataclass(frozen=True, slots=True)
class _Known:
    """Turns expressions into values."""

    bundle: Bundle
    parameters: Mapping[str, object]
    units: Mapping[str, str]

    def element(self, item: T) -> T:
        """The same element with every value known; what only the stack needs is left as it is."""
        given: Any = item
        keep = _OF_THE_STACK if isinstance(item, Gateway | Volume) else frozenset()
        changed = {
            each.name: self.value(getattr(given, each.name), item)
            for each in fields(given)
            if each.name not in keep and each.name not in ("origin", "places")
        }
        return cast(T, replace(given, **changed))

    def value(self, value: Any, item: object) -> Any:
        match value:
            case Parameter(name, path):
                return self._parameter(name, path, item)
            case Join(parts, separator):
                return separator.join(str(self.value(part, item)) for part in parts)
            case Token(text, separator, index):
                return str(self.value(text, item)).split(separator)[index]
            case Attribute(element, path):
                if isinstance(item, Gateway):
                    return None  # an endpoint that the stack will know: the gateway is made known by its operator
                raise BundleError(
                    f"cannot use {self.bundle.plan_file}: {element}.{'.'.join(map(str, path))}, which "
                    f"{getattr(item, 'name', 'an element')} needs, is known only to the stack"
                )
            case tuple():
                return tuple(self.value(entry, item) for entry in value)
            case Mapping():
                return {key: self.value(entry, item) for key, entry in value.items()}
        return value

    def _parameter(self, name: str, path: tuple[str | int, ...], item: object) -> Value:
        if name not in self.parameters:
            if isinstance(item, Gateway):
                return None
            raise BundleError(
                f"cannot use {self.bundle.plan_file}: the parameter {name} has no value; give --input {name}="
            )
        found: Any = self.parameters[name]
        try:
            for key in path:
                found = found[key]
        except (KeyError, IndexError, TypeError):
            way = ".".join(map(str, path))
            raise BundleError(f"cannot use {self.bundle.plan_file}: the input {name} has no {way}") from None
        if name in self.units and isinstance(found, int | float) and not isinstance(item, Gateway):
            return int(found * GIB)
        return cast(Value, found)
