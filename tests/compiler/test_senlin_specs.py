"""Every specification that Senlin would refuse is refused, at its place."""

from __future__ import annotations

import pytest

from meghdwar.compiler.targets import senlin_kinds as kinds
from meghdwar.compiler.targets import senlin_specs as specs
from meghdwar.diagnostics import Span
from meghdwar.model import Join, Parameter
from tests.compiler.senlin_cases import CASES, HEALTH, SCALING, Case, health

HERE = Span("a.yaml")


def place(path: specs.Path) -> Span:
    return Span("/".join(map(str, path)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_case_gets_its_codes(case: Case) -> None:
    assert sorted(d.rule.code for d in specs.check(case.kind, case.spec, place)) == sorted(case.codes)


def test_a_problem_stands_at_its_path() -> None:
    spec = health(detection_modes=[{"type": "GUESS"}], interval="often")
    found = {d.span.file: d.rule.code for d in specs.check(HEALTH, spec, place)}
    assert found == {"detection/detection_modes/0/type": "MDW503", "detection/interval": "MDW502"}


def test_a_misspelt_key_has_a_way_out() -> None:
    spec = {"event": "CLUSTER_SCALE_OUT", "adjustment": {"cooldwn": 1}}
    (problem,) = specs.check(SCALING, spec, place)
    assert problem.help == "did you mean 'cooldown'?"


def test_parts_are_called_as_the_author_writes_them() -> None:
    mode = {"type": "NODE_STATUS_POLL_URL", "options": {"poll_url": "http://a", "poll_url_retry_interval": 1.5}}
    spec: dict[str, object] = {
        **health(detection_modes=[mode], recovery_conditional=["ANY"]),
        "recovery": {"actions": [{"name": "WAIT"}]},
    }
    found = {d.message.removeprefix("cannot set ").partition(" to ")[0] for d in specs.check(HEALTH, spec, place)}
    assert found == {"detection.modes[0].poll_url_retry_interval", "detection.when", "recovery.actions[0]"}


def test_what_is_not_known_yet_passes() -> None:
    kind = Join(("CHANGE", Parameter("t")))
    adjustment: dict[str, object] = {"number": Parameter("n"), "cooldown": {"get_param": "c"}, "type": kind}
    assert not [*specs.check(SCALING, {"event": Parameter("event"), "adjustment": adjustment}, place)]


def bound(name: str, kind: str, spec: dict[str, object] | None = None) -> specs.Bound:
    return specs.Bound(name, kind, spec or {}, Span(name), place)


def cluster(profile: str, *policies: specs.Bound) -> list[tuple[str, str]]:
    return [(d.rule.code, d.span.file) for d in specs.check_cluster("edges", profile, policies)]


@pytest.mark.parametrize("kind", [name for name, kind in kinds.KINDS.items() if kind.profiles])
def test_a_policy_binds_to_the_profiles_that_it_names(kind: str) -> None:
    only_servers = kinds.KINDS[kind].profiles == (kinds.SERVER,)
    assert cluster(kinds.SERVER, bound("p", kind)) == []
    assert cluster(kinds.STACK, bound("p", kind)) == ([("MDW507", "p")] if only_servers else [])


def test_one_policy_of_a_type_but_any_number_for_scaling() -> None:
    two = [bound("a", "senlin.policy.deletion-1.0"), bound("b", "senlin.policy.deletion-1.1")]
    assert cluster(kinds.SERVER, *two) == [("MDW508", "b")]
    grow, shrink = ({"event": f"CLUSTER_SCALE_{way}"} for way in ("OUT", "IN"))
    assert cluster(kinds.SERVER, bound("a", SCALING, grow), bound("b", SCALING, shrink)) == []
    assert cluster(kinds.SERVER, bound("a", SCALING, grow), bound("b", SCALING, grow)) == [("MDW509", "b")]


@pytest.mark.parametrize("action", ["REBOOT", "REBUILD"])
def test_a_stack_can_only_be_recreated(action: str) -> None:
    spec: dict[str, object] = {**health(), "recovery": {"actions": [{"name": action}]}}
    assert cluster(kinds.STACK, bound("heal", HEALTH, spec)) == [("MDW510", "recovery/actions/0")]
    assert cluster(kinds.SERVER, bound("heal", HEALTH, spec)) == []
