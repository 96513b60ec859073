"""What Heat's resources ask of Senlin, over plain requests: no SDK in between whose calls change their names.

Asked of a keystone session, which every Heat has had for ten years. Works on Python 3.8 and later, as Heat 19 does.
"""

from __future__ import annotations

from keystoneauth1 import exceptions

SERVICE = "clustering"
SUCCEEDED = "SUCCEEDED"
ENDED_BADLY = ("FAILED", "CANCELLED")
PATHS = {kind: f"/v1/{kind}s" for kind in ("action", "cluster", "node", "profile", "receiver")}
PATHS["policy"] = "/v1/policies"
COLLECT = {"OpenStack-API-Version": "clustering 1.2"}  # Senlin's oldest cannot collect


class Failed(Exception):
    """An action of Senlin ended badly; the message has its reason."""


class Senlin:
    """The cluster service of one region, as the user whose stack it is.

    What a call makes it gives with the id of the action that Senlin works on, None when it is done already. Errors of
    HTTP are keystoneauth1's.
    """

    def __init__(self, session, region=None, interface=None):
        self._session = session
        self._where = {"service_type": SERVICE, "region_name": region, "interface": interface or "public"}

    # things
    def make(self, kind, body):
        """POSTs it; (what Senlin says it is, action)."""
        given = {key: value for key, value in body.items() if value is not None}
        answer = self._ask("POST", PATHS[kind], {kind: given})
        return answer.json()[kind], _action_of(answer)

    def look(self, kind, identity, **query):
        """What Senlin knows of it, or None when it is gone."""
        try:
            return self._ask("GET", f"{PATHS[kind]}/{identity}", params=query).json()[kind]
        except exceptions.NotFound:
            return None

    def change(self, kind, identity, body):
        """PATCHes it; the action."""
        return _action_of(self._ask("PATCH", f"{PATHS[kind]}/{identity}", {kind: body}))

    def remove(self, kind, identity):
        """Asks for it to be deleted; (whether it is gone already, action)."""
        try:
            return False, _action_of(self._ask("DELETE", f"{PATHS[kind]}/{identity}"))
        except exceptions.NotFound:
            return True, None

    # clusters
    def act(self, cluster, name, body):
        """Has a cluster do something; the action."""
        return self._ask("POST", f"/v1/clusters/{cluster}/actions", {name: body}).json()["action"]

    def bound(self, cluster):
        """The policies that are bound to a cluster: id -> whether they are enabled."""
        answer = self._ask("GET", f"/v1/clusters/{cluster}/policies").json()["cluster_policies"]
        return {entry["policy_id"]: entry["enabled"] for entry in answer}

    def collect(self, cluster, path):
        """What each node of a cluster says at this path."""
        answer = self._ask("GET", f"/v1/clusters/{cluster}/attrs/{path}", headers=COLLECT)
        return [entry["value"] for entry in answer.json()["cluster_attributes"]]

    # actions
    def is_done(self, action):
        """Whether an action has ended well. Raises Failed when it ended badly."""
        if action is None:
            return True
        found = self.look("action", action)
        if found is None:
            return True  # Senlin has forgotten it, and it forgets none that it works on
        if found["status"] in ENDED_BADLY:
            raise Failed(f"{found['action']} of {found['target']}: {found['status_reason']}")
        return found["status"] == SUCCEEDED

    def _ask(self, method, path, body=None, headers=None, params=None):
        more = {"json": body} if body is not None else {}
        if params:
            more["params"] = params
        return self._session.request(path, method, endpoint_filter=self._where, headers=headers or {}, **more)


def _action_of(answer):
    """The action that an answer says it began: the end of its Location."""
    location = answer.headers.get("Location", "")
    return location.rsplit("/", 1)[-1] if "/actions/" in location else None
