"""Heat's own classes say whether they accept a stack. Runs inside a venv with openstack-heat; needs no cloud.
Arguments are folders of plug-ins that this Heat has.

One line in, one line out: a JSON list of {name, template, files, environment} answered by a list of
{name, accepted, errors, resources, invented, senlin}. What only a cloud can know (is there such an image?)
counts as fine; everything else is Heat's own code, and Heat's default limits hold.

`invented` names the parameters that had no value, for which one was made up; `senlin` holds the specs of
the OS::Senlin::Profile and Policy resources as Senlin would receive them.
"""

import collections.abc
import json
import logging
import os
import re
import socket
import sys
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever Heat prints is not an answer

from heat.common import config, context, exception, template_format  # noqa: E402, F401 (config holds the options and their defaults)
from heat.engine import (  # noqa: E402
    constraints,
    environment,
    resource,
    resources,
    template,
    translation,
)
from heat.engine import stack as stacks  # noqa: E402
from heat.engine.clients import client_plugin  # noqa: E402
from heat.engine.clients.os import nova  # noqa: E402
from heat.engine.resources import stack_resource, template_resource  # noqa: E402
from heat.engine.resources.openstack.heat import none_resource, resource_group  # noqa: E402
from oslo_config import cfg  # noqa: E402

MADE_UP = "made-up"
UNKNOWN = "known-when-created"
LOCAL_CONSTRAINTS = {
    "cron_expression", "dns_domain", "dns_name", "expiration", "ip_addr", "ip_or_cidr", "mac_addr",
    "net_cidr", "rel_dns_name", "timezone",
}  # fmt: skip


class NoCloud(BaseException):
    """Only a cloud could answer. Not an Exception, so that no handler of Heat's takes it for a verdict."""


def no_cloud(*args, **kwargs):
    raise NoCloud


def prepare():
    """Cut everything that leads out of the process; leave the rest of Heat as it is."""
    cfg.CONF([], project="heat", default_config_files=[], default_config_dirs=[])
    if len(sys.argv) > 1:
        cfg.CONF.set_override("plugin_dirs", sys.argv[1:])
    resources.initialise()
    socket.socket.connect = no_cloud
    client_plugin.ClientPlugin.client = no_cloud
    nova.NovaClientPlugin.is_version_supported = lambda self, version: True
    resource.Resource.rpc_client = lambda self: None  # asked only about stacks that are there already
    resource.Resource._validate_service_availability = classmethod(lambda *args: None)
    # the judge itself goes through nested stacks and counts, because Heat would stop at the first error
    stack_resource.StackResource.validate_nested_stack = lambda self: None
    stack_resource.StackResource._validate_nested_resources = lambda self, templ: None

    own_is_valid = constraints.CustomConstraint._is_valid

    def is_valid(self, value, *args):
        if self.name not in LOCAL_CONSTRAINTS or (isinstance(value, str) and MADE_UP in value):
            return self.custom_constraint is not None  # an unknown constraint is an error anywhere
        try:
            return own_is_valid(self, value, *args)
        except NoCloud:
            return True

    constraints.CustomConstraint._is_valid = is_valid

    own_set_rules = translation.Translation.set_rules

    def set_rules(self, rules, client_resolve=True, ignore_resolve_error=False):
        own_set_rules(self, rules, False, ignore_resolve_error)

    translation.Translation.set_rules = set_rules


def made_up(schema):
    """A value that a parameter's own schema allows, for one that was not given."""
    for constraint in schema.constraints:
        if isinstance(constraint, constraints.AllowedValues):
            return constraint.allowed[0]
        if isinstance(constraint, constraints.CustomConstraint):
            known = {"ip_addr": "10.0.0.10", "net_cidr": "10.0.0.0/24", "mac_addr": "fa:16:3e:00:00:01"}
            if constraint.name in known:
                return known[constraint.name]
    limits = {type(c): c for c in schema.constraints}
    lengths = limits.get(constraints.Length)
    low = getattr(lengths, "min", None) or 0
    high = getattr(lengths, "max", None)
    if schema.type == schema.NUMBER:
        ranges = limits.get(constraints.Range)
        low, high = getattr(ranges, "min", None), getattr(ranges, "max", None)
        return low if low is not None else high if high is not None else 1
    if schema.type == schema.BOOLEAN:
        return "true"
    if schema.type == schema.MAP:
        return {}
    if schema.type == schema.LIST:
        return ",".join([MADE_UP] * max(1, low))
    text = MADE_UP.ljust(low, "x")
    return text if high is None else text[:high]


def has_pattern(schema):
    return any(isinstance(c, constraints.AllowedPattern) for c in schema.constraints)


def complete(parsed, given):
    """The environment's values, and which parameters had to be made up."""
    values = dict(given.get("parameters") or {})
    defaults = given.get("parameter_defaults") or {}
    invented = {}
    for name, schema in parsed.param_schemata(defaults).items():
        if name not in values and name not in defaults and schema.default is None:
            invented[name] = schema
            values[name] = made_up(schema)
    return {**given, "parameters": values}, invented


def says(error):
    text = re.sub(r"\s+", " ", str(error)).strip()
    return f"{type(error).__name__}: {text[:400]}"


def plain(value):
    """A resolved property as JSON data; what only the running stack knows is named as such."""
    if value is None:
        return UNKNOWN
    if isinstance(value, collections.abc.Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (str, int, float, bool)):
        return value
    return str(value)


def senlin_spec(kind, name, res):
    """OS::Senlin::Profile and Policy carry type `os.nova.server-1.0` and properties: a spec in two halves."""
    sort, _, version = res.properties["type"].rpartition("-")
    properties = {k: plain(v) for k, v in (res.properties["properties"] or {}).items() if v is not None}
    return {"kind": kind, "name": name, "spec": {"type": sort, "version": version, "properties": properties}}


def lost_attributes(node, members):
    """Attributes that a nested template does not put out: Heat itself finds out only when the stack is built."""
    if isinstance(node, dict):
        asked = node.get("get_attr")
        if len(node) == 1 and isinstance(asked, list) and len(asked) > 1 and isinstance(asked[1], str):
            member = members.get(asked[0]) if isinstance(asked[0], str) else None
            if isinstance(member, template_resource.TemplateResource):
                known = set(member.attributes_schema) | set(member.base_attributes_schema)
                if asked[1] not in known and not asked[1].startswith("resource."):
                    yield f"{asked[0]} ({member.t.resource_type}) has no attribute {asked[1]}"
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from lost_attributes(item, members)


class Trial:
    """One stack with all that is nested in it."""

    def __init__(self):
        self.errors = []
        self.senlin = []
        self.count = 0

    def attempt(self, where, act, *args):
        try:
            return act(*args)
        except (NoCloud, exception.AuthorizationFailure):
            return None
        except Exception as error:
            self.errors.append(f"{where}: {says(error)}")
            return None

    def hear(self, stack, path="", invented=None):
        invented = invented or {}
        self.attempt(path + "template", stack.t.validate)
        for name, parameter in stack.parameters.params.items():
            if name not in invented or not has_pattern(invented[name]):
                self.attempt(path + "parameter " + name, parameter.validate, True, stack.context)
        self.attempt(path + "conditions", lambda: stack.t.conditions(stack).validate())
        members = self.attempt(path + "resources", lambda: stack.resources)
        if members is None:
            return
        self.count += len(members)
        twice = sorted(set(stack.parameters) & set(members))
        if twice:
            self.errors.append("{}a parameter and a resource share the name {}".format(path, ", ".join(twice)))
        self.attempt(path + "resource data", stack._update_all_resource_data, True, True)
        self.attempt(path + "dependencies", lambda: list(stack.dependencies))
        for name, member in sorted(members.items()):
            self.hear_resource(path, name, member)
        for name, output in sorted(stack.outputs.items()):
            self.attempt(path + "output " + name, output.validate)
        self.errors += [path + error for error in lost_attributes(stack.t.t, members)]

    def hear_resource(self, path, name, member):
        where = f"{path}{name} ({member.t.resource_type})"
        if isinstance(member, none_resource.NoneResource) and member.t.resource_type != "OS::Heat::None":
            self.errors.append(
                f"{where}: this Heat has nothing behind the type: whatever it says is created does not exist"
            )
            return
        before = len(self.errors)
        self.attempt(where, member.validate)
        if len(self.errors) > before:
            return
        if member.t.resource_type in ("OS::Senlin::Profile", "OS::Senlin::Policy"):
            kind = member.t.resource_type.rpartition("::")[2].lower()
            spec = self.attempt(where, senlin_spec, kind, path + name, member)
            if spec:
                self.senlin.append(spec)
        if isinstance(member, stack_resource.StackResource):
            nested = self.attempt(where, self.nested, member)
            if nested is not None:
                self.hear(nested, f"{path}{name}.")

    @staticmethod
    def nested(member):
        try:
            if isinstance(member, resource_group.ResourceGroup):  # as Heat validates it: what is not known yet stays
                child = member._assemble_nested(list(member._resource_names()), include_all=True)
            else:
                child = member.child_template()
        except NotImplementedError:
            return None
        return member._parse_nested_stack("s-" + member.name, child, member.child_params())


def judge(case):
    """The stack as it is, then with every condition true: what a condition hides today must be right too."""
    trial, invented = hear(case, template_format.parse)
    if not trial.errors:
        bolder, _ = hear(case, every_condition_true)
        trial.errors = ["with every condition true: " + error for error in bolder.errors]
        trial.senlin, trial.count = bolder.senlin or trial.senlin, max(trial.count, bolder.count)
    return {
        "name": case["name"],
        "accepted": not trial.errors,
        "errors": trial.errors,
        "resources": trial.count,
        "invented": sorted(invented),
        "senlin": trial.senlin,
    }


def every_condition_true(text):
    parsed = template_format.parse(text)
    if isinstance(parsed.get("conditions"), dict):
        parsed["conditions"] = dict.fromkeys(parsed["conditions"], True)
    return parsed


def hear(case, parse):
    trial = Trial()
    invented = {}
    text, files, given = case["template"], case.get("files") or {}, case.get("environment") or {}
    try:
        body = json.dumps({"stack_name": case["name"], "template": text, "files": files, "environment": given})
        if len(body) > cfg.CONF.max_json_body_size:
            trial.errors.append(f"request: {len(body)} bytes, but Heat takes {cfg.CONF.max_json_body_size}")
        parsed = template.Template(parse(text), files=dict(files))
        given, invented = complete(parsed, given)
        parsed.env = environment.Environment(given)
        who = context.RequestContext(project_id="p", user_id="u", is_admin=False)
        name = "s" + re.sub(r"[^A-Za-z0-9_.-]", "_", case["name"])[-200:]
        trial.hear(stacks.Stack(who, name, parsed, strict_validate=True, nested_depth=0), invented=invented)
        limit = cfg.CONF.max_resources_per_stack
        if trial.count > limit:
            trial.errors.append(f"{trial.count} resources, but Heat takes {limit}")
    except NoCloud:
        trial.errors.append("template: wants a cloud before it can be read")
    except Exception as error:
        trial.errors.append("template: " + says(error))
    return trial, invented


def main():
    prepare()
    for line in sys.stdin:
        ANSWERS.write(json.dumps([judge(case) for case in json.loads(line)]) + "\n")
        ANSWERS.flush()


if __name__ == "__main__":
    main()
