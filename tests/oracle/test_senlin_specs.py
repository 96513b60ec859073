"""Senlin 16 and we agree on specifications, but for the ones where we say more on purpose."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from meghdwar.compiler.targets.senlin_kinds import KINDS, Field
from tests.compiler.senlin_cases import CASES
from tests.oracle import judge, venvs

HERE = Path(__file__).parent


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


def plain(field: Field) -> dict[str, Any]:
    return {
        "kind": field.kind,
        "required": field.required,
        "updatable": field.updatable,
        "default": field.default,
        "allowed": list(field.allowed),
        "fields": {name: plain(part) for name, part in field.fields.items()},
        "entry": plain(field.entry) if field.entry else None,
    }


def test_our_table_is_senlins_own() -> None:
    try:
        python = venvs.python_of("senlin-16")
    except venvs.CannotMakeError as error:
        pytest.skip(str(error))
    run = subprocess.run([str(python), str(HERE / "senlin_schemas.py")], capture_output=True, text=True, check=True)
    theirs = json.loads(run.stdout)
    ours = {
        name: {
            "fields": {key: plain(field) for key, field in kind.fields.items()},
            "profiles": list(kind.profiles),
            "priority": kind.priority,
            "targets": sorted(map(list, set(kind.targets))),
        }
        for name, kind in KINDS.items()
    }
    assert sorted(ours) == sorted(theirs)
    for name in ours:
        assert ours[name] == theirs[name], name
