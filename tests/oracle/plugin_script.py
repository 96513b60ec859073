"""Heat's own engine makes and deletes the plug-in's resources, with a cluster service that only remembers.

Runs inside a venv with openstack-heat: `plugin_script.py PLUGIN_DIR`; prints JSON. What it prints is what was asked of
the cluster service, in order, and how each resource ended.
"""

import json
import logging
import os
import sys
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

from heat.common import config, context  # noqa: E402, F401
from heat.engine import environment, resources  # noqa: E402
from heat.engine import stack as stacks  # noqa: E402
from heat.engine import template as templates  # noqa: E402
from keystoneauth1 import exceptions  # noqa: E402
from oslo_config import cfg  # noqa: E402

TYPES = ("Cluster", "Node", "Policy", "Profile", "Receiver")


class Answer:
    def __init__(self, body=None, action=None):
        self._body, self.headers = body, {"Location": f"/v1/actions/{action}"} if action else {}

    def json(self):
        return self._body


class Remembers:
    """A keystone session behind which there is a Senlin: things, bindings, and actions that take two looks."""

    def __init__(self):
        self.asked, self.things, self.actions, self.number, self.busy, self.silent = [], {}, {}, 0, 1, 7

    def request(self, path, method, endpoint_filter, headers, json=None, params=None):
        assert endpoint_filter["service_type"] == "clustering"
        _, _, kinds, *rest = path.split("/")
        if kinds != "actions":
            self.asked.append(f"{method} {path}" + (f" {next(iter(json))}" if rest[1:] == ["actions"] else ""))
        kind = "policy" if kinds == "policies" else kinds[:-1]
        if kinds == "actions":
            return self.action(rest[0])
        if method == "POST" and not rest:
            self.number += 1
            body = dict(json[kind], id=f"{kind}-{self.number}", status="ACTIVE", policies=[], physical_id="server-1")
            self.things[body["id"]] = body
            return Answer({kind: body}, self.begin(kind) if kind in ("cluster", "node") else None)
        thing = self.things.get(rest[0])
        if thing is None:
            raise exceptions.NotFound("it is not there")
        if rest[1:] == ["policies"]:
            return Answer({"cluster_policies": [{"policy_id": p, "enabled": True} for p in thing["policies"]]})
        if rest[1:] == ["actions"]:
            return self.cluster_action(thing, json)
        if method == "DELETE":
            return self.delete(kind, thing)
        if method == "PATCH":
            thing.update(json[kind])
            return Answer({kind: thing}, self.begin(kind) if kind in ("cluster", "node") else None)
        return Answer({kind: dict(thing, details={"id": thing["physical_id"]})})

    def cluster_action(self, cluster, json):
        (name, body), self.busy = next(iter(json.items())), self.busy - 1
        if self.busy == 0:
            raise exceptions.Conflict("the cluster is busy")
        if name == "policy_attach":
            cluster["policies"].append(body["policy_id"])
        if name == "policy_detach":
            cluster["policies"].remove(body["policy_id"])
        return Answer({"action": self.begin(name)})

    def delete(self, kind, thing):
        users = [t for t in self.things.values() if thing["id"] in (t.get("profile_id"), *t["policies"])]
        if users:
            raise exceptions.Conflict("it is used")
        del self.things[thing["id"]]
        return Answer(None, self.begin(kind) if kind in ("cluster", "node") else None)

    def begin(self, what):
        self.number += 1
        self.actions[f"action-{self.number}"] = 2
        return f"action-{self.number}"

    def action(self, name):
        self.silent -= 1
        if self.silent in (0, 3, 6):
            raise exceptions.GatewayTimeout("no reply to a message")
        self.actions[name] -= 1
        status = "SUCCEEDED" if self.actions[name] <= 0 else "RUNNING"
        return Answer({"action": {"status": status, "action": "A", "target": "T", "status_reason": ""}})


TEMPLATE = {
    "heat_template_version": "2018-08-31",
    "resources": {
        "profile": {"type": "OS::Senlin::Profile", "properties": {"type": "os.nova.server-1.0", "properties": {}}},
        "policy": {"type": "OS::Senlin::Policy", "properties": {"type": "senlin.policy.batch-1.0"}},
        "cluster": {
            "type": "OS::Senlin::Cluster",
            "properties": {
                "name": "edges",
                "profile": {"get_resource": "profile"},
                "policies": [{"policy": {"get_resource": "policy"}}],
            },
        },
        "node": {
            "type": "OS::Senlin::Node",
            "properties": {
                "name": "edge_a",
                "profile": {"get_resource": "profile"},
                "cluster": {"get_resource": "cluster"},
            },
        },
        "receiver": {
            "type": "OS::Senlin::Receiver",
            "properties": {"cluster": {"get_resource": "cluster"}, "action": "CLUSTER_SCALE_OUT"},
        },
    },
}


def run(work, check):
    return any(check(work) for _ in range(50))


def live(stack, session, name):
    """One resource from its definition to its id, by the calls that Heat makes."""
    resource = stack[name]
    base = next(cls for cls in type(resource).__mro__ if cls.__name__ == "SenlinResource")
    senlin = sys.modules[base.__module__].Senlin(session)
    base.senlin = lambda self: senlin
    resource.resource_id_set = lambda identifier: setattr(resource, "resource_id", identifier)
    resource.properties = Resolved(stack, resource)
    done = run(resource.handle_create(), resource.check_create_complete)
    return {"id": resource.resource_id, "done": done}


class Resolved(dict):
    """The properties with references resolved, as Heat has them while it works."""

    def __init__(self, stack, resource):
        super().__init__()
        self._given = TEMPLATE["resources"][resource.name]["properties"]
        self._schema, self._stack = resource.properties_schema, stack

    def __getitem__(self, key):
        if key not in self._given:
            return self._schema[key].default
        return self.resolve(self._given[key], key)

    def resolve(self, value, key):
        if isinstance(value, list):
            return [dict({"enabled": True}, **self.resolve(entry, key)) for entry in value]
        if isinstance(value, dict) and "get_resource" in value:
            return self._stack[value["get_resource"]].resource_id
        if isinstance(value, dict):
            return {name: self.resolve(entry, key) for name, entry in value.items()}
        return value


def main():
    cfg.CONF([], project="heat", default_config_files=[], default_config_dirs=[])
    cfg.CONF.set_override("plugin_dirs", sys.argv[1:])
    resources.initialise()
    env = resources.global_env()
    modules = {name: env.get_class(f"OS::Senlin::{name}").__module__ for name in TYPES}
    session = Remembers()
    user = context.RequestContext()
    stack = stacks.Stack(user, "s", templates.Template(TEMPLATE, env=environment.Environment({})))
    ended = {name: live(stack, session, name) for name in ("profile", "policy", "cluster", "node", "receiver")}
    session.busy = 0
    name = session.things[ended["node"]["id"]]["name"]
    made = list(session.asked)
    session.asked.clear()
    attribute = stack["node"]._resolve_attribute("details")
    for each in ("receiver", "node", "cluster", "policy", "profile"):
        ended[each]["deleted"] = run(stack[each].handle_delete(), stack[each].check_delete_complete)
    print(
        json.dumps(
            {
                "modules": modules, "ended": ended, "made": made, "deleted": session.asked, "name": name,
                "left": sorted(session.things), "details": attribute,
            }
        ),
        file=ANSWERS,
    )  # fmt: skip


main()
