"""OS::Senlin::Profile: how nodes are made."""

from __future__ import annotations

from heat.engine import constraints, properties

from .senlin_resource import SenlinResource, specification

Schema = properties.Schema


class Profile(SenlinResource):
    """A Senlin profile. Its properties are Senlin's own and checked by it."""

    kind = "profile"

    PROPERTIES = (NAME, TYPE, METADATA, SETTINGS) = ("name", "type", "metadata", "properties")

    properties_schema = {
        NAME: Schema(Schema.STRING, "Its name; the resource's own by default.", update_allowed=True),
        TYPE: Schema(
            Schema.STRING,
            "Its type and version, such as os.nova.server-1.0.",
            required=True,
            constraints=[constraints.AllowedPattern(r"^.+-\d+(\.\d+)?$")],
        ),
        METADATA: Schema(Schema.MAP, "Keys and values.", update_allowed=True),
        SETTINGS: Schema(Schema.MAP, "How nodes are made."),
    }

    def handle_create(self):
        spec = specification(self.properties[self.TYPE], self.properties[self.SETTINGS])
        return self.begin({"name": self.own_name(), "spec": spec, "metadata": self.properties[self.METADATA]})

    def handle_update(self, json_snippet, tmpl_diff, prop_diff):
        if not prop_diff:
            return None
        return self.work([lambda: self.senlin().change(self.kind, self.resource_id, dict(prop_diff))])


def resource_mapping():
    return {"OS::Senlin::Profile": Profile}
