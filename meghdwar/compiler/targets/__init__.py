"""What an application can become. Targets see the model, never TOSCA."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from meghdwar.bundle import Plan
from meghdwar.compiler.targets.hot import Stack
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import Application

Target = Callable[[Application, str], tuple[Stack, Plan, list[Diagnostic]]]

TARGETS: Mapping[str, str] = {
    "senlin": "meghdwar.compiler.targets.senlin",
    "static": "meghdwar.compiler.targets.static",
    "asg": "meghdwar.compiler.targets.asg",
}
"""The module of each target; only the one that is asked for is imported."""


def target(name: str) -> Target:
    """What makes an application, for a release of Heat (see releases), into the stack, what is left for the driver,
    and the problems."""
    made: Target = getattr(import_module(TARGETS[name]), name)
    return made
