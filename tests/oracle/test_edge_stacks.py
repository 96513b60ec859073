"""Every shape of an edge, on every target and release: Heat takes the stack, and Senlin the specifications in it."""

from __future__ import annotations

import pytest

from meghdwar.compiler.targets import hot, target
from meghdwar.model import Application, Cloudlet, Mount, Volume
from tests.compiler import applications as made
from tests.oracle import judge

SHARES_NAMES = made.application(
    *made.arena().elements,
    Volume("arena_at", 1, made.HERE),
    Volume("driver_certificate", 1, made.HERE),
    Cloudlet(
        "radio", "container", "i", made.HERE, host="edge_a", cluster="edges",
        state=(Mount("arena_at", "/x"), Mount("driver_certificate", "/y")),
    ),
)  # fmt: skip
SHAPES = {
    "arena": made.arena(made.policy("health")),
    "everything": made.everything(),
    "kvm": made.arena(gateways=tuple(made.gateway(f"edge_{n}", hypervisor="kvm") for n in "ab"), kind="vm"),
    "one stands": made.arena(made.policy("health"), gateways=(made.gateway("edge_a"), made.standing("edge_b"))),
    "all stand": made.arena(gateways=(made.standing("edge_a", 1), made.standing("edge_b"))),
    "for each subscriber": made.arena(instances="per_subscriber", address=None),
    "names that meet": SHARES_NAMES,
    "2": made.many(2),
    "10": made.many(10),
    "100": made.many(100),
    "300": made.many(300),
}
ALIKE = made.arena(
    made.policy("scaling"),
    made.policy("scaling", "shrink", event="CLUSTER_SCALE_IN"),
    made.policy("batch"),
    gateways=tuple(made.gateway(f"edge_{n}", 1) for n in "ab"),
    state=(),
)


def stack(application: Application, target_: str, heat: str) -> judge.Stack:
    made_, _plan, diagnostics = target(target_)(application, heat)
    assert not [d for d in diagnostics if d.is_error]
    return judge.Stack(f"{target_} {heat}", hot.emit(made_.data()))


BIG = ("100", "300")  # where the releases differ is in small ones already
CASES = [
    (s, h) for h in ("zed", "2023.1", "2023.2", "2024.1", "plugin") for s in SHAPES if s not in BIG or h == "plugin"
]


@pytest.mark.parametrize(("shape", "heat"), CASES)
def test_senlin(shape: str, heat: str, heat22: judge.Heat, senlin16: judge.Senlin) -> None:
    (verdict,) = heat22.judge([stack(SHAPES[shape], "senlin", heat)])
    assert verdict.accepted, str(verdict)
    assert verdict.resources < 1000
    specifications = senlin16.judge(verdict.senlin)
    assert specifications
    assert not [str(v) for v in specifications if not v.accepted]


@pytest.mark.parametrize("shape", SHAPES)
def test_static(shape: str, heat22: judge.Heat, heat27: judge.Heat) -> None:
    for heat in (heat22, heat27):
        (verdict,) = heat.judge([stack(SHAPES[shape], "static", "2026.2")])
        assert verdict.accepted, str(verdict)


def test_asg(heat22: judge.Heat, heat27: judge.Heat) -> None:
    for heat in (heat22, heat27):
        (verdict,) = heat.judge([stack(ALIKE, "asg", "2026.2")])
        assert verdict.accepted, str(verdict)
