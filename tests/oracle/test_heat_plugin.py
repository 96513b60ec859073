"""The plug-in in the real Heat of the last release with Senlin and of one that has only its names."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compiler import applications as made
from tests.oracle import judge, venvs
from tests.oracle.test_edge_stacks import SHAPES, stack

PLUGIN = Path(__file__).parents[2] / "meghdwar" / "heat_plugin"
HERE = Path(__file__).parent


@pytest.fixture(scope="module", params=["heat-22", "heat-27"])
def environment(request: pytest.FixtureRequest) -> str:
    try:
        venvs.python_of(request.param)
    except venvs.CannotMakeError as error:
        pytest.skip(str(error))
    return str(request.param)


@pytest.fixture(scope="module")
def heat(environment: str) -> Iterator[judge.Heat]:
    process = judge.Heat(environment, PLUGIN)
    yield process
    process.close()


@pytest.mark.parametrize("shape", SHAPES)
def test_heat_takes_what_is_compiled_for_it(shape: str, heat: judge.Heat) -> None:
    (verdict,) = heat.judge([stack(SHAPES[shape], "senlin", "plugin")])
    assert verdict.accepted, str(verdict)


def test_a_mistake_is_refused(heat: judge.Heat) -> None:
    wrong = stack(made.arena(), "senlin", "plugin")
    assert "desired_capacity" in wrong.template
    broken = judge.Stack("broken", wrong.template.replace("desired_capacity", "desired_capacty"))
    assert not heat.judge([broken])[0].accepted


def test_everything_is_made_and_deleted(environment: str) -> None:
    python = venvs.python_of(environment)
    argv = [str(python), str(HERE / "plugin_script.py"), str(PLUGIN)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert set(told["modules"].values()) == {
        f"heat.engine.plugins.senlin_{kind}" for kind in ("cluster", "node", "policy", "profile", "receiver")
    }
    assert all(ended["done"] and ended["deleted"] for ended in told["ended"].values()), told["ended"]
    assert told["left"] == []
    assert told["name"] == "edge_a"  # a cluster names its nodes itself: it was named afterwards
    assert told["details"] == {"id": "server-1"}
    attached = [asked for asked in told["made"] if asked.endswith("policy_attach")]
    assert len(attached) == 2  # the cluster was busy at first, so it was asked again


def test_it_is_written_for_the_oldest_python_that_has_such_a_heat() -> None:
    for file in PLUGIN.glob("*.py"):
        tree = ast.parse(file.read_text(), feature_version=(3, 8))
        calls = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not calls & {"removeprefix", "removesuffix"}, file.name
