"""Flavors and images for servers that only say what they need: parameters that servers with the same need share."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meghdwar.compiler import rules
from meghdwar.compiler.targets.build import Build
from meghdwar.compiler.targets.hot import Data
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import Parameter, Server, Value

MIB = 1024**2
GIB = 1024**3

# The flavors that clouds have by custom: name, CPUs, MiB of memory, GiB of disk. The first that fits is the default.
FLAVORS = (
    ("m1.tiny", 1, 512, 1),
    ("m1.small", 1, 2048, 20),
    ("m1.medium", 2, 4096, 40),
    ("m1.large", 4, 8192, 80),
    ("m1.xlarge", 8, 16384, 160),
)
CHOICES_MAX = 32  # values of an input for which a table of flavors is written


def flavor(server: Server, build: Build) -> Data:
    """The flavor asked for, or a parameter whose default is the smallest usual one that fits.

    When the number of CPUs is an input with few possible values, the stack chooses by a table when it is created.
    """
    if server.flavor is not None:
        return build.value(server.flavor)
    need = (server.cpus, server.memory_bytes, server.disk_bytes)
    if not all(part is None or isinstance(part, int) for part in need):
        return _flavor(server, build)
    if ("flavor", *need) not in build.shared:
        build.shared["flavor", *need] = _flavor(server, build)
    return build.shared["flavor", *need]


def _flavor(server: Server, build: Build) -> Data:
    memory = _count(build.known_bytes(server.memory_bytes), MIB)
    disk = _count(build.known_bytes(server.disk_bytes), GIB)
    if (choices := _choices(server.cpus, build)) and isinstance(server.cpus, Parameter):
        table = {str(cpus): fitting(cpus, memory, disk) for cpus in choices}
        if all(table.values()):
            by = build.parameter(
                "_".join(("flavors", *_words(None, memory, disk), "by", server.cpus.name)),
                "json",
                description=f"The flavor for each value of {server.cpus.name}{_need(None, memory, disk)}.",
                default={**table},
            )
            name = by["get_param"] if isinstance(by, dict) else None
            return {"get_param": [name, build.values.text(server.cpus)]}
    cpus = build.known(server.cpus)
    cpus = cpus if isinstance(cpus, int) else None
    return build.parameter(
        "_".join(("flavor", *_words(cpus, memory, disk))) if cpus or not server.cpus else f"flavor_{server.name}",
        description=f"A flavor{_need(cpus, memory, disk)}.",
        default=fitting(cpus, memory, disk) if cpus or not server.cpus else None,
        constraints=[{"custom_constraint": "nova.flavor"}],
    )


def fixed(server: Server, build: Build) -> Iterator[Diagnostic]:
    """An input that the choice of a flavor could not wait for."""
    if server.flavor is not None:
        return
    for what, value in (("CPUs", server.cpus), ("memory", server.memory_bytes), ("disk", server.disk_bytes)):
        if (
            isinstance(value, Parameter)
            and build.known(value) is not None
            and not (what == "CPUs" and _choices(value, build))
        ):
            build.values.used.add(value.name)  # it is said here
            yield Diagnostic(
                rules.FIXED_INPUT,
                server.origin,
                f"the flavor of {server.name!r} is chosen for {value.name} = {_shown(value, build)} now",
                f"compile again when {value.name!r} changes, or set the flavor's parameter",
            )


def _shown(value: Parameter, build: Build) -> str:
    unit = "" if value.path else build.inputs[value.name].unit
    return f"{build.known(value)} {unit}".rstrip()


def fitting(cpus: int | None, memory_mib: int | None, disk_gib: int | None) -> str | None:
    """The smallest usual flavor for a need; None when none is big enough. Without any need a small one."""
    if not (cpus or memory_mib or disk_gib):
        return "m1.small"
    wanted = (cpus or 0, memory_mib or 0, disk_gib or 0)
    return next((f[0] for f in FLAVORS if all(has >= want for has, want in zip(f[1:], wanted, strict=True))), None)


def _choices(cpus: Value, build: Build) -> list[int]:
    """The values that the number of CPUs can take, when it is an input that says so."""
    if not isinstance(cpus, Parameter) or cpus.path or cpus.name not in build.inputs:
        return []
    for constraint in build.inputs[cpus.name].constraints:
        operand = constraint.operand
        if not isinstance(operand, tuple):
            continue
        numbers = [number for number in operand if isinstance(number, int)]
        if len(numbers) != len(operand):
            continue
        if constraint.operator == "valid_values" and len(numbers) <= CHOICES_MAX:
            return numbers
        if constraint.operator == "in_range" and len(numbers) == 2 and 0 <= numbers[1] - numbers[0] < CHOICES_MAX:
            return list(range(numbers[0], numbers[1] + 1))
    return []


def _count(size: int | None, unit: int) -> int | None:
    return -(-size // unit) if size else None


def _words(cpus: int | None, memory: int | None, disk: int | None) -> Iterator[str]:
    if cpus:
        yield f"{cpus}cpu"
    if memory:
        yield f"{memory}mib"
    if disk:
        yield f"{disk}gib"


def _need(cpus: int | None, memory: int | None, disk: int | None) -> str:
    needs = (
        *((f"{cpus} CPU{'s' * (cpus > 1)}",) if cpus else ()),
        *((f"{memory} MiB of memory",) if memory else ()),
        *((f"{disk} GiB of disk",) if disk else ()),
    )
    return " with at least " + ", ".join(needs) if needs else ""


def image(server: Server, build: Build) -> Data:
    """The image asked for, or a parameter that asks for one by the operating system that is wanted."""
    if server.image is not None:
        return build.value(server.image)
    asked = (server.distribution or server.os_type, server.os_version, server.architecture)
    if not all(part is None or isinstance(part, str | int | float) for part in asked):
        return _image(server, asked, build)
    if ("image", *asked) not in build.shared:
        build.shared["image", *asked] = _image(server, asked, build)
    return build.shared["image", *asked]


def _image(server: Server, asked: tuple[Value, ...], build: Build) -> Data:
    wanted = [build.known(part) for part in asked if part is not None]
    if None in wanted:
        return build.parameter(
            f"image_{server.name}",
            description=f"The image of {server.name}.",
            constraints=[{"custom_constraint": "glance.image"}],
        )
    words = [str(part) for part in wanted]
    return build.parameter(
        "_".join(("image", *(re.sub(r"[^a-z0-9]+", "_", word.lower()) for word in words))),
        description="An image" + (" with " + " ".join(words) if words else "") + ".",
        constraints=[{"custom_constraint": "glance.image"}],
    )
