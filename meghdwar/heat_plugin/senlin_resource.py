"""What the five resources have in common: how they reach Senlin, how they are looked at, made and deleted."""

from __future__ import annotations

from heat.common import exception
from heat.engine import resource, support

from .senlin_rest import SERVICE, Failed, Senlin
from .senlin_work import Removal, Work


class SenlinResource(resource.Resource):
    """A thing of Senlin. `kind` is what it is called in requests.

    Heat's own client for the SDK gives the session and says whether there is such a service: it is in every Heat,
    while the one for Senlin went in 2024.2.
    """

    support_status = support.SupportStatus(version="6.0.0")
    default_client_name = "openstack"
    kind = ""

    @classmethod
    def is_service_available(cls, context):
        client = cls._client_plugin(context)
        if client.does_endpoint_exist(service_type=SERVICE, service_name="senlin"):
            return True, None
        return False, "there is no service of type clustering in the catalogue of this cloud"

    @classmethod
    def _client_plugin(cls, context):
        from heat.engine import clients

        return clients.Clients(context).client_plugin(cls.default_client_name)

    def senlin(self):
        plugin = self.client_plugin()
        interface = plugin._get_client_option("senlin", "endpoint_type") or "public"
        return Senlin(self.context.keystone_session, plugin._get_region_name(), interface.replace("URL", ""))

    # looking
    def _show_resource(self):
        return self.senlin().look(self.kind, self.resource_id) or {}

    def _resolve_attribute(self, name):
        if self.resource_id is None:
            return None
        return self._show_resource().get(name)

    def handle_check(self):
        found = self.senlin().look(self.kind, self.resource_id)
        if found is None:
            raise exception.ResourceNotAvailable(resource_name=self.name)
        if found.get("status", "ACTIVE") not in ("ACTIVE", "WARNING"):
            raise exception.ResourceInError(resource_status=found["status"], status_reason=found["status_reason"])

    # making
    def own_name(self):
        return self.properties["name"] or self.physical_resource_name()

    def begin(self, body):
        """Has it made and notes its id at once, so that it is found again whatever comes; the work to wait for."""
        found, action = self.senlin().make(self.kind, body)
        self.resource_id_set(found["id"])
        return self.work([lambda: action])

    def work(self, calls, patience_s=0):
        return Work(self.senlin(), calls, patience_s)

    def wait(self, work):
        """Whether it is done, with Senlin's reason where it failed."""
        if work is None:
            return True
        try:
            return work.is_done()
        except Failed as error:
            raise exception.ResourceInError(resource_status="FAILED", status_reason=str(error))

    def check_create_complete(self, work):
        return self.wait(work)

    def check_update_complete(self, work):
        return self.wait(work)

    # deleting
    def handle_delete(self):
        if self.resource_id is None:
            return None
        return Removal(self.senlin(), self.kind, self.resource_id)

    def check_delete_complete(self, work):
        return self.wait(work)


def specification(type_, properties):
    """A specification as Senlin reads it; `type_` is NAME-VERSION."""
    name, _, version = type_.rpartition("-")
    return {"type": name, "version": version, "properties": properties or {}}
