"""OS::Senlin::Node: one machine, in a cluster or by itself."""

from __future__ import annotations

from heat.engine import attributes, properties

from .senlin_resource import SenlinResource
from .senlin_work import PATIENCE_S, Row

OWN = ("name", "metadata", "profile")
Schema, Attribute = properties.Schema, attributes.Schema


class Node(SenlinResource):
    """A Senlin node. It joins its cluster as it is made, and when its cluster is busy it waits for its turn."""

    kind = "node"

    PROPERTIES = (NAME, METADATA, PROFILE, CLUSTER) = ("name", "metadata", "profile", "cluster")
    ATTRIBUTES = (DETAILS, CLUSTER_ID) = ("details", "cluster_id")

    properties_schema = {
        PROFILE: Schema(Schema.STRING, "The name or id of its profile.", required=True, update_allowed=True),
        CLUSTER: Schema(Schema.STRING, "The name or id of the cluster that it is of.", update_allowed=True),
        NAME: Schema(Schema.STRING, "Its name; the resource's own by default.", update_allowed=True),
        METADATA: Schema(Schema.MAP, "Keys and values.", update_allowed=True),
    }
    attributes_schema = {
        DETAILS: Attribute(
            "What is known of the machine behind it.", type=Attribute.MAP, cache_mode=Attribute.CACHE_NONE
        ),
        CLUSTER_ID: Attribute("The id of its cluster.", type=Attribute.STRING),
    }

    def handle_create(self):
        """A cluster gives its nodes names of its own making, whatever was asked for: so it is named afterwards."""
        name = self.own_name()
        made = self.begin(
            {
                "name": name,
                "profile_id": self.properties[self.PROFILE],
                "cluster_id": self.properties[self.CLUSTER],
                "metadata": self.properties[self.METADATA],
            }
        )
        if not self.properties[self.CLUSTER]:
            return made
        return Row(
            made, self.work([lambda: self.senlin().change(self.kind, self.resource_id, {"name": name})], PATIENCE_S)
        )

    def handle_update(self, json_snippet, tmpl_diff, prop_diff):
        calls = []
        own = {"profile_id" if key == self.PROFILE else key: prop_diff[key] for key in OWN if key in prop_diff}
        if own:
            calls.append(lambda: self.senlin().change(self.kind, self.resource_id, own))
        if self.CLUSTER in prop_diff:
            body = {"nodes": [self.resource_id]}
            before, after = self.properties[self.CLUSTER], prop_diff[self.CLUSTER]
            if before:
                calls.append(lambda: self.senlin().act(before, "del_nodes", dict(body, destroy_after_deletion=False)))
            if after:
                calls.append(lambda: self.senlin().act(after, "add_nodes", body))
        return self.work(calls, PATIENCE_S)

    def _show_resource(self):
        return self.senlin().look(self.kind, self.resource_id, show_details=True) or {}


def resource_mapping():
    return {"OS::Senlin::Node": Node}
