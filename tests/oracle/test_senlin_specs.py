"""Senlin 16 and we agree on specifications, but for the ones where we say more on purpose."""

from __future__ import annotations

from tests.compiler.senlin_cases import CASES
from tests.oracle import judge


def test_senlin_refuses_what_we_refuse_and_takes_what_we_take(senlin16: judge.Senlin) -> None:
    asked = []
    for case in CASES:
        type_, _, version = case.kind.rpartition("-")
        kind = "policy" if type_.startswith("senlin.policy") else "profile"
        asked.append(judge.Spec(kind, case.name, {"type": type_, "version": version, "properties": dict(case.spec)}))
    verdicts = senlin16.judge(asked)
    differ = [
        str(v) for case, v in zip(CASES, verdicts, strict=True) if v.accepted != (not case.codes or case.stricter)
    ]
    assert not differ
