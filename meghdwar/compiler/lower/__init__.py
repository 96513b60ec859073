"""From TOSCA to the model: each type that we know says which elements it stands for.

Below this line nobody speaks TOSCA.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias, TypeVar

from meghdwar.compiler import rules
from meghdwar.compiler.lower import edge_table, moving_vdu, nfv, nfv_policies, policies, standard, zones
from meghdwar.compiler.lower.scope import Item, Scope
from meghdwar.compiler.topology import Group, Placed, Policy, Template, Topology
from meghdwar.diagnostics import Diagnostic, Severity
from meghdwar.model import Application, Element

P = TypeVar("P", bound=Placed)
Lowering: TypeAlias = Callable[[P, Scope], Iterable[Item]]

# The nearest ancestor that is in the table counts.
NODES: Mapping[str, Lowering[Template]] = {
    "tosca.nodes.Root": standard.other,
    "tosca.nodes.Abstract.Compute": standard.server,
    "tosca.nodes.Compute": standard.server,
    "tosca.nodes.BlockStorage": standard.block_storage,
    "tosca.nodes.Storage.BlockStorage": standard.block_storage,
    "tosca.nodes.ObjectStorage": standard.object_storage,
    "tosca.nodes.Storage.ObjectStorage": standard.object_storage,
    "tosca.nodes.LoadBalancer": standard.load_balancer,
    "tosca.nodes.SoftwareComponent": standard.software,
    "tosca.nodes.WebServer": standard.software,
    "tosca.nodes.WebApplication": standard.software,
    "tosca.nodes.DBMS": standard.software,
    "tosca.nodes.Database": standard.software,
    "tosca.nodes.Container.Runtime": standard.software,
    "tosca.nodes.Container.Application": standard.other,
    "tosca.nodes.network.Network": standard.network,
    "tosca.nodes.network.Port": standard.port,
    "tosca.nodes.network.FloatingIP": standard.floating_address,
    "tosca.nodes.nfv.VNF": standard.frame,
    "tosca.nodes.nfv.NS": standard.frame,
    "tosca.nodes.nfv.VnfExtCp": standard.frame,
    "tosca.nodes.nfv.VDU": standard.server,
    "tosca.nodes.nfv.CP": standard.port,
    "tosca.nodes.nfv.VL": standard.network,
    "tosca.nodes.mec.MecApp": nfv.mec_application,
    "tosca.nodes.nfv.Vdu.Compute": nfv.vdu,
    "tosca.nodes.nfv.Vdu.OsContainer": moving_vdu.container,
    "tosca.nodes.nfv.Vdu.OsContainerDeployableUnit": moving_vdu.moving_unit,
    "tosca.nodes.nfv.Vdu.VirtualBlockStorage": nfv.storage,
    "tosca.nodes.nfv.Vdu.VirtualObjectStorage": nfv.object_storage,
    "tosca.nodes.nfv.VduCp": nfv.connection_point,
    "tosca.nodes.nfv.VnfVirtualLink": nfv.virtual_link,
    **edge_table.NODES,
}
GROUPS: Mapping[str, Lowering[Group]] = {**edge_table.GROUPS}
POLICIES: Mapping[str, Lowering[Policy]] = {
    "tosca.policies.Root": policies.other,
    "tosca.policies.Placement": policies.placement,
    "tosca.policies.Scaling": edge_table.scaling_or(policies.scaling),
    "tosca.policies.Scaling.Cluster": policies.cluster_scaling,
    "tosca.policies.Monitoring": policies.monitoring,
    "tosca.policies.tacker.Monitoring": policies.other,
    policies.AFFINITY: policies.affinity,
    policies.ANTI_AFFINITY: policies.affinity,
    "tosca.policies.nfv.VduInitialDelta": nfv_policies.fixed,
    "tosca.policies.nfv.VduInstantiationLevels": nfv_policies.fixed,
    "tosca.policies.nfv.VduScalingAspectDeltas": nfv_policies.scaling,
    "tosca.policies.nfv.SecurityGroupRule": nfv_policies.security_rule,
    # these say something of the ones above, or of nothing that a stack can hold
    "tosca.policies.nfv.ScalingAspects": policies.spoken_for,
    "tosca.policies.nfv.InstantiationLevels": policies.spoken_for,
    "tosca.policies.nfv.VirtualLinkBitrateInitialDelta": policies.spoken_for,
    "tosca.policies.nfv.VirtualLinkBitrateScalingAspectDeltas": policies.spoken_for,
    "tosca.policies.nfv.VirtualLinkInstantiationLevels": policies.spoken_for,
    **edge_table.POLICIES,
}


# What is right in a descriptor and yet cannot become a stack: compiling refuses it, checking only warns.
SAID_OF_STACKS = frozenset(["MDW249", *(f"MDW{number}" for number in range(450, 500))])

SAID_OF_TARGETS = frozenset(f"MDW{number}" for number in range(500, 550))
EDGE_RULES = frozenset(f"MDW{number}" for number in range(400, 450))


def lower(topology: Topology, *, skip_unmapped: bool = False) -> tuple[Application, list[Diagnostic]]:
    """The application that a checked topology asks for, and what we cannot make of it.

    With `skip_unmapped` a type that means nothing to us is left out with a warning instead of an error.
    """
    scope = Scope.of(topology)
    elements: list[Element] = []
    diagnostics: list[Diagnostic] = []
    for item in _items(scope):
        if not isinstance(item, Diagnostic):
            elements.append(item)
        elif skip_unmapped and item.rule in standard.SKIPPABLE:
            diagnostics.append(replace(item, rule=replace(item.rule, severity=Severity.WARNING)))
        else:
            diagnostics.append(item)
    diagnostics.extend(policies.check(elements))
    diagnostics.extend(edge_table.check(topology, elements))
    diagnostics.extend(_names_taken(elements))
    if not elements and not diagnostics:
        diagnostics.append(_nothing_to_build(topology))
    placed, more = zones.placed(elements, scope)
    given = (i if i.secret else replace(i, given=topology.given.get(name)) for name, i in topology.inputs.items())
    application = Application(
        name=topology.name,
        origin=topology.origin,
        description=topology.description,
        inputs=(*given, *more),
        elements=tuple(placed),
        outputs=tuple(replace(o, value=scope.value(o.value)) for o in topology.outputs.values()),
    )
    return application, diagnostics


def _names_taken(elements: Iterable[Element]) -> Iterable[Diagnostic]:
    """Nodes, groups and policies have names of their own in a descriptor; in a stack they share them."""
    seen: dict[str, Element] = {}
    for element in elements:
        other = seen.setdefault(element.name, element)
        if other is not element:
            yield Diagnostic(
                rules.NAME_TAKEN,
                element.origin,
                f"cannot put two things called {element.name!r} into one stack",
                "give one of them another name",
                ((other.origin, "the other one"),),
            )


def _nothing_to_build(topology: Topology) -> Diagnostic:
    stands = [t.name for t in topology.templates.values() if t.type.is_a("tosca.nodes.nfv.VNF")]
    why = f"{stands[0]!r} only stands for a deployment flavour" if stands else "no node template becomes anything"
    help_ = "compile the file of the deployment flavour" if stands else "add a node template"
    return Diagnostic(rules.NOTHING_TO_BUILD, topology.origin, f"the stack will be empty: {why}", help_)


def _not_ours(template: Template) -> Diagnostic:
    directive = "select" if "select" in template.directives else "substitute"
    message = (
        f"{template.name!r} will not be in the stack: its directive {directive!r} says that it comes from elsewhere"
    )
    help_ = "remove the directive to have it made, and give values instead of what is asked of it"
    return Diagnostic(rules.NOT_OURS_TO_MAKE, template.origin, message, help_)


def _items(scope: Scope) -> Iterable[Item]:
    topology = scope.topology
    for template in topology.templates.values():
        if "select" in template.directives or "substitute" in template.directives:
            yield _not_ours(template)
        else:
            yield from standard.counted(template, scope)
            yield from _lowering(NODES, template)(template, scope)
    for group in topology.groups.values():
        yield from _lowering(GROUPS, group)(group, scope)
    for policy in topology.policies.values():
        yield from _lowering(POLICIES, policy)(policy, scope)


def _lowering(table: Mapping[str, Lowering[P]], placed: P) -> Lowering[P]:
    for name in placed.type.ancestors:
        if name in table:
            return table[name]
    return _nothing


def _nothing(placed: Placed, scope: Scope) -> Iterable[Item]:
    return ()
