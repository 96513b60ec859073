"""The profiles and policies of Senlin 16, the last one: what each specification has in it.

From its own schemas; where those call something optional that it cannot do without, `senlin_specs` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

INTERVAL_MIN_S = 60  # health_check_interval_min of a stock Senlin
NODES_MAX = 1000  # max_nodes_per_cluster of a stock Senlin
ANY = "ANY"
SERVER, STACK, DOCKER = "os.nova.server-1.0", "os.heat.stack-1.0", "container.dockerinc.docker-1.0"


@dataclass(frozen=True, slots=True)
class Field:
    """One entry of a specification. A map without `fields` takes anything; `updatable` without a new node."""

    kind: str  # string, integer, number, boolean, map or list
    required: bool = False
    default: object = None
    allowed: tuple[str, ...] = ()
    fields: Mapping[str, Field] = field(default_factory=dict)
    entry: Field | None = None
    updatable: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of profile or policy. `profiles` are the profile types whose clusters a policy can be bound to;
    `targets` the moments at which it is asked, `priority` its turn (low first); `single`: one to a cluster."""

    fields: Mapping[str, Field]
    profiles: tuple[str, ...] = ()
    priority: int = 0
    targets: tuple[tuple[str, str], ...] = ()
    single: bool = True


def _string(*allowed: str, required: bool = False, default: str | None = None, updatable: bool = False) -> Field:
    return Field("string", required, default, allowed, updatable=updatable)


def _integer(default: int | None = None, *, required: bool = False, updatable: bool = False) -> Field:
    return Field("integer", required, default, updatable=updatable)


def _boolean(default: bool | None = None, *, updatable: bool = False) -> Field:
    return Field("boolean", False, default, updatable=updatable)


def _map(required: bool = False, default: object = None, updatable: bool = False, **fields: Field) -> Field:
    return Field("map", required, default, fields=fields, updatable=updatable)


def _list(entry: Field | None = None, updatable: bool = False) -> Field:
    return Field("list", entry=entry, updatable=updatable)


def _targets(before: str, after: str = "") -> tuple[tuple[str, str], ...]:
    return (*(("BEFORE", a) for a in before.split()), *(("AFTER", a) for a in after.split()))


_NAME = _string(required=True)
_POOL_PROTOCOLS = ("HTTP", "HTTPS", "TCP")
_LEAVING = (
    "CLUSTER_DEL_NODES CLUSTER_SCALE_IN CLUSTER_RESIZE CLUSTER_UPDATE CLUSTER_RECOVER CLUSTER_REPLACE_NODES NODE_DELETE"
)

_SERVER = Kind(
    {
        "admin_pass": _string(),
        "auto_disk_config": _boolean(True),
        "availability_zone": _string(),
        "block_device_mapping_v2": _list(
            _map(
                boot_index=_integer(),
                delete_on_termination=_boolean(),
                destination_type=_NAME,
                device_name=_string(),
                device_type=_string(),
                disk_bus=_string(),
                guest_format=_string(),
                source_type=_NAME,
                uuid=_string(),
                volume_size=_integer(required=True),
                volume_type=_string(),
            )
        ),
        "config_drive": _boolean(),
        "context": _map(),
        "flavor": _string(required=True, updatable=True),
        "image": _string(updatable=True),
        "key_name": _string(),
        "metadata": _map(updatable=True),
        "name": _string(updatable=True),
        "networks": _list(
            _map(
                fixed_ip=_string(),
                floating_ip=_string(),
                floating_network=_string(),
                network=_string(),
                port=_string(),
                security_groups=_list(_NAME),
                subnet=_string(),
                vnic_type=_string(),
            ),
            updatable=True,
        ),
        "personality": _list(_map(contents=_NAME, path=_NAME)),
        "scheduler_hints": _map(),
        "security_groups": _list(_NAME),
        "user_data": _string(),
    }
)

_STACK = Kind(
    {
        "context": _map(default={}),
        "disable_rollback": _boolean(True, updatable=True),
        "environment": _map(default={}, updatable=True),
        "files": _map(default={}, updatable=True),
        "parameters": _map(default={}, updatable=True),
        "template": _map(default={}, updatable=True),
        "template_url": _string(default="", updatable=True),
        "timeout": _integer(updatable=True),
    }
)

_DOCKER = Kind(
    {
        "command": _string(),
        "context": _map(),
        "host_cluster": _string(),
        "host_node": _string(),
        "image": _NAME,
        "name": _string(updatable=True),
        "port": _integer(2375),
    }
)

_AFFINITY = Kind(
    {
        "availability_zone": _string(),
        "enable_drs_extension": _boolean(False),
        "servergroup": _map(
            name=_string(),
            policies=_string(
                "affinity", "soft-affinity", "anti-affinity", "soft-anti-affinity", default="anti-affinity"
            ),
        ),
    },
    profiles=(SERVER,),
    priority=300,
    targets=_targets("CLUSTER_SCALE_OUT CLUSTER_RESIZE NODE_CREATE"),
)

_BATCH = Kind(
    {"max_batch_size": _integer(-1), "min_in_service": _integer(1), "pause_time": _integer(60)},
    profiles=(ANY,),
    priority=200,
    targets=_targets("CLUSTER_UPDATE"),
)

_DELETION = Kind(
    {
        "criteria": _string("OLDEST_FIRST", "OLDEST_PROFILE_FIRST", "YOUNGEST_FIRST", "RANDOM", default="RANDOM"),
        "destroy_after_deletion": _boolean(True),
        "grace_period": _integer(0),
        "hooks": _map(
            default={},
            params=_map(default={}, queue=_string(default=""), url=_string(default="")),
            timeout=_integer(0),
            type=_string("zaqar", "webhook", default="zaqar"),
        ),
        "reduce_desired_capacity": _boolean(True),
    },
    profiles=(ANY,),
    priority=400,
    targets=_targets("CLUSTER_SCALE_IN CLUSTER_DEL_NODES CLUSTER_RESIZE NODE_DELETE"),
)

_HEALTH = Kind(
    {
        "detection": _map(
            required=True,
            detection_modes=_list(
                _map(
                    options=_map(
                        default={},
                        poll_url=_string(default=""),
                        poll_url_conn_error_as_unhealthy=_boolean(True),
                        poll_url_healthy_response=_string(default=""),
                        poll_url_retry_interval=_integer(3),
                        poll_url_retry_limit=_integer(3),
                        poll_url_ssl_verify=_boolean(True),
                    ),
                    type=_string(
                        "LIFECYCLE_EVENTS",
                        "NODE_STATUS_POLLING",
                        "NODE_STATUS_POLL_URL",
                        "HYPERVISOR_STATUS_POLLING",
                        required=True,
                    ),
                )
            ),
            interval=_integer(60),
            node_update_timeout=_integer(300),
            recovery_conditional=_string("ALL_FAILED", "ANY_FAILED", default="ANY_FAILED"),
        ),
        "recovery": _map(
            required=True,
            actions=_list(_map(name=_string("REBOOT", "REBUILD", "RECREATE", required=True), params=_map())),
            fencing=_list(_string("COMPUTE", required=True)),
            node_delete_timeout=_integer(20),
            node_force_recreate=_boolean(False),
        ),
    },
    profiles=("os.nova.server", "os.heat.stack"),
    priority=600,
    targets=_targets(_LEAVING, _LEAVING),
)

_LOADBALANCE = Kind(
    {
        "availability_zone": _string(),
        "flavor_id": _string(),
        "health_monitor": _map(
            admin_state_up=_boolean(True),
            delay=_integer(10),
            expected_codes=_string(),
            http_method=_string("GET", "POST", "PUT", "DELETE"),
            id=_string(),
            max_retries=_integer(3),
            timeout=_integer(5),
            type=_string("PING", "TCP", "HTTP", "HTTPS", default="PING"),
            url_path=_string(),
        ),
        "lb_status_timeout": _integer(300),
        "loadbalancer": _string(),
        "pool": _map(
            admin_state_up=_boolean(True),
            id=_string(),
            lb_method=_string("ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP", default="ROUND_ROBIN"),
            protocol=_string(*_POOL_PROTOCOLS, default="HTTP"),
            protocol_port=_integer(80),
            session_persistence=_map(
                default={},
                cookie_name=_string(),
                type=_string("SOURCE_IP", "HTTP_COOKIE", "APP_COOKIE", "NONE"),
            ),
            subnet=_NAME,
        ),
        "vip": _map(
            address=_string(),
            admin_state_up=_boolean(True),
            connection_limit=_integer(-1),
            network=_string(),
            protocol=_string(*_POOL_PROTOCOLS, default="HTTP"),
            protocol_port=_integer(80),
            subnet=_string(),
        ),
    },
    profiles=(SERVER,),
    priority=500,
    targets=_targets(
        "CLUSTER_DEL_NODES CLUSTER_SCALE_IN CLUSTER_RESIZE NODE_DELETE CLUSTER_REPLACE_NODES",
        "CLUSTER_ADD_NODES CLUSTER_SCALE_OUT CLUSTER_RESIZE NODE_RECOVER NODE_CREATE CLUSTER_REPLACE_NODES",
    ),
)

_PLACING = _targets("CLUSTER_SCALE_OUT CLUSTER_SCALE_IN CLUSTER_RESIZE NODE_CREATE")
_REGIONS = Kind(
    {"regions": _list(_map(cap=_integer(-1), name=_string(), weight=_integer(100)))},
    profiles=(ANY,),
    priority=200,
    targets=_PLACING,
)
_ZONES = Kind(
    {"zones": _list(_map(name=_string(), weight=_integer(100)))},
    profiles=(SERVER,),
    priority=300,
    targets=_PLACING,
)

_SCALING = Kind(
    {
        "adjustment": _map(
            best_effort=_boolean(False),
            cooldown=_integer(0),
            min_step=_integer(1),
            number=Field("number", default=1),
            type=_string("EXACT_CAPACITY", "CHANGE_IN_CAPACITY", "CHANGE_IN_PERCENTAGE", default="CHANGE_IN_CAPACITY"),
        ),
        "event": _string("CLUSTER_SCALE_IN", "CLUSTER_SCALE_OUT", required=True),
    },
    profiles=(ANY,),
    priority=100,
    targets=_targets("CLUSTER_SCALE_IN CLUSTER_SCALE_OUT", "CLUSTER_SCALE_IN CLUSTER_SCALE_OUT"),
    single=False,
)

KINDS: Mapping[str, Kind] = {
    SERVER: _SERVER,
    STACK: _STACK,
    DOCKER: _DOCKER,
    "senlin.policy.affinity-1.0": _AFFINITY,
    "senlin.policy.batch-1.0": _BATCH,
    "senlin.policy.deletion-1.0": _DELETION,
    "senlin.policy.deletion-1.1": _DELETION,
    "senlin.policy.health-1.0": _HEALTH,
    "senlin.policy.health-1.1": _HEALTH,
    "senlin.policy.health-1.2": _HEALTH,
    "senlin.policy.loadbalance-1.0": _LOADBALANCE,
    "senlin.policy.loadbalance-1.1": _LOADBALANCE,
    "senlin.policy.loadbalance-1.2": _LOADBALANCE,
    "senlin.policy.loadbalance-1.3": _LOADBALANCE,
    "senlin.policy.region_placement-1.0": _REGIONS,
    "senlin.policy.scaling-1.0": _SCALING,
    "senlin.policy.zone_placement-1.0": _ZONES,
}
