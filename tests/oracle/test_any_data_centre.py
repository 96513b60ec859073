"""Applications put together at random, always the same ones: whatever we make of them without an error Heat accepts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TypeVar

from meghdwar.compiler.targets import heat, hot
from meghdwar.compiler.targets.build import Rows, build
from meghdwar.compiler.targets.hot import Stack
from meghdwar.diagnostics import Span
from meghdwar.model import (
    Alarm,
    Application,
    Attachment,
    Attribute,
    BlockStorage,
    Constraint,
    Element,
    FloatingAddress,
    Input,
    Join,
    LoadBalancer,
    Network,
    ObjectStorage,
    Output,
    Parameter,
    Placement,
    Port,
    Server,
    ServerScaling,
    Software,
    Token,
    Value,
)
from tests.oracle import judge

T = TypeVar("T")
AT = Span("a.yaml", 1)
GIB = 2**30
SEEDS = range(24)  # any others will do as well
TEXT = Parameter("text")
INPUTS = (
    Input("cpus", "integer", AT, constraints=(Constraint("valid_values", (1, 2, 4)),)),
    Input("gib", "integer", AT, default=3, unit="GiB"),
    Input("text", "string", AT, default="x"),
    Input("names", "list", AT, default=("a",)),
    Input("map", "map", AT, default={"a": "b"}),
    Input("flag", "boolean", AT, default=True),
    Input("flavor", "string", AT),
)
ATTRIBUTES = {
    Server: ("private_address", "public_address", "networks", "id"),
    BlockStorage: ("volume_id",),
    Port: ("ip_address", "mac_address"),
    FloatingAddress: ("floating_ip_address",),
    LoadBalancer: ("vip_address",),
    Network: ("network_id", "network_name"),
    Software: ("out",),
}


def application(seed: int) -> Application:
    dice = random.Random(seed)  # noqa: S311 - the same ones every time
    elements = list(elements_of(dice))
    dice.shuffle(elements)
    asked = [(element.name, name) for element in elements for name in ATTRIBUTES.get(type(element), ())]
    outputs = [Output(f"o{index}", Attribute(name, (what,)), AT) for index, (name, what) in enumerate(asked)]
    parts: tuple[Value, ...] = (
        "a",
        *(Parameter(i.name) for i in INPUTS),
        Parameter("map", ("a",)),
        Parameter("names", (0,)),
    )
    outputs += [Output("joined", Join(parts, ","), AT), Output("cut", Token(TEXT, ":", 0), AT)]
    return Application(f"r{seed}", AT, "", INPUTS, tuple(elements), tuple(outputs))


def elements_of(dice: random.Random) -> Iterator[Element]:
    def pick(*choices: T) -> T:
        return dice.choice(choices)

    networks = [f"n{i}" for i in range(dice.randint(0, 3))]
    for name in networks:
        yield Network(
            name, AT, label=pick(None, name, TEXT), existing=pick(None, None, "PRIVATE", "e", TEXT),
            dhcp=pick(True, False), cidr=pick(None, "10.0.0.0/24"),
            network_type=pick(None, "vlan", "vxlan"), segmentation_id=pick(None, 5),
        )  # fmt: skip
    servers = [f"s{i}" for i in range(dice.randint(1, 4))]
    volumes = [f"v{i}" for i in range(dice.randint(0, 4))]
    for name in volumes:
        sizes: tuple[Value, ...] = (GIB, Parameter("gib"), 10**9)
        metadata = pick({}, {"a": TEXT})
        yield BlockStorage(name, AT, pick(*sizes), pick(None, None, "old"), image=pick(None, "i"), metadata=metadata)
    ports: list[str] = []
    for name in servers:
        boot = volumes.pop() if volumes and dice.random() < 0.2 else None
        yield Server(
            name, AT, image=pick(None, "i", TEXT), flavor=pick(None, "f", Parameter("flavor")),
            cpus=pick(None, 1, 2, Parameter("cpus")), memory_bytes=pick(None, GIB, Parameter("gib")),
            disk_bytes=pick(None, 10**10), distribution=pick(None, "U", TEXT), os_version=pick(None, 1.5),
            user_data=pick(None, "#!/bin/sh\n", Join(("a", TEXT))), networks=pick((), ("PRIVATE",), ("x", TEXT)),
            metadata=pick({}, {"get_file": "x"}, {"a": TEXT}), boot_volume=boot, key_name=pick(None, "k"),
        )  # fmt: skip
        for number in range(dice.randint(0, 2)):
            ports.append(f"{name}_p{number}")
            yield Port(
                ports[-1], AT, network=pick(None, *networks), server=name, address=pick(None, None, "10.0.0.7"),
                order=number, vnic_type=pick(None, "direct"), security=pick(None, False, ("g",)),
            )  # fmt: skip
        while volumes and dice.random() < 0.5:
            volume = volumes.pop()
            yield Attachment(f"{volume}_at_{name}", name, volume, AT, pick(None, "/d", TEXT), pick(None, "/dev/vdb"))
    runs: list[str] = []
    for number in range(dice.randint(0, 3)):
        component, before = f"c{number}", tuple(dice.sample(runs, min(len(runs), 2)))
        inputs = {"text": TEXT, "number": Parameter("cpus"), "map": Parameter("map"), "list": Parameter("names")}
        for name in dice.sample(servers, dice.randint(1, min(2, len(servers)))):
            runs.append(f"{component}_create_{name}")
            yield Software(runs[-1], name, component, "create", "a.sh", AT, inputs, ("out",), before)
    for number in range(dice.randint(0, 2)):
        port, network = pick(None, *ports), pick(None, "out", "PUBLIC", TEXT)
        yield FloatingAddress(f"f{number}", AT, network, port, None if port else pick(*servers))
    if dice.random() < 0.4:
        members = tuple(dice.sample(servers, dice.randint(1, len(servers))))
        yield LoadBalancer("lb", AT, members, pick(80, Parameter("cpus")), network=pick(None, *networks))
    if dice.random() < 0.5:
        kind = pick("affinity", "soft-affinity", "anti-affinity")
        yield Placement("together", kind, tuple(dice.sample(servers, dice.randint(1, len(servers)))), AT)
    if dice.random() < 0.2:
        yield ObjectStorage("store", AT, pick(None, "c", TEXT), pick(None, 5))
    dice.shuffle(servers)
    for number in range(min(dice.randint(0, 2), len(servers))):
        low = dice.randint(0, 2)
        high = low + dice.randint(0, 2)
        alarms = pick((), (Alarm(f"alarm{number}", "cpu", AT, 5),))
        clustered = pick(False, True)
        yield ServerScaling(
            f"g{number}", (servers.pop(),), AT, low, high, pick(low, high), pick(1, 2), pick(0, 60), alarms, clustered
        )


def stack_of(seed: int, rows: Rows, release: str) -> judge.Stack | None:
    """What Heat would be sent, or nothing when we refuse it ourselves."""
    stack, diagnostics = build(application(seed), rows, release)
    if any(diagnostic.is_error for diagnostic in diagnostics):
        return None
    files = {"a.sh": "#!/bin/sh\n"} | dict(nested(stack))
    return judge.Stack(stack.name, hot.emit(stack.data()), files)


def nested(stack: Stack) -> Iterator[tuple[str, str]]:
    for name, inner in stack.nested.items():
        yield name, hot.emit(inner.data())
        yield from nested(inner)


def test_heat_22_with_senlin(heat22: judge.Heat, senlin16: judge.Senlin) -> None:
    stacks = [stack_of(seed, heat.SENLIN_ROWS, "2024.1") for seed in SEEDS]
    verdicts = heat22.judge(stack for stack in stacks if stack is not None)
    assert len(verdicts) > 12
    assert [str(verdict) for verdict in verdicts if not verdict.accepted] == []
    specs = senlin16.judge(spec for verdict in verdicts for spec in verdict.senlin)
    assert [str(verdict) for verdict in specs if not verdict.accepted] == []


def test_heat_27(heat27: judge.Heat) -> None:
    stacks = [stack_of(seed, heat.ROWS, "2026.2") for seed in SEEDS]
    verdicts = heat27.judge(stack for stack in stacks if stack is not None)
    assert len(verdicts) > 12
    assert [str(verdict) for verdict in verdicts if not verdict.accepted] == []
