"""The judges can say no: each accepts a good stack or spec and refuses it once one thing in it is broken."""

from __future__ import annotations

import pytest

from tests.oracle.judge import UNKNOWN, Heat, Senlin, Spec, Stack

SERVER = """
heat_template_version: 2018-08-31
parameters:
  image: {type: string, constraints: [{custom_constraint: glance.image}]}
  zone: {type: string, constraints: [{allowed_pattern: "[a-z]+-[0-9]+"}]}
  size: {type: number, default: 1, constraints: [{range: {min: 1, max: 9}}]}
conditions:
  large: {not: {equals: [{get_param: size}, 1]}}
resources:
  server:
    type: OS::Nova::Server
    properties:
      image: {get_param: image}
      flavor: m1.tiny
      availability_zone: {get_param: zone}
      user_data: {get_file: start.sh}
      networks: [{network: private}]
  volume:
    type: OS::Cinder::Volume
    properties: {size: {get_param: size}}
  attached:
    type: OS::Cinder::VolumeAttachment
    condition: large
    properties: {instance_uuid: {get_resource: server}, volume_id: {get_resource: volume}}
  site:
    type: site.yaml
    properties: {count: 2}
  sites:
    type: OS::Heat::AutoScalingGroup
    properties: {min_size: 1, max_size: 3, resource: {type: site.yaml, properties: {count: 1}}}
outputs:
  address: {value: {get_attr: [server, first_address]}}
  inner: {value: {get_attr: [site, made]}}
"""
SITE = """
heat_template_version: 2018-08-31
parameters:
  count: {type: number, constraints: [{range: {max: 5}}]}
resources:
  port:
    type: OS::Neutron::Port
    properties: {network: private, fixed_ips: [{ip_address: 10.0.0.4}]}
outputs:
  made: {value: {get_resource: port}}
"""
FILES = {"site.yaml": SITE, "start.sh": "#!/bin/sh\n"}

BROKEN = {
    "unknown property": ("flavor: m1.tiny", "flavour: m1.tiny"),
    "property missing": ("      flavor: m1.tiny\n", ""),
    "unknown resource type": ("OS::Cinder::Volume\n", "OS::Cinder::Volumes\n"),
    "value of the wrong type": ("size: {get_param: size}}", "size: big}"),
    "parameter that is not there": ("{get_param: image}", "{get_param: images}"),
    "resource that is not there": ("{get_resource: server}", "{get_resource: serve}"),
    "attribute that is not there": ("first_address", "last_address"),
    "nested attribute that is not there": ("[site, made]", "[site, lost]"),
    "default outside its range": ("default: 1", "default: 10"),
    "unknown condition": ("condition: large", "condition: small"),
    "unknown constraint": ("glance.image", "glance.picture"),
    "file that is not sent": ("start.sh", "begin.sh"),
    "nested template that is not sent": ("type: site.yaml\n", "type: sight.yaml\n"),
    "nested value outside its range": ("{count: 2}", "{count: 6}"),
    "nested property unknown, in a group": ("{count: 1}", "{number: 1}"),
    "circle": ("      networks: [{network: private}]", "      networks: [{port: {get_resource: attached}}]"),
    "unknown function": ("{get_resource: volume}", "{get_thing: volume}"),
    "unknown section": ("conditions:", "circumstances:"),
    "parameter type list": ("image: {type: string,", "image: {type: list,"),
    "not YAML": ("resources:\n", "resources: [\n"),
    "old version": ("2018-08-31\nparameters", "2018-08-32\nparameters"),
}


@pytest.fixture(params=["heat22", "heat27"])
def heat(request: pytest.FixtureRequest) -> Heat:
    found: Heat = request.getfixturevalue(request.param)
    return found


def test_a_good_stack_is_accepted(heat: Heat) -> None:
    verdict = heat.judge_one(Stack("good", SERVER, FILES))
    assert verdict.accepted, str(verdict)
    assert verdict.resources == 8
    assert verdict.invented == ("image", "zone")


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_stack_is_refused(heat: Heat, what: str) -> None:
    before, after = BROKEN[what]
    text = SERVER.replace(before, after, 1)
    assert text != SERVER
    verdict = heat.judge_one(Stack(what, text, FILES))
    assert not verdict.accepted
    assert verdict.errors


def test_a_broken_nested_template_is_refused(heat: Heat) -> None:
    files = FILES | {"site.yaml": SITE.replace("ip_address: 10.0.0.4", "ip_address: 10.0.0.400")}
    verdict = heat.judge_one(Stack("nested", SERVER, files))
    assert len(verdict.errors) == 2, str(verdict)
    assert all("10.0.0.400" in error for error in verdict.errors)


def test_all_errors_are_told_at_once(heat: Heat) -> None:
    text = SERVER.replace("flavor:", "flavour:").replace("size: {get_param: size}}", "size: big}")
    assert len(heat.judge_one(Stack("two", text, FILES)).errors) == 2


def test_a_value_that_breaks_its_constraint_is_refused(heat: Heat) -> None:
    good = heat.judge_one(Stack("zone", SERVER, FILES, {"parameters": {"zone": "edge-1", "image": "i"}}))
    assert good.accepted, str(good)
    assert good.invented == ()
    assert not heat.judge_one(Stack("zone", SERVER, FILES, {"parameters": {"zone": "Edge", "image": "i"}})).accepted


def test_heats_limits_hold(heat: Heat) -> None:
    def of(count: int, padding: int = 0) -> Stack:
        members = "".join(f"  r{n}: {{type: OS::Heat::RandomString}}\n" for n in range(count))
        return Stack("many", f"heat_template_version: 2018-08-31\nresources:\n{members}" + "#" * padding)

    assert heat.judge_one(of(1000)).accepted
    assert heat.judge_one(of(1001)).errors == ("1001 resources, but Heat takes 1000",)
    assert "524288" in str(heat.judge_one(of(1, 524_288)))
    big = Stack("big", of(1).template, {"a": "x" * 1_100_000})
    assert "1048576" in str(heat.judge_one(big))


SENLIN = """
heat_template_version: 2018-08-31
parameters:
  flavor: {type: string, default: m1.tiny}
resources:
  profile:
    type: OS::Senlin::Profile
    properties: {type: os.nova.server-1.0, properties: {flavor: {get_param: flavor}, networks: [{network: edge}]}}
  cluster:
    type: OS::Senlin::Cluster
    properties: {profile: {get_resource: profile}}
  policy:
    type: OS::Senlin::Policy
    properties: {type: senlin.policy.scaling-1.0, properties: {event: CLUSTER_SCALE_OUT, adjustment: {number: 1}}}
"""


def test_senlin_is_judged_by_senlin(heat22: Heat, senlin16: Senlin) -> None:
    verdict = heat22.judge_one(Stack("senlin", SENLIN))
    assert verdict.accepted, str(verdict)
    assert {spec.name for spec in verdict.senlin} == {"senlin/profile", "senlin/policy"}
    assert next(s for s in verdict.senlin if s.kind == "profile").spec["properties"]["flavor"] == "m1.tiny"
    assert all(v.accepted for v in senlin16.judge(verdict.senlin))


def test_heat_does_not_look_into_a_spec_but_senlin_does(heat22: Heat, senlin16: Senlin) -> None:
    verdict = heat22.judge_one(Stack("senlin", SENLIN.replace("CLUSTER_SCALE_OUT", "CLUSTER_GROW")))
    assert verdict.accepted
    assert [v.accepted for v in senlin16.judge(verdict.senlin)].count(False) == 1


def test_heat_27_has_nothing_behind_senlin(heat27: Heat) -> None:
    verdict = heat27.judge_one(Stack("senlin", SENLIN))
    assert not verdict.accepted
    assert "nothing behind the type" in str(verdict)


HEALTH: dict[str, object] = {
    "detection": {"detection_modes": [{"type": "NODE_STATUS_POLLING"}]},
    "recovery": {"actions": [{"name": "RECREATE"}]},
}


def spec(name: str, sort: str, properties: dict[str, object], version: str = "1.0") -> Spec:
    kind = "policy" if sort.startswith("senlin.policy.") else "profile"
    return Spec(kind, name, {"type": sort, "version": version, "properties": properties})


GOOD_SPECS = [
    spec("server", "os.nova.server", {"flavor": "a", "networks": [{"network": "edge"}]}),
    spec("stack", "os.heat.stack", {"template": {"resources": {}}}),
    spec("health", "senlin.policy.health", HEALTH, "1.1"),
    spec("later", "senlin.policy.scaling", {"event": "CLUSTER_SCALE_IN", "adjustment": {"number": UNKNOWN}}),
]
BAD_SPECS = [
    spec("misspelt", "os.nova.server", {"flavor": "a", "imagee": "b"}),
    spec("missing", "os.nova.server", {}),
    spec("deep", "os.nova.server", {"flavor": "a", "networks": [{"net": 1}]}),
    spec("unknown", "os.nova.serve", {"flavor": "a"}),
    spec("text", "os.heat.stack", {"template": "a: b"}),
    spec("value", "senlin.policy.deletion", {"criteria": "NEWEST"}),
    spec("version", "senlin.policy.health", HEALTH, "9.0"),
    spec("type", "senlin.policy.batch", {"pause_time": "soon"}),
    spec("half", "senlin.policy.health", {"detection": {}}, "1.1"),
]


def test_good_specs_are_accepted(senlin16: Senlin) -> None:
    assert [str(v) for v in senlin16.judge(GOOD_SPECS) if not v.accepted] == []


def test_bad_specs_are_refused(senlin16: Senlin) -> None:
    assert [str(v) for v in senlin16.judge(BAD_SPECS) if v.accepted] == []
