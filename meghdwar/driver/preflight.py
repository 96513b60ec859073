"""Asks a cloud, before anything is made, whether it can take a stack: every problem at once, each with a way out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from meghdwar.bundle import Bundle
from meghdwar.diagnostics import nearest
from meghdwar.driver.cloud_api import Cloud, CloudError
from meghdwar.model import Gateway

SENLIN, VOLUME = "OS::Senlin::", "OS::Cinder::Volume"
HELP_SENLIN = (
    "install Meghdwar's plug-in into that Heat and compile with --heat plugin, or compile with --target static"
)


@dataclass(frozen=True, slots=True)
class Machine:
    """A server that the stack will have, as its template says; None for what only the cloud knows."""

    name: str
    image: str | None
    flavor: str | None
    zone: str | None
    key: str | None
    networks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Needs:
    """What a stack asks of its cloud. `servers` are machines that are made at once."""

    types: tuple[str, ...]
    machines: tuple[Machine, ...]
    servers: int
    volumes: tuple[tuple[int, str | None], ...]  # GiB, type


def check(cloud: Cloud, bundle: Bundle, name: str, parameters: Mapping[str, Any] | None = None) -> list[str]:
    """What is wrong, as sentences; empty when the stack can be created. Changes nothing."""
    needs = needs_of(bundle, parameters or {})
    looks: list[Callable[[], Iterable[str]]] = [
        lambda: _name(cloud, name),
        lambda: _template(cloud, bundle, parameters or {}),
        lambda: _machines(cloud, needs),
        lambda: _images(cloud, needs),
        lambda: _zones(cloud, needs),
        lambda: _keys(cloud, needs),
        lambda: _networks(cloud, needs),
        lambda: _volumes(cloud, needs),
        *(lambda kind=kind: _type(cloud, kind) for kind in needs.types),
    ]
    missing = list(_services(cloud, needs))
    if missing:  # what they would say is said already
        return missing
    from concurrent.futures import ThreadPoolExecutor  # only here: a move need not wait until it is loaded

    with ThreadPoolExecutor(8) as pool:
        return [problem for problems in pool.map(_safely, looks) for problem in problems]


def _safely(look: Callable[[], Iterable[str]]) -> list[str]:
    try:
        return list(look())
    except CloudError as error:
        return [str(error)]


# what the stack asks for
def needs_of(bundle: Bundle, parameters: Mapping[str, Any]) -> Needs:
    template = _yaml(bundle.files[bundle.template])
    values = {name: entry.get("default") for name, entry in (template.get("parameters") or {}).items()}
    values |= (_yaml(bundle.files[bundle.environment]).get("parameters") or {}) | dict(parameters)
    resources = template.get("resources") or {}
    types = sorted({entry["type"] for entry in resources.values() if "::" in str(entry["type"])})
    made = [step for step in bundle.plan.complete if step.act == "create-node"]
    built = {gateway.name for gateway in bundle.plan.each(Gateway) if not gateway.stands}
    counted = [entry for entry in resources.values() if entry["type"] in ("OS::Nova::Server", f"{SENLIN}Node")]
    return Needs(
        tuple(types),
        tuple(_all_machines(resources, values)),
        sum(str(step.arguments["gateway"]) in built for step in made) + len(counted),
        tuple(_volume(entry["properties"], values) for entry in resources.values() if entry["type"] == VOLUME),
    )


def _volume(given: Mapping[str, Any], values: Mapping[str, Any]) -> tuple[int, str | None]:
    return _whole(_settled(given.get("size"), values)), _text(_settled(given.get("volume_type"), values))


def _yaml(data: bytes) -> dict[str, Any]:
    import yaml

    found = yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe one
    return found if isinstance(found, dict) else {}


def _all_machines(resources: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[Machine]:
    for name, entry in resources.items():
        properties = entry.get("properties") or {}
        if entry["type"] == "OS::Nova::Server":
            yield _machine(name, properties, values)
        elif entry["type"] == f"{SENLIN}Profile":
            given = properties.get("properties") or {}
            if str(properties.get("type")).startswith("os.heat.stack"):
                given = given.get("parameters") or {}
            if "flavor" in given or "image" in given:
                yield _machine(name, given, values)


def _machine(name: str, given: Mapping[str, Any], values: Mapping[str, Any]) -> Machine:
    networks = [entry.get("network") for entry in given.get("networks") or () if isinstance(entry, Mapping)]
    said = {
        key: _text(_settled(given.get(key), values)) for key in ("image", "flavor", "availability_zone", "key_name")
    }
    named = tuple(found for found in (_text(_settled(network, values)) for network in networks) if found)
    return Machine(name, said["image"], said["flavor"], said["availability_zone"], said["key_name"], named)


def _settled(value: Any, values: Mapping[str, Any]) -> Any:
    """A value of the template, once its parameters are known; None for what another function says."""
    if not isinstance(value, Mapping):
        return value
    asked = value.get("get_param")
    return values.get(asked) if isinstance(asked, str) else None


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


# what the cloud has
def _services(cloud: Cloud, needs: Needs) -> Iterator[str]:
    wanted = {
        "orchestration": True,
        "clustering": any(kind.startswith(SENLIN) for kind in needs.types),
        "compute": bool(needs.machines),
        "block_storage": bool(needs.volumes),
    }
    words = {"orchestration": "Heat", "clustering": "Senlin", "compute": "Nova", "block_storage": "Cinder"}
    for service, needed in wanted.items():
        if needed and not cloud.has(service):
            advice = "compile with --target static" if service == "clustering" else "use another cloud or region"
            yield f"cannot use {cloud.name}: it has no {words[service]} in its catalogue; {advice}"


def _name(cloud: Cloud, name: str) -> Iterator[str]:
    found = cloud.ask("orchestration", "GET", f"/stacks/{name}", asked=f"look for stack {name}", missing=True)
    state = found["stack"]["stack_status"] if found else "DELETE_COMPLETE"
    if state != "DELETE_COMPLETE":
        advice = "mdw adopt takes it over"
        if state.endswith("_FAILED"):
            advice = f"see openstack stack failures list {name}, and delete it"
        yield f"cannot create stack {name}: there is one, and it is {state}; {advice}; or choose another name"


def _template(cloud: Cloud, bundle: Bundle, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Heat's own opinion, which comes one error at a time."""
    files = {file: data.decode(errors="replace") for file, data in bundle.files.items() if file != bundle.template}
    environment = files.pop(bundle.environment)
    body: dict[str, Any] = {
        "template": bundle.files[bundle.template].decode(),
        "files": files,
        "environment": environment,
    }
    body["parameters"] = dict(parameters)
    try:
        cloud.ask("orchestration", "POST", "/validate", body, asked=f"have {bundle.template} validated")
    except CloudError as error:
        yield str(error)


def _type(cloud: Cloud, kind: str) -> Iterator[str]:
    """A type that this Heat lacks, or keeps by name only: it would take the stack, and make nothing."""
    advice = HELP_SENLIN if kind.startswith(SENLIN) else "compile for this release (--heat), or use another cloud"
    try:
        asked = f"look at resource type {kind}"
        found = cloud.ask("orchestration", "GET", f"/resource_types/{kind}", asked=asked, missing=True)
    except CloudError as error:
        if error.status != 400:  # "is not supported"
            raise
        found = {"support_status": {"status": "HIDDEN"}}
    if not found:
        yield f"cannot use {kind}: this Heat does not know it; {advice}"
    elif (found.get("support_status") or {}).get("status") in ("HIDDEN", "UNSUPPORTED"):
        yield f"cannot use {kind}: this Heat keeps only its name, takes everything and makes nothing; {advice}"


def _machines(cloud: Cloud, needs: Needs) -> Iterator[str]:
    """Flavors, and whether the quota is large enough for all machines together."""
    if not needs.machines:
        return
    flavors = cloud.ask("compute", "GET", "/flavors/detail", asked="list the flavors")["flavors"]
    by_name = {flavor["name"]: flavor for flavor in flavors} | {flavor["id"]: flavor for flavor in flavors}
    yield from _unknown("flavor", {m.flavor for m in needs.machines}, by_name, "openstack flavor list")
    limits = cloud.ask("compute", "GET", "/limits", asked="look at the quota")["limits"]["absolute"]
    typical = next((by_name[m.flavor] for m in needs.machines if m.flavor in by_name), None)
    wanted = {"instances": needs.servers}
    if typical is not None:
        wanted |= {"cores": needs.servers * typical["vcpus"], "MiB of memory": needs.servers * typical["ram"]}
    keys = {
        "instances": ("maxTotalInstances", "totalInstancesUsed"),
        "cores": ("maxTotalCores", "totalCoresUsed"),
        "MiB of memory": ("maxTotalRAMSize", "totalRAMUsed"),
    }
    for what, number in wanted.items():
        yield from _quota(what, number, limits, *keys[what])


def _images(cloud: Cloud, needs: Needs) -> Iterator[str]:
    wanted = {machine.image for machine in needs.machines if machine.image}
    if wanted:
        images = cloud.ask("image", "GET", "/images", asked="list the images", limit=1000)["images"]
        known = {image["name"] for image in images} | {image["id"] for image in images}
        yield from _unknown("image", wanted, known, "openstack image list")


def _zones(cloud: Cloud, needs: Needs) -> Iterator[str]:
    wanted = {machine.zone for machine in needs.machines if machine.zone}
    if wanted:
        answer = cloud.ask("compute", "GET", "/os-availability-zone", asked="list the zones")
        zones = {zone["zoneName"] for zone in answer["availabilityZoneInfo"] if zone["zoneState"]["available"]}
        yield from _unknown("zone", wanted, zones, "openstack availability zone list")


def _keys(cloud: Cloud, needs: Needs) -> Iterator[str]:
    wanted = {machine.key for machine in needs.machines if machine.key}
    if wanted:
        pairs = cloud.ask("compute", "GET", "/os-keypairs", asked="list the keys")["keypairs"]
        yield from _unknown("key", wanted, {pair["keypair"]["name"] for pair in pairs}, "openstack keypair list")


def _networks(cloud: Cloud, needs: Needs) -> Iterator[str]:
    wanted = {network for machine in needs.machines for network in machine.networks}
    if wanted and cloud.has("network"):
        networks = cloud.ask("network", "GET", "/networks", asked="list the networks")["networks"]
        known = {network["name"] for network in networks} | {network["id"] for network in networks}
        yield from _unknown("network", wanted, known, "openstack network list")


def _volumes(cloud: Cloud, needs: Needs) -> Iterator[str]:
    if not needs.volumes:
        return
    wanted = {kind for _, kind in needs.volumes if kind}
    if wanted:
        kinds = cloud.ask("block_storage", "GET", "/types", asked="list the volume types")["volume_types"]
        known = {kind["name"] for kind in kinds} | {kind["id"] for kind in kinds}
        yield from _unknown("volume type", wanted, known, "openstack volume type list")
    limits = cloud.ask("block_storage", "GET", "/limits", asked="look at the quota of volumes")["limits"]["absolute"]
    yield from _quota("volumes", len(needs.volumes), limits, "maxTotalVolumes", "totalVolumesUsed")
    size = sum(gib for gib, _ in needs.volumes)
    yield from _quota("GiB of volumes", size, limits, "maxTotalVolumeGigabytes", "totalGigabytesUsed")


def _unknown(what: str, wanted: Iterable[str | None], known: Iterable[str], command: str) -> Iterator[str]:
    """What is wanted and not there; nobody means an id that has a name beside it."""
    there = set(known)
    names = {name for name in there if not _ID.fullmatch(name)} or there
    for name in sorted(name for name in wanted if name and name not in there):
        yield f"cannot find {what} {name!r} in this cloud: {nearest(name, names)}; see {command}"


_ID = re.compile("[0-9a-f-]{32,36}")


def _quota(what: str, wanted: int, limits: Mapping[str, int], maximum: str, used: str) -> Iterator[str]:
    limit = limits.get(maximum, -1)
    free = limit - limits.get(used, 0)
    if limit >= 0 and wanted > free:
        yield f"cannot make {wanted} {what}: the quota leaves {max(0, free)} of {limit}; have it raised, or free some"
