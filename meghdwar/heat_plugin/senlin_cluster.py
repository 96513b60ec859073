"""OS::Senlin::Cluster: nodes that are managed together, with the policies that are bound to them."""

from __future__ import annotations

from heat.common import exception
from heat.engine import attributes, constraints, properties

from .senlin_resource import SenlinResource
from .senlin_work import PATIENCE_S, Row

SIZES = ("min_size", "max_size", "desired_capacity")
OWN = ("name", "metadata", "timeout", "profile")
Schema, Attribute = properties.Schema, attributes.Schema


class Cluster(SenlinResource):
    """A Senlin cluster. Policies are bound one after the other, and before it counts as made."""

    kind = "cluster"

    PROPERTIES = (NAME, PROFILE, DESIRED, MIN, MAX, METADATA, TIMEOUT, POLICIES) = (
        "name", "profile", "desired_capacity", "min_size", "max_size", "metadata", "timeout", "policies",
    )  # fmt: skip
    ATTRIBUTES = (
        "name", "metadata", "nodes", "desired_capacity", "min_size", "max_size", "policies", "collect",
    )  # fmt: skip

    properties_schema = {
        PROFILE: Schema(
            Schema.STRING, "The name or id of the profile of new nodes.", required=True, update_allowed=True
        ),
        NAME: Schema(Schema.STRING, "Its name; the resource's own by default.", update_allowed=True),
        DESIRED: Schema(Schema.INTEGER, "How many nodes it begins with.", default=0, update_allowed=True),
        MIN: Schema(
            Schema.INTEGER,
            "How many nodes it has at least.",
            default=0,
            update_allowed=True,
            constraints=[constraints.Range(min=0)],
        ),
        MAX: Schema(
            Schema.INTEGER,
            "How many nodes it has at most; -1 is no limit.",
            default=-1,
            update_allowed=True,
            constraints=[constraints.Range(min=-1)],
        ),
        METADATA: Schema(Schema.MAP, "Keys and values.", default={}, update_allowed=True),
        TIMEOUT: Schema(
            Schema.INTEGER,
            "How many seconds an action of it may take.",
            update_allowed=True,
            constraints=[constraints.Range(min=0)],
        ),
        POLICIES: Schema(
            Schema.LIST,
            "The policies that are bound to it.",
            default=[],
            update_allowed=True,
            schema=Schema(
                Schema.MAP,
                schema={
                    "policy": Schema(Schema.STRING, "The name or id of the policy.", required=True),
                    "enabled": Schema(Schema.BOOLEAN, "Whether it is asked.", default=True),
                },
            ),
        ),
    }
    attributes_schema = {
        "name": Attribute("Its name.", type=Attribute.STRING),
        "metadata": Attribute("Its keys and values.", type=Attribute.MAP),
        "desired_capacity": Attribute("How many nodes it should have.", type=Attribute.INTEGER),
        "nodes": Attribute("The ids of its nodes.", type=Attribute.LIST, cache_mode=Attribute.CACHE_NONE),
        "min_size": Attribute("How many nodes it has at least.", type=Attribute.INTEGER),
        "max_size": Attribute("How many nodes it has at most.", type=Attribute.INTEGER),
        "policies": Attribute("The ids of the policies that are bound to it.", type=Attribute.LIST),
        "collect": Attribute(
            "What each of its nodes says at a path.", type=Attribute.LIST, cache_mode=Attribute.CACHE_NONE
        ),
    }

    def validate(self):
        super().validate()
        low, high, desired = (self.properties[name] for name in SIZES)
        if high != -1 and high < low:
            raise exception.StackValidationFailed(message="min_size can not be greater than max_size")
        if desired < low or (high != -1 and desired > high):
            raise exception.StackValidationFailed(message="desired_capacity must be between min_size and max_size")

    def handle_create(self):
        given = {name: self.properties[name] for name in (*SIZES, self.METADATA, self.TIMEOUT)}
        made = self.begin({"name": self.own_name(), "profile_id": self.properties[self.PROFILE], **given})
        return Row(made, self.work([self._bind(p) for p in self.properties[self.POLICIES] or ()], PATIENCE_S))

    def handle_update(self, json_snippet, tmpl_diff, prop_diff):
        calls = []
        if self.POLICIES in prop_diff:
            calls += self._rebind(prop_diff[self.POLICIES] or ())
        own = {"profile_id" if key == self.PROFILE else key: prop_diff[key] for key in OWN if key in prop_diff}
        if own:
            calls.append(lambda: self.senlin().change(self.kind, self.resource_id, own))
        sizes = {key: prop_diff[key] for key in SIZES if key in prop_diff}
        if sizes:
            body = {key: value for key, value in sizes.items() if key != self.DESIRED}
            if self.DESIRED in sizes:
                body.update(adjustment_type="EXACT_CAPACITY", number=sizes[self.DESIRED])
            calls.append(lambda: self.senlin().act(self.resource_id, "resize", body))
        return self.work(calls, PATIENCE_S)

    def _rebind(self, wanted):
        """The calls after which these policies and no others of the stack's are bound: those that are bound from
        outside stay."""
        senlin = self.senlin()
        there = senlin.bound(self.resource_id)
        ids = {p["policy"]: senlin.look("policy", p["policy"]) for p in wanted}
        named = {ids[p["policy"]]["id"] if ids[p["policy"]] else p["policy"]: p["enabled"] for p in wanted}
        before = [senlin.look("policy", p["policy"]) for p in self.properties[self.POLICIES] or ()]
        for policy in (found["id"] for found in before if found):
            if policy in there and policy not in named:
                yield lambda policy=policy: senlin.act(self.resource_id, "policy_detach", {"policy_id": policy})
        for policy, enabled in named.items():
            body = {"policy_id": policy, "enabled": enabled}
            if policy not in there:
                yield lambda body=body: senlin.act(self.resource_id, "policy_attach", body)
            elif there[policy] != enabled:
                yield lambda body=body: senlin.act(self.resource_id, "policy_update", body)

    def _bind(self, entry):
        body = {"policy_id": entry["policy"], "enabled": entry["enabled"]}
        return lambda: self.senlin().act(self.resource_id, "policy_attach", body)

    def get_attribute(self, key, *path):
        if self.resource_id is None:
            return None
        if key == "collect":
            if not path:
                raise exception.InvalidTemplateAttribute(resource=self.name, key=key)
            return attributes.select_from_attribute(self.senlin().collect(self.resource_id, path[0]), path[1:])
        if key == "policies":
            return attributes.select_from_attribute(sorted(self.senlin().bound(self.resource_id)), path)
        return super().get_attribute(key, *path)


def resource_mapping():
    return {"OS::Senlin::Cluster": Cluster}
