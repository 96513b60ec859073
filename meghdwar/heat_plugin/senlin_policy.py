"""OS::Senlin::Policy: a rule that a cluster asks before or after it does something."""

from __future__ import annotations

from heat.engine import constraints, properties
from keystoneauth1 import exceptions

from .senlin_resource import SenlinResource, specification
from .senlin_work import PATIENCE_S

Schema = properties.Schema


class Policy(SenlinResource):
    """A Senlin policy. Better bound by `policies` of the cluster; `bindings` are made and undone one by one."""

    kind = "policy"

    PROPERTIES = (NAME, TYPE, SETTINGS, BINDINGS) = ("name", "type", "properties", "bindings")

    properties_schema = {
        NAME: Schema(Schema.STRING, "Its name; the resource's own by default.", update_allowed=True),
        TYPE: Schema(
            Schema.STRING,
            "Its type and version, such as senlin.policy.scaling-1.0.",
            required=True,
            constraints=[constraints.AllowedPattern(r"^.+-\d+(\.\d+)?$")],
        ),
        SETTINGS: Schema(Schema.MAP, "What the policy says."),
        BINDINGS: Schema(
            Schema.LIST,
            "The clusters that it is bound to.",
            update_allowed=True,
            schema=Schema(
                Schema.MAP,
                schema={
                    "cluster": Schema(Schema.STRING, "The name or id of the cluster.", required=True),
                    "enabled": Schema(Schema.BOOLEAN, "Whether it is asked.", default=True),
                },
            ),
        ),
    }

    def handle_create(self):
        spec = specification(self.properties[self.TYPE], self.properties[self.SETTINGS])
        self.begin({"name": self.own_name(), "spec": spec})
        return self.work([self._bind(entry) for entry in self.properties[self.BINDINGS] or ()], PATIENCE_S)

    def handle_update(self, json_snippet, tmpl_diff, prop_diff):
        calls = []
        if self.NAME in prop_diff:
            calls.append(lambda: self.senlin().change(self.kind, self.resource_id, {"name": prop_diff[self.NAME]}))
        if self.BINDINGS in prop_diff:
            before, after = self.properties[self.BINDINGS] or [], prop_diff[self.BINDINGS] or []
            calls += [self._unbind(entry) for entry in before if entry not in after]
            calls += [self._bind(entry) for entry in after if entry not in before]
        return self.work(calls, PATIENCE_S)

    def handle_delete(self):
        if self.resource_id is None:
            return None
        calls = [self._unbind(entry) for entry in self.properties[self.BINDINGS] or ()]
        calls.append(lambda: self.senlin().remove(self.kind, self.resource_id)[1])
        return self.work(calls, PATIENCE_S)

    def _bind(self, entry):
        body = {"policy_id": self.resource_id, "enabled": entry["enabled"]}
        return lambda: self.senlin().act(entry["cluster"], "policy_attach", body)

    def _unbind(self, entry):
        def call():
            try:
                return self.senlin().act(entry["cluster"], "policy_detach", {"policy_id": self.resource_id})
            except (exceptions.NotFound, exceptions.BadRequest):
                return None  # the cluster is gone, or it was not bound to it

        return call


def resource_mapping():
    return {"OS::Senlin::Policy": Policy}
