"""OS::Senlin::Receiver: an address that makes a cluster grow or shrink when it is called."""

from __future__ import annotations

from heat.engine import attributes, constraints, properties

from .senlin_resource import SenlinResource

Schema, Attribute = properties.Schema, attributes.Schema


class Receiver(SenlinResource):
    """A Senlin receiver."""

    kind = "receiver"

    PROPERTIES = (CLUSTER, ACTION, NAME, TYPE, PARAMS) = ("cluster", "action", "name", "type", "params")
    ATTRIBUTES = (CHANNEL,) = ("channel",)

    properties_schema = {
        CLUSTER: Schema(Schema.STRING, "The name or id of the cluster.", required=True),
        ACTION: Schema(
            Schema.STRING,
            "What the cluster does when it is called.",
            required=True,
            constraints=[constraints.AllowedValues(["CLUSTER_SCALE_OUT", "CLUSTER_SCALE_IN"])],
        ),
        NAME: Schema(Schema.STRING, "Its name; the resource's own by default."),
        TYPE: Schema(
            Schema.STRING, "How it is called.", default="webhook", constraints=[constraints.AllowedValues(["webhook"])]
        ),
        PARAMS: Schema(Schema.MAP, "What the action is told."),
    }
    attributes_schema = {CHANNEL: Attribute("Its alarm_url is what to call.", type=Attribute.MAP)}

    def handle_create(self):
        return self.begin(
            {
                "name": self.own_name(),
                "cluster_id": self.properties[self.CLUSTER],
                "type": self.properties[self.TYPE],
                "action": self.properties[self.ACTION],
                "params": self.properties[self.PARAMS],
            }
        )


def resource_mapping():
    return {"OS::Senlin::Receiver": Receiver}
