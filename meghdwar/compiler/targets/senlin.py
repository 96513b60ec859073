"""The edge as Senlin has it: a cluster for the application, a node with a profile of its own for each gateway.

What a release of Heat cannot do is left to the driver and stands in the plan; see releases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from meghdwar.bundle import Plan
from meghdwar.compiler import rules
from meghdwar.compiler.known import known
from meghdwar.compiler.targets import edge as edges
from meghdwar.compiler.targets import senlin_kinds as kinds
from meghdwar.compiler.targets import senlin_names, static
from meghdwar.compiler.targets import senlin_specs as specs
from meghdwar.compiler.targets.build import Build, Row, Rows, build
from meghdwar.compiler.targets.edge import Edge
from meghdwar.compiler.targets.heat import SENLIN_ROWS as STANDARD
from meghdwar.compiler.targets.hot import Data, Stack
from meghdwar.compiler.targets.releases import RELEASES
from meghdwar.diagnostics import Diagnostic, Span
from meghdwar.model import Application, Cloudlet, Cluster, ClusterPolicy, Gateway, Receiver, Value, Volume

VERSION = "2018-08-31"
NOVA_ONLY = frozenset({"user_data_format", "user_data_update_policy"})
"""What OS::Nova::Server has and a profile does not."""
NAMED_ONLY = frozenset({"name", "availability_zone"})
"""What is said of a gateway by name and not of one that a growing cluster adds."""


def make(application: Application, heat: str) -> tuple[Stack, Plan, list[Diagnostic]]:
    """The stack, what is left for the driver, and what Senlin would refuse."""
    release = RELEASES[heat]
    edge = Edge.of(application, "senlin", release, knows_servers=release.node)
    problems = [*_without_senlin(edge), *check(edge)]
    stack, diagnostics = build(application, {**STANDARD, **rows(edge)}, heat)
    senlin_names.settle(stack)
    _forgotten(edge, stack)
    return stack, edge.plan(), [*problems, *diagnostics]


def _forgotten(edge: Edge, stack: Stack) -> None:
    """The policies that outlive the stack, of gateways and of other servers."""
    for name, resource in stack.resources.items():
        if edge.release.keeps_policies and resource["type"] == "OS::Senlin::Policy":
            why = f"{edge.release.title} forgets policies when it deletes their stack"
            edge.left("delete-policy", "deleted", name, why)


def rows(edge: Edge) -> Rows:
    return {
        Gateway: Row(partial(add_gateway, edge), partial(attribute, edge), partial(reference, edge)),
        Cluster: Row(partial(add_cluster, edge)),
        ClusterPolicy: Row(partial(add_policy, edge)),
        Receiver: Row(partial(add_receiver, edge)),
        Cloudlet: Row(partial(edges.add_cloudlet, edge), partial(edges.cloudlet_attribute, edge)),
        Volume: Row(partial(edges.add_volume, edge)),
    }


# what Senlin would refuse
def _without_senlin(edge: Edge) -> Iterator[Diagnostic]:
    cluster = next(iter(edge.site.clusters.values()), None)
    if cluster is not None and not edge.release.senlin:
        yield Diagnostic(
            rules.HEAT_WITHOUT_SENLIN,
            cluster.origin,
            f"cannot make cluster {cluster.name!r} with {edge.release.title}: its OS::Senlin types are empty shells",
            "use --target static, or install Meghdwar's plug-in into that Heat and say --heat plugin",
        )


def profile_type(edge: Edge, cluster: Cluster) -> str:
    """Senlin wants one type of profile in a cluster: servers, or stacks when a gateway stands already."""
    return kinds.SERVER if edge.site.is_built(cluster) else kinds.STACK


def type_of(policy: ClusterPolicy) -> str:
    return f"senlin.policy.{policy.kind}-{policy.version}"


def check(edge: Edge) -> Iterator[Diagnostic]:
    """Every policy by itself, then the policies of each cluster together. Inputs count with their values."""
    values = {i.name: i.default if i.given is None else i.given for i in edge.application.inputs}
    for name, cluster in edge.site.clusters.items():
        policies = edge.site.policies.get(name, ())
        bound = [
            specs.Bound(p.name, type_of(p), _settled(p.settings, values), p.origin, partial(place, p)) for p in policies
        ]
        for policy in bound:
            yield from specs.check(policy.kind_version, policy.spec, policy.place)
        yield from specs.check_cluster(name, profile_type(edge, cluster), bound)
        if max(cluster.maximum, len(cluster.gateways)) > kinds.NODES_MAX:
            yield Diagnostic(
                rules.TOO_MANY_NODES,
                cluster.origin,
                f"cannot let {name!r} have {max(cluster.maximum, len(cluster.gateways))} nodes: a stock Senlin takes "
                f"{kinds.NODES_MAX}",
                "make several clusters, or have max_nodes_per_cluster raised in senlin.conf",
            )
        for policy_ in policies:
            yield from _in_vain(edge, cluster, policy_)


def _settled(settings: Mapping[str, Value], values: Mapping[str, Value]) -> Mapping[str, Value]:
    """The settings with everything in them that the inputs say by now."""

    def settle(value: Value) -> Value:
        if isinstance(value, Mapping):
            return {key: settle(entry) for key, entry in value.items()}
        if isinstance(value, tuple):
            return tuple(settle(entry) for entry in value)
        found = known(value, values)
        return value if found is None else found

    return {key: settle(value) for key, value in settings.items()}


def place(policy: ClusterPolicy, path: specs.Path) -> Span:
    """Where a part of a policy was written, or what is round it."""
    for end in range(len(path), -1, -1):
        if path[:end] in policy.places:
            return policy.places[path[:end]]
    return policy.origin


def _in_vain(edge: Edge, cluster: Cluster, policy: ClusterPolicy) -> Iterator[Diagnostic]:
    """Policies that Senlin takes and that do nothing."""
    standing = [gateway.name for gateway in edge.site.members(cluster) if gateway.stands]
    if policy.kind in ("zone_placement", "region_placement"):
        what = policy.kind.partition("_")[0]
        yield Diagnostic(
            rules.PLACES_NOTHING,
            policy.origin,
            f"{policy.name!r} places nothing: Senlin writes down the {what} of a new node, and nothing reads it",
            "a gateway is where its zone says; for members that are added use meghdwar.policies.Affinity",
        )
    if policy.kind == "health" and standing:
        yield Diagnostic(
            rules.WATCHES_NOTHING,
            policy.origin,
            f"{policy.name!r} cannot notice that {standing[0]!r} is dead: Senlin sees only its record",
            "the driver watches the gateways that stand already",
        )
    growing = policy.kind == "scaling" and policy.settings.get("event") == "CLUSTER_SCALE_OUT"
    if growing and len(standing) == len(cluster.gateways):
        yield Diagnostic(
            rules.NOTHING_TO_GROW,
            policy.origin,
            f"cannot let {policy.name!r} grow {cluster.name!r}: all its gateways stand already, and no machine "
            "can be made like them",
            "take the policy out, or add a gateway that the stack builds",
        )


# gateways
def add_gateway(edge: Edge, gateway: Gateway, build: Build) -> Iterable[Diagnostic]:
    """A profile that pins the gateway to its zone, and a node of the cluster, by the stack or by the driver."""
    cluster = edge.site.cluster_of.get(gateway.name)
    if cluster is None:
        return static.add_gateway(edge, gateway, build)
    stack, name = build.stack, build.names[gateway.name]
    kind = profile_type(edge, cluster)
    spec = server_profile(edge, gateway, build) if kind == kinds.SERVER else stack_profile(edge, gateway, build)
    profile = stack.resource(
        build.part(gateway.name, "profile"),
        "OS::Senlin::Profile",
        {"type": kind, "properties": spec},
        gateway.origin,
        f"how {gateway.name} is made: nodes of one cluster that differ need a profile each",
        depends_on=edges.subnets(gateway, build),
    )
    edge.became(gateway.name, profile=profile)
    if not edge.release.node:
        edge.left(
            "create-node",
            "created",
            profile,
            f"{edge.release.title} loses the nodes that it makes",
            gateway=gateway.name,
            name=senlin_names.fit(gateway.name),
            cluster=build.names[cluster.name],
        )
        return ()
    stack.resource(
        name,
        "OS::Senlin::Node",
        {
            "name": gateway.name,
            "profile": {"get_resource": profile},
            "cluster": {"get_resource": build.names[cluster.name]},
        },
        gateway.origin,
        f"a gateway of {cluster.name}",
    )
    edge.became(gateway.name, node=name)
    return ()


def server_profile(edge: Edge, gateway: Gateway, build: Build) -> Data:
    """The specification of os.nova.server."""
    return _server(edge, gateway, build, NOVA_ONLY)


def _server(edge: Edge, gateway: Gateway, build: Build, without: frozenset[str]) -> dict[str, Data]:
    found = edges.server_properties(edge, gateway, build)
    if without >= NAMED_ONLY:
        found["metadata"] = {key: build.value(value) for key, value in gateway.metadata.items()} or None
    return {key: found[key] for key in sorted(found.keys() - without) if found[key] is not None}


def added_profile(edge: Edge, cluster: Cluster, pattern: Gateway, build: Build) -> str:
    """The profile of members that a growing cluster adds: made like one of its gateways, without its name and zone,
    so that nobody takes them for that gateway."""
    kind = profile_type(edge, cluster)
    given = _server(edge, pattern, build, NOVA_ONLY | NAMED_ONLY)
    spec: Data = given if kind == kinds.SERVER else _stack_spec(build, "added", given, built_template(given))
    return build.stack.resource(
        build.part(cluster.name, "profile"),
        "OS::Senlin::Profile",
        {"type": kind, "properties": spec},
        cluster.origin,
        f"how a member is made that {cluster.name} adds: like {pattern.name}",
    )


def reference(edge: Edge, gateway: Gateway, build: Build) -> Data:
    """The server of a gateway; of one that stands, its endpoint."""
    if gateway.name not in edge.site.cluster_of:
        return static.reference(gateway, build)
    if gateway.stands:
        return build.value(gateway.endpoint)
    return {"get_attr": [build.names[gateway.name], "details", "id"]} if edge.release.node else None


def attribute(edge: Edge, gateway: Gateway, path: tuple[str | int, ...], build: Build) -> Data:
    if gateway.name not in edge.site.cluster_of or gateway.stands:
        return static.attribute(edge, gateway, path, build)
    if not edge.release.node or not edge.site.is_built(edge.site.cluster_of[gateway.name]):
        return None
    if path == ("id",):
        return reference(edge, gateway, build)
    details: Data = {"get_attr": [build.names[gateway.name], "details", "addresses"]}
    first = "coalesce($.data.found, dict()).values().flatten().select($.addr).first('')"
    return {"yaql": {"expression": first, "data": {"found": details}}} if path == ("address",) else None


# gateways of a cluster in which one stands already
def stack_profile(edge: Edge, gateway: Gateway, build: Build) -> Data:
    """The specification of os.heat.stack. Its template comes as a parameter, because Heat would resolve the functions
    of a template that stands in the resource itself."""
    if gateway.stands:
        given: dict[str, Data] = {"endpoint": build.value(gateway.endpoint)}
        template = standing_template()
    else:
        given = _server(edge, gateway, build, NOVA_ONLY)
        template = built_template(given)
    return _stack_spec(build, "standing" if gateway.stands else "built", given, template)


def _stack_spec(build: Build, kind: str, given: Mapping[str, Data], template: dict[str, Data]) -> Data:
    return {
        "template": _template_parameter(build, kind, template),
        "parameters": dict(given),
        "disable_rollback": True,
    }


def _template_parameter(build: Build, kind: str, template: dict[str, Data]) -> Data:
    """The parameter whose default is this template; gateways of one shape share it."""
    number = 1
    while True:
        name = f"{kind}_gateway_template" + (f"_{number}" if number > 1 else "")
        description = f"The stack of a gateway that {WORDS[kind]}."
        reader = build.parameter(name, "json", default=template, description=description)
        found = reader["get_param"] if isinstance(reader, dict) else None
        if isinstance(found, str) and build.stack.parameters[found].get("default") == template:
            return reader
        number += 1


WORDS = {"standing": "stands already", "built": "is built", "added": "a growing cluster adds"}


def standing_template() -> dict[str, Data]:
    """A gateway that stands is a record of its endpoint: Senlin counts it as a member."""
    return {
        "heat_template_version": VERSION,
        "parameters": {"endpoint": {"type": "string"}},
        "resources": {
            "gateway": {"type": "OS::Heat::Value", "properties": {"type": "string", "value": {"get_param": "endpoint"}}}
        },
        "outputs": {"endpoint": {"value": {"get_attr": ["gateway", "value"]}}},
    }


def built_template(given: Mapping[str, Data]) -> dict[str, Data]:
    """A gateway that is built is a server; the template asks for what the gateway says and no more."""
    kinds = {"networks": "json", "metadata": "json"}
    return {
        "heat_template_version": VERSION,
        "parameters": {key: {"type": kinds.get(key, "string")} for key in given},
        "resources": {
            "gateway": {
                "type": "OS::Nova::Server",
                "properties": {**{key: {"get_param": key} for key in given}, "user_data_format": "RAW"},
            }
        },
        "outputs": {
            "server": {"value": {"get_resource": "gateway"}},
            "address": {"value": {"get_attr": ["gateway", "first_address"]}},
        },
    }


# clusters
def add_cluster(edge: Edge, cluster: Cluster, build: Build) -> Iterable[Diagnostic]:
    """The cluster begins empty, so that its policies are bound before its gateways come.

    It is deleted before the profiles, which Senlin refuses to delete while a node has them.
    """
    members = edge.site.members(cluster)
    if not members:
        return ()
    pattern = next((gateway for gateway in members if not gateway.stands), members[0])
    policies: list[Data] = []
    if edge.release.cluster_policies:
        for policy in edge.site.policies.get(cluster.name, ()):
            policies.append({"policy": {"get_resource": build.names[policy.name]}, "enabled": policy.enabled})
    profiles = [edge.made[gateway.name]["profile"] for gateway in members]
    profile = profiles[0] if pattern.stands else added_profile(edge, cluster, pattern, build)
    name = build.stack.resource(
        build.names[cluster.name],
        "OS::Senlin::Cluster",
        {
            "name": cluster.name,
            "profile": {"get_resource": profile},
            "desired_capacity": 0,
            "min_size": 0,
            "max_size": cluster.maximum,
            "timeout": cluster.timeout_s,
            "policies": policies or None,
            "metadata": {key: build.value(value) for key, value in cluster.metadata.items()} or None,
        },
        cluster.origin,
        f"the gateways of {edge.application.name}; members that are added are made like {pattern.name}",
        depends_on=[each for each in profiles if each != profile],
    )
    edge.became(cluster.name, cluster=name)
    if cluster.minimum > 0:
        edge.left(
            "set-limits",
            "created",
            name,
            "a cluster that begins empty cannot have a lower limit before its gateways are there",
            min_size=cluster.minimum,
        )
    if edge.release.node and edge.site.is_built(cluster):
        edges.add_servers(edge, cluster, build)
    return ()


def add_policy(edge: Edge, policy: ClusterPolicy, build: Build) -> Iterable[Diagnostic]:
    name = build.stack.resource(
        build.names[policy.name],
        "OS::Senlin::Policy",
        {"type": type_of(policy), "properties": build.value(policy.settings)},
        policy.origin,
        f"a {policy.kind} policy of {policy.cluster}",
    )
    edge.became(policy.name, policy=name)
    cluster = build.names[policy.cluster]
    if not edge.release.cluster_policies:
        edge.left(
            "bind-policy",
            "created",
            name,
            f"{edge.release.title} fails when a cluster names policies",
            cluster=cluster,
            enabled=policy.enabled,
        )
    return ()


ACTIONS: Mapping[str, str] = {"grow": "CLUSTER_SCALE_OUT", "shrink": "CLUSTER_SCALE_IN"}


def add_receiver(edge: Edge, receiver: Receiver, build: Build) -> Iterable[Diagnostic]:
    """A webhook. Without a count the policy says by how much; with one the policy is not asked."""
    name = build.stack.resource(
        build.names[receiver.name],
        "OS::Senlin::Receiver",
        {
            "cluster": {"get_resource": build.names[receiver.cluster]},
            "action": ACTIONS[receiver.action],
            "type": "webhook",
            "params": {"count": receiver.count} if receiver.count != 1 else None,
        },
        receiver.origin,
        f"a call to it makes {receiver.cluster} {receiver.action}",
    )
    edge.became(receiver.name, receiver=name)
    build.stack.output(
        f"{receiver.name}_channel",
        {"get_attr": [name, "channel"]},
        f"A POST to its alarm_url makes {receiver.cluster} {receiver.action}.",
    )
    return ()
