"""What an application can become. Targets see the model, never TOSCA."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from meghdwar.bundle import EDGE, Plan
from meghdwar.compiler.targets.hot import Stack
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import Application, ServerScaling

Target = Callable[[Application, str], tuple[Stack, Plan, list[Diagnostic]]]

TARGETS: Mapping[str, str] = {
    "senlin": "meghdwar.compiler.targets.senlin",
    "static": "meghdwar.compiler.targets.static",
    "asg": "meghdwar.compiler.targets.asg",
}
"""The module of each target; only the one that is asked for is loaded, and none without an edge or a cluster."""


def target(name: str) -> Target:
    """What makes an application, for a release of Heat (see releases), into the stack, what is left for the driver,
    and the problems."""

    def make(application: Application, heat: str) -> tuple[Stack, Plan, list[Diagnostic]]:
        made: tuple[Stack, Plan, list[Diagnostic]]
        if name == "senlin" and any(isinstance(e, ServerScaling) and e.cluster_if_bare for e in application.elements):
            from meghdwar.compiler.targets.bare import settled

            application = settled(application, heat)
        if any(isinstance(e, EDGE) or (isinstance(e, ServerScaling) and e.clustered) for e in application.elements):
            made = import_module(TARGETS[name]).make(application, heat)
        else:
            made = plain(application, heat, name)
        return made

    return make


def plain(application: Application, heat: str, name: str) -> tuple[Stack, Plan, list[Diagnostic]]:
    """A data centre without an edge or a cluster: nothing is left for the driver."""
    from meghdwar.compiler.targets.build import build
    from meghdwar.compiler.targets.heat import ROWS, SENLIN_ROWS

    stack, diagnostics = build(application, SENLIN_ROWS if name == "senlin" else ROWS, heat)
    if name == "senlin":
        from meghdwar.compiler.targets.senlin_names import settle

        settle(stack)
    return stack, Plan(application.name, name, heat), diagnostics
