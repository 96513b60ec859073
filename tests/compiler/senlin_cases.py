"""Specifications, right and wrong, with the codes that we give them. Senlin itself judges the same ones in tests/oracle."""

# ruff: noqa: E501 - a case is a line

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """`stricter`: Senlin takes it when it reads it, and fails, or does something else than it says, later."""

    name: str
    kind: str
    spec: Mapping[str, object]
    codes: tuple[str, ...] = ()
    stricter: bool = False


def health(**detection: object) -> dict[str, object]:
    given = {"interval": 60, "detection_modes": [{"type": "NODE_STATUS_POLLING"}], **detection}
    return {"detection": given, "recovery": {"actions": [{"name": "RECREATE"}]}}


POLL = {"type": "NODE_STATUS_POLL_URL", "options": {"poll_url": "http://{nodename}/"}}
LIFE = {"type": "LIFECYCLE_EVENTS"}
SCALING, HEALTH = "senlin.policy.scaling-1.0", "senlin.policy.health-1.1"
DELETION, BALANCE = "senlin.policy.deletion-1.1", "senlin.policy.loadbalance-1.3"
ZONES, REGIONS = "senlin.policy.zone_placement-1.0", "senlin.policy.region_placement-1.0"
AFFINITY, BATCH = "senlin.policy.affinity-1.0", "senlin.policy.batch-1.0"
SERVER, STACK = "os.nova.server-1.0", "os.heat.stack-1.0"
POOL = {"pool": {"subnet": "s"}, "vip": {"subnet": "s"}}

CASES = (
    Case("scaling, short", SCALING, {"event": "CLUSTER_SCALE_OUT", "adjustment": {"number": 1}}),
    Case("scaling, no adjustment", SCALING, {"event": "CLUSTER_SCALE_OUT"}, ("MDW501",)),
    Case("scaling, all", SCALING, {"event": "CLUSTER_SCALE_IN", "adjustment": {"type": "CHANGE_IN_PERCENTAGE", "number": 12.5, "min_step": 1, "best_effort": True, "cooldown": 60}}),
    Case("scaling, numbers as text", SCALING, {"event": "CLUSTER_SCALE_IN", "adjustment": {"number": "2", "cooldown": "60"}}),
    Case("scaling, no event", SCALING, {"adjustment": {"number": 1}}, ("MDW501",)),
    Case("scaling, other event", SCALING, {"event": "CLUSTER_RESIZE", "adjustment": {"number": 1}}, ("MDW503",)),
    Case("scaling, unknown key", SCALING, {"event": "CLUSTER_SCALE_OUT", "adjustment": {"number": 1}, "adjustments": {}}, ("MDW500",)),
    Case("scaling, unknown key inside", SCALING, {"event": "CLUSTER_SCALE_OUT", "adjustment": {"numbr": 2}}, ("MDW500",)),
    Case("scaling, text for a number", SCALING, {"event": "CLUSTER_SCALE_OUT", "adjustment": {"number": "many"}}, ("MDW502",)),
    Case("scaling, list for a map", SCALING, {"event": "CLUSTER_SCALE_OUT", "adjustment": [1]}, ("MDW502",)),
    Case("scaling, nothing to add", SCALING, {"event": "CLUSTER_SCALE_OUT", "adjustment": {"number": 0}}, ("MDW504",)),
    Case("scaling, half a member", SCALING, {"event": "CLUSTER_SCALE_OUT", "adjustment": {"number": 1.5}}, ("MDW504",), stricter=True),
    Case("scaling, cooldown below 0", SCALING, {"event": "CLUSTER_SCALE_OUT", "adjustment": {"cooldown": -1}}, ("MDW504",)),
    Case("scaling, half a second", SCALING, {"event": "CLUSTER_SCALE_OUT", "adjustment": {"cooldown": 1.5}}, ("MDW502",), stricter=True),
    Case("health, short", HEALTH, health()),
    Case("health, url", HEALTH, health(detection_modes=[POLL, {"type": "NODE_STATUS_POLLING"}], recovery_conditional="ALL_FAILED")),
    Case("health, events", HEALTH, health(detection_modes=[LIFE])),
    Case("health, nothing", HEALTH, {}, ("MDW501", "MDW501")),
    Case("health, events and polling", HEALTH, health(detection_modes=[LIFE, POLL]), ("MDW504",)),
    Case("health, twice the same", HEALTH, health(detection_modes=[POLL, POLL]), ("MDW504",)),
    Case("health, no modes", HEALTH, {"detection": {"interval": 60}, "recovery": {"actions": [{"name": "RECREATE"}]}}, ("MDW504",)),
    Case("health, url without url", HEALTH, health(detection_modes=[{"type": "NODE_STATUS_POLL_URL"}]), ("MDW504",), stricter=True),
    Case("health, unknown mode", HEALTH, health(detection_modes=[{"type": "GUESS"}]), ("MDW503",)),
    Case("health, mode without type", HEALTH, health(detection_modes=[{"options": {}}]), ("MDW501",)),
    Case("health, too often", HEALTH, health(interval=20), ("MDW506",)),
    Case("health, two actions", HEALTH, {**health(), "recovery": {"actions": [{"name": "REBOOT"}, {"name": "RECREATE"}]}}, ("MDW504",)),
    Case("health, no actions", HEALTH, {**health(), "recovery": {}}, ("MDW504",)),
    Case("health, unknown action", HEALTH, {**health(), "recovery": {"actions": [{"name": "PRAY"}]}}, ("MDW503",)),
    Case("health, fencing", HEALTH, {**health(), "recovery": {"actions": [{"name": "REBUILD"}], "fencing": ["COMPUTE"]}}),
    Case("health, other fencing", HEALTH, {**health(), "recovery": {"actions": [{"name": "RECREATE"}], "fencing": ["WALL"]}}, ("MDW503",)),
    Case("deletion", DELETION, {"criteria": "OLDEST_FIRST", "grace_period": 5, "destroy_after_deletion": True}),
    Case("deletion, hook", DELETION, {"hooks": {"type": "webhook", "params": {"url": "http://x/"}, "timeout": 10}}),
    Case("deletion, other criteria", DELETION, {"criteria": "SMALLEST"}, ("MDW503",)),
    Case("deletion, hook to nobody", DELETION, {"hooks": {"type": "webhook"}}, ("MDW504",), stricter=True),
    Case("deletion, not a boolean", DELETION, {"destroy_after_deletion": "perhaps"}, ("MDW502",)),
    Case("batch", BATCH, {"max_batch_size": 2, "min_in_service": 1, "pause_time": 10}),
    Case("batch, text", BATCH, {"pause_time": "a while"}, ("MDW502",)),
    Case("affinity", AFFINITY, {"servergroup": {"policies": "soft-anti-affinity"}}),
    Case("affinity, no group", AFFINITY, {}, ("MDW501",), stricter=True),
    Case("affinity, other word", AFFINITY, {"servergroup": {"policies": "near"}}, ("MDW503",)),
    Case("zones", ZONES, {"zones": [{"name": "edge-1", "weight": 10}, {"name": "edge-2"}]}),
    Case("zones, a string", ZONES, {"zones": 1}, ("MDW501", "MDW502")),
    Case("zones, twice", ZONES, {"zones": [{"name": "a"}, {"name": "a"}]}, ("MDW504",), stricter=True),
    Case("zones, with a cap", ZONES, {"zones": [{"name": "a", "cap": 1}]}, ("MDW500",)),
    Case("zones, nameless", ZONES, {"zones": [{"weight": 1}]}, ("MDW501",), stricter=True),
    Case("regions", REGIONS, {"regions": [{"name": "RegionOne", "weight": 100, "cap": 2}]}),
    Case("balance", BALANCE, {**POOL, "health_monitor": {"type": "HTTP", "delay": 10, "timeout": 5, "url_path": "/"}}),
    Case("balance, no subnet", BALANCE, {"pool": {}, "vip": {"subnet": "s"}}, ("MDW501",)),
    Case("balance, no pool", BALANCE, {"vip": {"subnet": "s"}}, ("MDW501",), stricter=True),
    Case("balance, nowhere", BALANCE, {"pool": {"subnet": "s"}, "vip": {"protocol": "TCP"}}, ("MDW504",), stricter=True),
    Case("balance, slow monitor", BALANCE, {**POOL, "health_monitor": {"delay": 5, "timeout": 10}}, ("MDW504",), stricter=True),
    Case("balance, cookie without name", BALANCE, {"pool": {"subnet": "s", "session_persistence": {"type": "APP_COOKIE"}}, "vip": {"subnet": "s"}}, ("MDW504",), stricter=True),
    Case("server", SERVER, {"flavor": "m1.tiny", "image": "edge", "networks": [{"network": "n", "security_groups": ["a"]}], "metadata": {"a": "b"}, "user_data": "#!"}),
    Case("server, no flavor", SERVER, {"image": "edge"}, ("MDW501",)),
    Case("server, unknown key", SERVER, {"flavor": "f", "imag": "i"}, ("MDW500",)),
    Case("server, disk without size", SERVER, {"flavor": "f", "block_device_mapping_v2": [{"source_type": "image", "destination_type": "volume"}]}, ("MDW501",)),
    Case("server, network of nothing", SERVER, {"flavor": "f", "networks": [{"subnet": "s"}]}, ("MDW501",), stricter=True),
    Case("stack", STACK, {"template": {"heat_template_version": "2018-08-31"}, "parameters": {"a": 1}}),
    Case("stack, no template", STACK, {"parameters": {}}, ("MDW501",)),
)  # fmt: skip
