"""What the compiler writes and the driver reads: a stack, its environment and the plan, bound together by one digest.

The plan is the edge of the application and what it is in the stack, with a list of what that stack's Heat cannot do,
so that whoever reads it needs neither the descriptor nor a compiler.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias, cast

from meghdwar.diagnostics import Span
from meghdwar.model import (
    Attribute,
    Cloudlet,
    Cluster,
    ClusterPolicy,
    Gateway,
    Join,
    Mobility,
    Mount,
    Parameter,
    Ready,
    Receiver,
    StateFiles,
    Token,
    Value,
    Volume,
)

VERSION = 1
NOTHING: Mapping[str, Any] = MappingProxyType({})

Item: TypeAlias = Gateway | Cluster | ClusterPolicy | Receiver | Cloudlet | Volume | StateFiles | Mobility


class BundleError(Exception):
    """The files do not belong together, or somebody changed them; the message says which and what to do."""


# the plan
@dataclass(frozen=True, slots=True)
class Step:
    """Something that is left for the driver, because the Heat that takes the stack cannot do it.

    `act` is give-certificate, bind-policy, create-node, make-volume, set-limits, set-parameter or delete-policy;
    `when` is create (with the command that creates the stack), created (after that), moved (when a cloudlet is
    placed and at each move) or deleted (after the stack was). `resource` is the resource or parameter of the
    stack that it is about. `reason` is for people.
    """

    act: str
    when: str
    resource: str
    reason: str
    arguments: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """The edge of one application. `items` are its elements in the order in which they were written;
    `made` says for each by name what it is in the stack: part -> name of a resource, parameter or output."""

    application: str
    target: str = "senlin"
    heat: str = ""
    items: tuple[Item, ...] = ()
    made: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    complete: tuple[Step, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)  # parameter -> GiB, where elements that read it have bytes

    def each(self, kind: type[Any]) -> Iterator[Any]:
        return (item for item in self.items if isinstance(item, kind))


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files of one application. `template` is the name of the one that `openstack stack create` is given;
    `files` holds every file but the plan: templates, scripts and the environment, by name.

    `explanations` say which place of the descriptor made which resource and why; they are not written to files.
    """

    name: str
    template: str
    environment: str
    files: Mapping[str, bytes]
    plan: Plan
    explanations: tuple[tuple[str, Span, str], ...] = ()

    @property
    def plan_file(self) -> str:
        return f"{self.name}.plan.yaml"

    @property
    def digest(self) -> str:
        """The checksum of everything in it: the same for the same bytes."""
        return _digest(_content(self))

    def command(self, stack: str = "") -> str:
        """The line that hands the stack to Heat, to be run in the folder of the files."""
        from shlex import quote

        files = ["-t", quote(self.template), "-e", quote(self.environment)]
        return " ".join(["openstack", "stack", "create", *files, "--wait", quote(stack or stack_name(self.name))])

    def advice(self) -> list[str]:
        """What to add to the command, and why: one sentence each."""
        return [
            f"add --parameter-file {step.resource}=FILE: {step.reason}"
            for step in self.plan.complete
            if step.when == "create"
        ]


def stack_name(name: str) -> str:
    """The name as Heat takes it for a stack: letters, digits and ._-, a letter first."""
    import re

    fit = re.sub(r"[^A-Za-z0-9._-]", "-", name)
    return fit if re.match(r"[A-Za-z]", fit) else f"s{fit}"


def make(
    name: str,
    templates: Mapping[str, str],
    plan: Plan,
    *,
    parameters: Mapping[str, object] = NOTHING,
    scripts: Mapping[str, bytes] = NOTHING,
    explanations: tuple[tuple[str, Span, str], ...] = (),
) -> Bundle:
    """A bundle from its parts. The first of the templates is the stack's, the others are nested in it."""
    environment = f"{name}.env.yaml"
    files = {file: text.encode() for file, text in templates.items()}
    files |= scripts
    files[environment] = _dump({"parameters": dict(parameters)}).encode()
    return Bundle(name, next(iter(templates)), environment, files, plan, explanations)


# to files
def to_files(bundle: Bundle) -> dict[str, bytes]:
    """Every file of a bundle by name, the plan last."""
    content = _content(bundle)
    digest = _digest(content)
    document = {"version": VERSION, "digest": digest}
    return {**bundle.files, bundle.plan_file: _dump(document | content).encode()}


def write(bundle: Bundle, folder: Path) -> list[Path]:
    """Writes the files and returns their paths. Either each of them is whole, or the plan does not fit the others."""
    folder.mkdir(parents=True, exist_ok=True)
    waiting: list[tuple[Path, Path]] = []
    try:
        for name, data in to_files(bundle).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
            temporary.unlink(missing_ok=True)  # of a process that died and had our number
            waiting.append((temporary, path))
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for temporary, path in waiting:
            os.replace(temporary, path)
    finally:
        for temporary, _path in waiting:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
    return [path for _temporary, path in waiting]


# from files
def read(plan_file: Path) -> Bundle:
    """The bundle whose plan this is, with the files beside it. Raises BundleError when anything was changed since."""
    try:
        files = {plan_file.name: plan_file.read_bytes()}
        for name in _listed(plan_file.name, files[plan_file.name]):
            files[name] = (plan_file.parent / name).read_bytes()
    except OSError as error:
        raise BundleError(f"cannot read {error.filename}: {error.strerror}") from None
    return from_files(plan_file.name, files)


def from_files(plan_file: str, files: Mapping[str, bytes]) -> Bundle:
    """The bundle that `to_files` gave. Raises BundleError when anything was changed since."""
    document = _load(plan_file, files.get(plan_file, b""))
    checksums = _mapping(document.get("files"))
    for name, checksum in checksums.items():
        if name not in files:
            raise BundleError(f"cannot use {plan_file}: {name} is missing beside it; compile the descriptor again")
        if _sha256(files[name]) != checksum:
            raise BundleError(
                f"cannot use {name}: it was changed after {plan_file} was written; compile the descriptor again"
            )
    content = {key: value for key, value in document.items() if key not in ("version", "digest")}
    if document.get("digest") != _digest(content):
        raise BundleError(f"cannot use {plan_file}: it was edited by hand; change the descriptor and compile it again")
    try:
        return Bundle(
            name=str(document["application"]),
            template=str(document["template"]),
            environment=str(document["environment"]),
            files={name: files[name] for name in checksums},
            plan=_plan(document, Span(plan_file)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"cannot use {plan_file}: it is no plan ({error!r})") from None


def _listed(plan_file: str, data: bytes) -> Iterator[str]:
    for name in _mapping(_load(plan_file, data).get("files")):
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise BundleError(f"cannot use {plan_file}: {name} lies outside its folder")
        yield name


def _load(plan_file: str, data: bytes) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe one
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BundleError(f"cannot read {plan_file}: {str(error).splitlines()[0]}") from None
    if not isinstance(document, dict) or "digest" not in document:
        raise BundleError(f"cannot use {plan_file}: it is no plan")
    if document.get("version") != VERSION:
        raise BundleError(
            f"cannot use {plan_file}: it is of version {document.get('version')}, and this is for {VERSION}; "
            "compile the descriptor again"
        )
    return cast("dict[str, Any]", document)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


# the document
SECTIONS: Mapping[str, type[Any]] = {
    "gateways": Gateway,
    "clusters": Cluster,
    "policies": ClusterPolicy,
    "receivers": Receiver,
    "cloudlets": Cloudlet,
    "volumes": Volume,
    "state_files": StateFiles,
    "mobility": Mobility,
}
EDGE: tuple[type[Any], ...] = tuple(SECTIONS.values())
_INNER: Mapping[str, type[Any]] = {"ready": Ready, "state": Mount}
_LEFT_OUT = frozenset({"name", "origin", "places"})


def identity(name: str, plan: Plan) -> str:
    """The checksum of what a plan says of its application, without the files: the stack bears it as an output, so
    that the plan of a stack that is there can be found."""
    return _digest(_described(name, plan))


def called(bundle: Bundle, name: str) -> Bundle:
    """The same application under another name, so that it may be there more than once. Its stack bears the identity
    that goes with that name."""
    if name == bundle.name:
        return bundle
    plan = replace(bundle.plan, application=name)
    before, after = identity(bundle.name, bundle.plan).encode(), identity(name, plan).encode()
    files = {**bundle.files, bundle.template: bundle.files[bundle.template].replace(before, after)}
    return replace(bundle, name=name, plan=plan, files=files)


def _content(bundle: Bundle) -> dict[str, Any]:
    described = _described(bundle.name, bundle.plan)
    head = {
        "application": bundle.name,
        "identity": _digest(described),
        "template": bundle.template,
        "environment": bundle.environment,
        "files": {name: _sha256(data) for name, data in bundle.files.items()},
    }
    return head | described


def _described(name: str, plan: Plan) -> dict[str, Any]:
    document: dict[str, Any] = {"application": name, "target": plan.target, "heat": plan.heat}
    for section, kind in SECTIONS.items():
        entries = {item.name: _entry(item, plan.made.get(item.name, {})) for item in plan.each(kind)}
        if entries:
            document[section] = entries
    if plan.units:
        document["units"] = dict(plan.units)
    document["complete"] = [
        {
            "act": step.act,
            "when": step.when,
            "resource": step.resource,
            **({"arguments": _data(step.arguments)} if step.arguments else {}),
            "reason": step.reason,
        }
        for step in plan.complete
    ]
    return document


def _entry(item: Item, made: Mapping[str, str]) -> dict[str, Any]:
    return {**_fields(item), **({"stack": dict(made)} if made else {})}


def _fields(item: Any) -> dict[str, Any]:
    """What an element says beyond its defaults."""
    result = {}
    for each in fields(item):
        value = getattr(item, each.name)
        default = each.default_factory() if each.default_factory is not MISSING else each.default
        if each.name not in _LEFT_OUT and value != default:
            result[each.name] = _data(value)
    return result


def _data(value: Any) -> Any:
    """A value as plain data; an expression is a map with one key that begins with $."""
    match value:
        case Parameter(name, path):
            return {"$parameter": [name, *path]}
        case Attribute(element, path):
            return {"$attribute": [element, *path]}
        case Join(parts, separator):
            return {"$join": [separator, *(_data(part) for part in parts)]}
        case Token(text, separator, index):
            return {"$token": [_data(text), separator, index]}
        case Mapping():
            return {f"${key}" if str(key).startswith("$") else key: _data(entry) for key, entry in value.items()}
        case tuple() | list():
            return [_data(entry) for entry in value]
        case Mount() | Ready():
            return _fields(value)
    return value


def _plan(document: Mapping[str, Any], origin: Span) -> Plan:
    items: list[Item] = []
    made = {}
    for section, kind in SECTIONS.items():
        for name, entry in _mapping(document.get(section)).items():
            given = {key: _value(value) for key, value in entry.items() if key != "stack"}
            for key, inner in _INNER.items():
                if key in given:
                    found = given[key]
                    given[key] = tuple(inner(**e) for e in found) if isinstance(found, tuple) else inner(**found)
            items.append(kind(name=name, origin=origin, **given))
            if "stack" in entry:
                made[name] = dict(entry["stack"])
    steps = tuple(
        Step(s["act"], s["when"], s["resource"], s["reason"], _value(s.get("arguments", {})))
        for s in document.get("complete", ())
    )
    units = _mapping(document.get("units"))
    target, heat = document["target"], str(document["heat"])
    return Plan(str(document["application"]), target, heat, tuple(items), made, steps, units)


def _value(data: Any) -> Any:
    if isinstance(data, list):
        return tuple(_value(entry) for entry in data)
    if not isinstance(data, dict):
        return data
    if len(data) == 1:
        match next(iter(data.items())):
            case ("$parameter", [name, *path]):
                return Parameter(name, tuple(path))
            case ("$attribute", [element, *path]):
                return Attribute(element, tuple(path))
            case ("$join", [separator, *parts]):
                return Join(tuple(_value(part) for part in parts), separator)
            case ("$token", [text, separator, index]):
                return Token(_value(text), separator, index)
    return {key.removeprefix("$") if isinstance(key, str) else key: _value(entry) for key, entry in data.items()}


# bytes
def _digest(content: Mapping[str, Any]) -> str:
    import json

    return "sha256:" + _sha256(json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())


def _sha256(data: bytes) -> str:
    from hashlib import sha256

    return sha256(data).hexdigest()


def _dump(document: Mapping[str, Any]) -> str:
    import yaml

    dumper: type[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    class Plain(dumper):  # type: ignore[misc]
        def ignore_aliases(self, data: object) -> bool:
            return True

    return str(yaml.dump(document, Dumper=Plain, sort_keys=False, allow_unicode=True, width=120))
