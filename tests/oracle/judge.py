"""Judges as long-lived processes: Heat takes seconds to start, a verdict milliseconds."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.oracle import venvs

HERE = Path(__file__).parent
UNKNOWN = "known-when-created"  # stands in a spec for what only the running stack knows


@dataclass(frozen=True, slots=True)
class Stack:
    """What `openstack stack create` would send: the template, the files it names, the environment."""

    name: str
    template: str
    files: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spec:
    """A Senlin profile or policy specification: kind is profile or policy."""

    kind: str
    name: str
    spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    name: str
    accepted: bool
    errors: tuple[str, ...] = ()
    resources: int = 0
    invented: tuple[str, ...] = ()  # parameters without a value, for which the judge made one up
    senlin: tuple[Spec, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}: accepted" if self.accepted else "\n  ".join([f"{self.name}: refused", *self.errors])


class Process:
    """A script in a foreign environment that answers each line of JSON with one."""

    def __init__(self, environment: str, script: str, *arguments: str) -> None:
        python = venvs.python_of(environment)
        self._noise = tempfile.TemporaryFile("w+")  # noqa: SIM115 (a pipe that nobody reads would fill and stop the child)
        self._child = subprocess.Popen(
            [str(python), str(HERE / script), *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._noise, text=True,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip

    def ask(self, question: object) -> Any:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(question) + "\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline()
        if not answer:
            self._noise.seek(0)
            raise RuntimeError("the judge ended without a verdict: " + self._noise.read()[-2000:])
        return json.loads(answer)

    def close(self) -> None:
        self._child.communicate()
        self._noise.close()


class Heat(Process):
    """One release of Heat: `judge` any number of stacks."""

    def __init__(self, environment: str, *plugins: Path) -> None:
        super().__init__(environment, "heat_judge.py", *map(str, plugins))

    def judge(self, stacks: Iterable[Stack]) -> list[Verdict]:
        return [self.judge_one(stack) for stack in stacks]

    def judge_one(self, stack: Stack) -> Verdict:
        question = {
            "name": stack.name,
            "template": stack.template,
            "files": dict(stack.files),
            "environment": stack.environment,
        }
        answer = self.ask([question])[0]
        return Verdict(
            answer["name"],
            answer["accepted"],
            tuple(answer["errors"]),
            answer["resources"],
            tuple(answer["invented"]),
            tuple(Spec(s["kind"], f"{answer['name']}/{s['name']}", s["spec"]) for s in answer["senlin"]),
        )


class Senlin(Process):
    """Senlin 16: `judge` profile and policy specs, such as those in a Heat verdict."""

    def __init__(self, environment: str = "senlin-16") -> None:
        super().__init__(environment, "senlin_judge.py")

    def judge(self, specs: Iterable[Spec]) -> list[Verdict]:
        question = [{"kind": s.kind, "name": s.name, "spec": s.spec} for s in specs]
        if not question:
            return []
        return [Verdict(a["name"], a["accepted"], tuple(a["errors"])) for a in self.ask(question)]


def read_stack(template: Path, environment: Path | None = None) -> Stack:
    """A stack as it lies in a folder: every other file of the folder travels with it, by its relative name."""
    import yaml

    folder = template.parent
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path not in (template, environment) and not path.name.endswith(".plan.yaml"):
            files[path.relative_to(folder).as_posix()] = path.read_text(encoding="utf-8", errors="replace")
    values = yaml.safe_load(environment.read_text(encoding="utf-8")) if environment and environment.exists() else {}
    return Stack(template.name, template.read_text(encoding="utf-8"), files, values or {})
