"""Requirements and what fills them, substitution, groups, policies, workflows, copies, directives and counts."""

from __future__ import annotations

import pytest

from tests.compiler.language import V1, V2, codes, errors, topology

SERVERS = """topology_template:
  node_templates:
    small:
      type: tosca.nodes.Compute
      capabilities: {host: {properties: {num_cpus: 1, mem_size: 1 GB}}, os: {properties: {type: linux}}}
    big:
      type: tosca.nodes.Compute
      capabilities: {host: {properties: {num_cpus: 8, mem_size: 16 GB}}, os: {properties: {type: linux}}}
    app:
      type: tosca.nodes.SoftwareComponent
      requirements: %s
    disk: {type: tosca.nodes.BlockStorage, properties: {size: 1 GB}}
    dbms: {type: tosca.nodes.DBMS, requirements: [{host: big}]}
  relationship_templates:
    stands_on: {type: tosca.relationships.HostedOn}
"""


# requirements of 1.x
@pytest.mark.parametrize(
    ("requirements", "target"),
    [
        ("[{host: big}]", "big"),
        ("[{host: {node: big}}]", "big"),
        ("[{host: {node: big, capability: host}}]", "big"),
        ("[{host: {node: big, capability: tosca.capabilities.Compute}}]", "big"),
        ("[{host: {node: big, relationship: tosca.relationships.HostedOn}}]", "big"),
        ("[{host: {node: big, relationship: HostedOn}}]", "big"),
        ("[{host: {node: big, relationship: {type: tosca.relationships.HostedOn}}}]", "big"),
        ("[{host: {node: big, relationship: stands_on}}]", "big"),
        ("[{host: tosca.nodes.Compute}]", "small"),
        ("[{host: Compute}]", "small"),
        ("[{host: {node: tosca.nodes.Compute, node_filter: {capabilities: [{host: {properties: [{num_cpus: 8}]}}]}}}]",
         "big"),
        ("[{host: {node: tosca.nodes.Compute, node_filter: {capabilities: [{host: {properties:"
         " [{num_cpus: {in_range: [4, 9]}}, {mem_size: {greater_or_equal: 4 GB}}]}}]}}}]", "big"),
        ("[{host: {node: tosca.nodes.Compute, node_filter: {capabilities: [{os: {properties:"
         " [{type: {equal: linux}}]}}, {host: {properties: [{mem_size: {less_than: 2 GB}}]}}]}}}]", "small"),
        ("[{host: {node_filter: {capabilities: [{host: {properties: [{num_cpus: {greater_than: 4}}]}}]}}}]", "big"),
    ],
)  # fmt: skip
def test_what_fills_a_requirement(requirements: str, target: str) -> None:
    assert codes(V1 + SERVERS % requirements) == []
    (filled,) = topology(V1 + SERVERS % requirements).templates["app"].targets("host")
    assert (filled.target, filled.capability) == (target, "host")
    assert filled.relationship is not None
    assert filled.relationship.type.is_a("tosca.relationships.HostedOn")


@pytest.mark.parametrize(
    ("requirements", "found"),
    [
        ("[{host: lost}]", ["MDW300"]),
        ("[{hots: big}]", ["MDW301"]),
        ("[{host: disk}]", ["MDW304"]),
        ("[{host: {node: big, capability: lost}}]", ["MDW302"]),
        ("[{host: {node: big, capability: tosca.capabilities.Attachment}}]", ["MDW304"]),
        ("[{host: {node: big, relationship: lost}}]", ["MDW150"]),
        ("[{host: {node: big, relationship: {type: lost}}}]", ["MDW150"]),
        ("[{host: {node: big, relationship: {type: HostedOn, properties: {a: 1}}}}]", ["MDW232"]),
        ("[{host: tosca.nodes.ObjectStorage}]", ["MDW315", "MDW304"]),
        ("[]", []),
        ("[{host: big}, {host: small}]", ["MDW318"]),
        ("[{host: big, dependency: small}]", ["MDW104"]),
        ("[host]", ["MDW104"]),
        ("{host: big}", ["MDW104"]),
        ("[{host: {nod: big}}]", ["MDW102"]),
        ("[{dependency: big}, {dependency: small}, {host: big}]", []),
        ("[{near: {node: big, relationship: tosca.relationships.DependsOn}}, {host: big}]", ["MDW319"]),
        ("[{host: {node: tosca.nodes.Compute, node_filter: {capabilities: [{host: {properties: [{num_cpus: 99}]}}]}}}]",
         ["MDW315"]),
    ],
)  # fmt: skip
def test_a_requirement_that_nothing_fills(requirements: str, found: list[str]) -> None:
    said = [code for code in codes(V1 + SERVERS % requirements) if code != "MDW303"]
    assert sorted(said) == sorted(found)


NODES = """
data_types: {Size: {derived_from: scalar, data_type: integer, units: {B: 1, MB: 1000000, GB: 1000000000}}}
capability_types: {Room: {properties: {cpus: {type: integer}, memory: {type: Size, default: 1 GB}}}, Other: {}}
relationship_types: {On: {}, Beside: {}}
node_types:
  Host: {properties: {zone: {type: string, default: a}}, capabilities: {room: Room}}
  Rack: {capabilities: {other: Other}}
  App: {requirements: [{host: {capability: Room, relationship: On, node: Host%s}}]}
service_template:
  node_templates:
    small: {type: Host, capabilities: {room: {properties: {cpus: 1}}}}
    big: {type: Host, properties: {zone: b}, capabilities: {room: {properties: {cpus: 8, memory: 4 GB}}}}
    rack: {type: Rack}
    app: {type: App, requirements: [{host: %s}]}
  relationship_templates: {link: {type: On}, wire: {type: Beside}}
"""


@pytest.mark.parametrize(
    ("definition", "assignment", "target"),
    [
        ("", "big", "big"),
        ("", "{node: big}", "big"),
        ("", "[big, 0]", "big"),
        ("", "{node: [big, $node_index], capability: room}", "big"),
        ("", "{node: big, relationship: link}", "big"),
        ("", "{node: big, relationship: On, capability: Room}", "big"),
        ("", "{node: Host}", "small"),
        ("", "{node: Host, node_filter: {$equal: [{$get_property: [SELF, TARGET, zone]}, b]}}", "big"),
        ("", "{node: Host, node_filter: {$greater_than: [{$get_property: [SELF, CAPABILITY, cpus]}, 4]}}", "big"),
        ("", "{node_filter: {$greater_or_equal: [{$get_property: [SELF, CAPABILITY, memory]}, 2 GB]}}", "big"),
        (", node_filter: {$greater_than: [{$get_property: [SELF, CAPABILITY, cpus]}, 4]}", "{node: Host}", "big"),
        (", node_filter: {$less_than: [{$get_property: [SELF, CAPABILITY, cpus]}, 4]}", "{}", "small"),
    ],
)
def test_what_fills_a_requirement_of_2_0(definition: str, assignment: str, target: str) -> None:
    text = V2 + NODES % (definition, assignment)
    assert codes(text) == []
    (filled,) = topology(text).templates["app"].targets("host")
    assert (filled.target, filled.capability) == (target, "room")


@pytest.mark.parametrize(
    ("assignment", "found"),
    [
        ("lost", ["MDW300"]),
        ("rack", ["MDW304"]),
        ("[lost, 0]", ["MDW300"]),
        ("[big, first]", ["MDW104"]),
        ("{node: big, capability: lost}", ["MDW302"]),
        ("{node: big, capability: Other}", ["MDW304"]),
        ("{node: big, relationship: lost}", ["MDW150"]),
        ("{node: big, relationship: Beside}", ["MDW304"]),
        ("{node: big, relationship: wire}", ["MDW304"]),
        ("{node: Rack}", ["MDW304"]),
        ("{node: big, count: -1}", ["MDW104"]),
        ("{node: big, node_filter: {$lost: [1]}}", ["MDW240"]),
        ("{node: big, occurrences: [1, 1]}", ["MDW102"]),
        ("{node: big, directives: internal}", ["MDW104"]),
    ],
)
def test_a_requirement_of_2_0_that_is_wrong(assignment: str, found: list[str]) -> None:
    assert errors(V2 + NODES % ("", assignment)) == found


# substitution
SITE = """
node_types:
  Site:
    derived_from: tosca.nodes.Root
    properties: {size: {type: integer, default: 1}}
    attributes: {address: {type: string}}
    capabilities: {door: {type: tosca.capabilities.Endpoint}}
    requirements: [{power: {capability: tosca.capabilities.Node, occurrences: [0, UNBOUNDED]}}]
topology_template:
  inputs: {size: {type: integer, default: 1}}
  node_templates:
    web: {type: tosca.nodes.Compute}
    app: {type: tosca.nodes.SoftwareComponent, requirements: [{host: web}]}
  outputs: {address: {value: {get_attribute: [web, public_address]}}}
  substitution_mappings: %s
"""


@pytest.mark.parametrize(
    ("mappings", "found"),
    [
        ("{node_type: Site}", []),
        ("{node_type: Site, properties: {size: [size]}, capabilities: {door: [web, endpoint]}}", []),
        ("{node_type: Site, properties: {size: {mapping: [size]}}, requirements: {power: [app, dependency]}}", []),
        ("{node_type: Site, requirements: [{power: [app, dependency]}]}", []),
        ("{node_type: Lost}", ["MDW150"]),
        ("{}", ["MDW103"]),
        ("{capabilities: {door: [web, endpoint]}}", ["MDW103"]),
        ("{node_type: Site, capabilities: {dor: [web, endpoint]}}", ["MDW311"]),
        ("{node_type: Site, capabilities: {door: [wbe, endpoint]}}", ["MDW311"]),
        ("{node_type: Site, capabilities: {door: [web, endpiont]}}", ["MDW311"]),
        ("{node_type: Site, requirements: {power: [app, lost]}}", ["MDW311"]),
        ("{node_type: Site, properties: {lost: [size]}}", ["MDW311"]),
        ("{node_type: Site, capabilites: {}}", ["MDW102"]),
    ],
)
def test_substitution_mappings(mappings: str, found: list[str]) -> None:
    text = V1 + SITE % mappings
    assert errors(text) == found
    if not found:
        assert topology(text).substitutes == "Site"


SITE_2 = """
capability_types: {Door: {}}
interface_types: {Care: {operations: {wash: {}}}}
node_types:
  Site:
    properties: {size: {type: integer, default: 1}}
    attributes: {address: {type: string}}
    capabilities: {door: Door}
    requirements: [{power: Door}]
    interfaces: {care: {type: Care}}
service_template:
  inputs: {size: {type: integer, default: 1}}
  node_templates: {one: {type: Site}, two: {type: Site}, chosen: {type: Site, directives: [select]}}
  outputs: {address: {value: x}}
  workflows: {clean: {steps: {one: {target: one, activities: [{call_operation: care.wash}]}}}}
  substitution_mappings: {node_type: Site, %s}
"""


@pytest.mark.parametrize(
    ("mappings", "found"),
    [
        ("properties: {size: size}, attributes: {address: address}", []),
        ("capabilities: {door: [one, door]}, interfaces: {care: {wash: clean}}", []),
        ("requirements: [{power: [one, power]}, {power: [two, power]}]", []),
        ("requirements: [{power: [[one, power], [two, power]]}]", []),
        ("requirements: [{power: chosen}]", []),
        ("requirements: [{power: [one, power]}, {[power, 2]: [two, power]}, {[power, UNBOUNDED]: [one, power]}]", []),
        ("substitution_filter: {$equal: [{$get_property: [SELF, size]}, 1]}", []),
        ("properties: {size: lost}", ["MDW311"]),
        ("properties: {lost: size}", ["MDW311"]),
        ("attributes: {address: lost}", ["MDW311"]),
        ("attributes: {lost: address}", ["MDW311"]),
        ("capabilities: {door: [one, lost]}", ["MDW311"]),
        ("capabilities: {door: one}", ["MDW311"]),
        ("capabilities: [{door: [one, door]}]", ["MDW104"]),
        ("requirements: [{power: [one, lost]}]", ["MDW311"]),
        ("requirements: [{power: [[one, power], [lost, power]]}]", ["MDW311"]),
        ("requirements: [{[lost, 2]: [one, power]}]", ["MDW311"]),
        ("requirements: {power: [one, power]}", ["MDW104"]),
        ("interfaces: {care: {wash: lost}}", ["MDW311"]),
        ("interfaces: {care: {lost: clean}}", ["MDW311"]),
        ("interfaces: {lost: {wash: clean}}", ["MDW311"]),
    ],
)
def test_substitution_mappings_of_2_0(mappings: str, found: list[str]) -> None:
    assert errors(V2 + SITE_2 % mappings) == found


# groups and policies
GROUPS = """
group_types:
  Tier: {derived_from: tosca.groups.Root, members: [Compute], properties: {size: {type: integer}}}
policy_types:
  Watch:
    derived_from: tosca.policies.Root
    targets: [Tier]
    properties: {every: {type: scalar-unit.time, default: 5 s}}
topology_template:
  node_templates:
    web: {type: tosca.nodes.Compute}
    app: {type: tosca.nodes.SoftwareComponent, requirements: [{host: web}]}
  groups: {tier: %s, others: {type: tosca.groups.Root, members: [app]}}
  policies: %s
"""
TIER = "{type: Tier, members: [web], properties: {size: 1}}"


def test_groups_and_policies() -> None:
    triggers = "triggers: {hot: {event: too_hot, condition: [{size: {greater_than: 1}}], action: [{set_state: cool}]}}"
    made = topology(V1 + GROUPS % (TIER, f"[{{watch: {{type: Watch, targets: [tier], {triggers}}}}}]"))
    tier, watch = made.groups["tier"], made.policies["watch"]
    assert (tier.type.ancestors, tier.members, tier.properties) == (
        ("Tier", "tosca.groups.Root"),
        ("web",),
        {"size": 1},
    )
    assert (watch.targets, watch.properties) == (("tier",), {"every": 5})
    hot = watch.triggers["hot"]
    assert (hot.event, hot.condition, hot.action) == (
        "too_hot",
        ({"size": {"greater_than": 1}},),
        ({"set_state": "cool"},),
    )


@pytest.mark.parametrize(
    ("group", "policies", "found"),
    [
        ("{type: Lost, members: [web]}", "[]", ["MDW150"]),
        ("{members: [web]}", "[]", ["MDW103"]),
        ("{type: Tier, members: [web], properties: {size: one}}", "[]", ["MDW230"]),
        ("{type: Tier, members: [lost], properties: {size: 1}}", "[]", ["MDW306"]),
        ("{type: Tier, members: [app], properties: {size: 1}}", "[]", ["MDW307"]),
        ("{type: Tier, members: {a: b}, properties: {size: 1}}", "[]", ["MDW104"]),
        (TIER, "[{watch: {type: Lost}}]", ["MDW150"]),
        (TIER, "[{watch: {type: Watch, targets: [lost]}}]", ["MDW306"]),
        (TIER, "[{watch: {type: Watch, targets: [others]}}]", ["MDW307"]),
        (TIER, "[{watch: {type: Watch, properties: {every: 5}}}]", ["MDW200"]),
        (TIER, "[{watch: {type: Watch, properties: {evrey: 5 s}}}]", ["MDW232"]),
        (TIER, "[{watch: {targets: [tier]}}]", ["MDW103"]),
        (TIER, "{watch: {type: Watch}}", []),
        (TIER, "[{watch: {type: Watch, triggers: {hot: {event: e, action: [{inline: lost}]}}}}]", ["MDW312"]),
        (TIER, "[{watch: {type: Watch, triggers: {hot: {event: e, schedule: {start_time: soon}}}}}]", ["MDW202"]),
        (TIER, "[watch]", ["MDW104"]),
    ],
)
def test_groups_and_policies_that_are_wrong(group: str, policies: str, found: list[str]) -> None:
    assert errors(V1 + GROUPS % (group, policies)) == found


# workflows
WORK = """topology_template:
  node_templates:
    web: {type: tosca.nodes.Compute}
    app: {type: tosca.nodes.SoftwareComponent, requirements: [{host: web}]}
  groups: {all: {type: tosca.groups.Root, members: [web]}}
  workflows:
    other: {steps: {one: {target: web, activities: [{set_state: started}]}}}
    main: %s
"""
STEP = "{steps: {one: {target: app, activities: [%s]%s}, two: {target: all, activities: [{delegate: deploy}]}}}"


@pytest.mark.parametrize(
    ("workflow", "found"),
    [
        (STEP % ("{call_operation: Standard.create}", ", on_success: [two]"), []),
        (STEP % ("{call_operation: tosca.interfaces.node.lifecycle.Standard.create}", ", on_failure: two"), []),
        (STEP % ("{inline: other}, {set_state: done}, {delegate: undeploy}", ""), []),
        (STEP % ("{call_operation: {operation: Standard.create, inputs: {a: 1}}}", ""), []),
        (STEP % ("{set_state: x}", ", target_relationship: host, filter: [{state: [{equal: started}]}]"), []),
        ("{inputs: {n: {type: integer, default: 1}}}", []),
        ("{preconditions: [{target: app, condition: [{state: [{equal: a}]}]}]}", []),
        (STEP % ("{call_operation: Standard.lost}", ""), ["MDW312"]),
        (STEP % ("{call_operation: Lost.create}", ""), ["MDW312"]),
        (STEP % ("{call_operation: create}", ""), ["MDW312"]),
        (STEP % ("{inline: lost}", ""), ["MDW312"]),
        (STEP % ("{do: it}", ""), ["MDW102"]),
        (STEP % ("{set_state: x}", ", on_success: [lost]"), ["MDW312"]),
        (STEP % ("{set_state: x}", ", target_relationship: lost"), ["MDW312"]),
        ("{steps: {one: {target: lost, activities: [{set_state: x}]}}}", ["MDW312"]),
        ("{steps: {one: {target: web}}}", ["MDW103"]),
        ("{steps: {one: {activities: [{set_state: x}]}}}", ["MDW103"]),
        ("{steps: [{target: web}]}", ["MDW104"]),
        ("{inputs: {n: {type: lost}}}", ["MDW150"]),
        ("{preconditions: [{target: lost}]}", ["MDW312"]),
        ("{stpes: {}}", ["MDW102"]),
    ],
)  # fmt: skip
def test_workflows(workflow: str, found: list[str]) -> None:
    assert errors(V1 + WORK % workflow) == found


# copy, directives, count
def test_a_copy_has_what_the_other_has_and_its_own() -> None:
    text = """topology_template:
  node_templates:
    web:
      type: tosca.nodes.Compute
      properties: &none {}
      capabilities: {host: {properties: {num_cpus: 2, mem_size: 1 GB}}}
    more: {copy: web, capabilities: {host: {properties: {num_cpus: 4}}}}
    same: {copy: web}
"""
    made = topology(V1 + text).templates
    assert made["same"].type.name == made["more"].type.name == "tosca.nodes.Compute"
    assert made["same"].capabilities["host"].properties == {"num_cpus": 2, "mem_size": 10**9}
    assert made["more"].capabilities["host"].properties["num_cpus"] == 4


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{copy: web}", []),
        ("{copy: lost}", ["MDW313"]),
        ("{copy: it}", ["MDW313"]),
        ("{copy: twin}", ["MDW313"]),
        ("{type: tosca.nodes.Compute, directives: [create]}", []),
        ("{type: tosca.nodes.Compute, directives: [sellect]}", ["MDW317"]),
        ("{type: tosca.nodes.Compute, directives: {a: b}}", ["MDW104"]),
        ("{type: tosca.nodes.Compute, count: 3}", ["MDW102"]),
    ],
)
def test_copies_and_directives(template: str, found: list[str]) -> None:
    nodes = f"web: {{type: tosca.nodes.Compute}}, twin: {{copy: web}}, it: {template}"
    assert codes(f"{V1}topology_template: {{node_templates: {{{nodes}}}}}\n") == found


@pytest.mark.parametrize(
    ("count", "number"),
    [("3", 3), ("0", 0), ("{$get_input: many}", 1), ("{$sum: [1, 1]}", 2)],
)
def test_how_many(count: str, number: int) -> None:
    inputs = "inputs: {many: {type: integer, default: 2}}"
    text = (
        f"node_types: {{A: {{}}}}\nservice_template: {{{inputs}, node_templates: {{a: {{type: A, count: {count}}}}}}}\n"
    )
    assert errors(V2 + text) == []
    assert topology(V2 + text).templates["a"].count == number


@pytest.mark.parametrize("count", ["-1", "two", "1.5", "[1]", "{a: 1}"])
def test_how_many_not(count: str) -> None:
    text = f"node_types: {{A: {{}}}}\nservice_template: {{node_templates: {{a: {{type: A, count: {count}}}}}}}\n"
    assert errors(V2 + text) == ["MDW230"]


def test_a_trigger_of_1_x_that_watches_nothing_known_is_warned_of() -> None:
    text = """topology_template:
  node_templates: {server: {type: tosca.nodes.Compute}}
  policies: [{grow: {type: tosca.policies.Scaling, targets: [server],
    triggers: {hot: {event: e, target_filter: {node: lost}, action: [{call_operation: a.b}]}}}}]
"""
    assert errors(V1 + text) == []
    assert "MDW316" in codes(V1 + text)


@pytest.mark.parametrize(
    ("filter_", "found"),
    [
        ("{properties: [{size: {greater_than: 1}}]}", []),
        ("{node_filter: {properties: [{size: {greater_than: 1}}]}}", []),
        ("{propertys: [{size: {greater_than: 1}}]}", ["MDW102"]),
        ("{node_filter: {propertys: [{size: {greater_than: 1}}]}}", ["MDW102"]),
    ],
)
def test_substitution_filters_of_1_x(filter_: str, found: list[str]) -> None:
    text = f"""node_types: {{Thing: {{derived_from: tosca.nodes.Root, properties: {{size: {{type: integer}}}}}}}}
topology_template: {{substitution_mappings: {{node_type: Thing, substitution_filter: {filter_}}}}}
"""
    assert errors(V1 + text) == found


def test_workflows_of_1_x_have_inputs_of_their_own() -> None:
    text = """topology_template:
  inputs: {top: {type: string, default: a}}
  node_templates: {server: {type: tosca.nodes.Compute}}
  workflows:
    one:
      inputs: {size: {type: integer}}
      steps: {a: {target: server, activities: [{call_operation: {operation: Standard.create,
        inputs: {x: {get_input: size}, y: {get_input: top}, z: {get_input: %s}}}}]}}
"""
    assert errors(V1 + text % "size") == []
    assert errors(V1 + text % "lost") == ["MDW243"]


def test_one_dependency_of_an_implementation_needs_no_list() -> None:
    text = """topology_template:
  node_templates:
    server:
      type: tosca.nodes.Compute
      interfaces: {Standard: {create: {implementation: {primary: a.sh, dependencies: %s}}}}
"""
    files = {"a.sh": "", "b.sh": ""}
    assert errors(V1 + text % "b.sh", files) == []
    assert codes(V1 + text % "b.sh", files) == ["MDW104"]
    assert codes(V1 + text % "[b.sh]", files) == []
    (create,) = topology(V1 + text % "b.sh", files).templates["server"].interfaces["Standard"].values()
    assert [artifact.path for artifact in create.dependencies] == ["b.sh"]


@pytest.mark.parametrize(
    ("implementation", "found"),
    [
        ("{primary: setup}", []),
        ("{primary: setup, dependencies: [setup]}", []),
        ("{primary: setpu}", ["MDW310"]),
        ("{primary: setup, dependencies: [lost]}", ["MDW310"]),
        ("setpu", []),  # it may be a command
    ],
)
def test_artifacts_that_an_implementation_names(implementation: str, found: list[str]) -> None:
    text = f"""topology_template:
  node_templates:
    server:
      type: tosca.nodes.Compute
      artifacts: {{setup: {{type: tosca.artifacts.File, file: setup.sh}}}}
      interfaces: {{Standard: {{create: {{implementation: {implementation}}}}}}}
"""
    assert codes(V1 + text, {"setup.sh": ""}) == found
