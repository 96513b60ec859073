"""A cloud in memory with one stack, for what a real one cannot be made to show at will."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import yaml

from meghdwar.driver.cloud_api import CloudError, Silent

HOMES = ("edge_a", "edge_b")
MADE = ("saves", "arena_saves", *HOMES, "edges", "grow", "heal", "edge_a_profile", "edge_b_profile")


class OneCloud:
    """Heat, Senlin, Nova and Cinder as far as one arena needs them. `fails` are the reasons with which the next updates
    end; `silent` is every service that does not answer; `hidden` are types of which this Heat has only the name; an
    update is worked on for `looks`: at first the volume stays where it was, then it is nowhere, then where it shall be.
    """

    name = "one"

    def __init__(self) -> None:
        self.stack: dict[str, Any] | None = None
        self.volume: dict[str, Any] = {}
        self.servers = {home: self._server(home) for home in HOMES}
        self.fails: list[str] = []
        self.silent: set[str] = set()
        self.hidden: set[str] = set()
        self.policies = ["grow", "heal"]
        self.acts: list[str] = []
        self.gone: set[str] = set()  # paths
        self.looks, self._left = 0, 0
        self._events = itertools.count(1)

    def _server(self, home: str, number: int = 1) -> dict[str, Any]:
        address = {"addr": f"10.0.0.{[*HOMES, home].index(home) + 1}", "OS-EXT-IPS:type": "fixed"}
        return {"id": f"server-{home}-{number}", "status": "ACTIVE", "addresses": {"net": [address]}}

    def join(self, node: str) -> None:
        """The cluster has made a node of its own."""
        self.servers[node] = self._server(node)

    def leave(self, node: str) -> None:
        """The node is gone, and its server with it."""
        if self.at == self.servers.pop(node)["id"]:
            self.attach("")

    def heal(self, home: str) -> None:
        """The server is made anew, and nothing is attached to it."""
        gone = self.servers[home]["id"]
        self.servers[home] = self._server(home, 2)
        if self.at == gone:
            self.attach("")

    @property
    def at(self) -> str:
        return next((entry["server_id"] for entry in self.volume["attachments"]), "")

    def attach(self, server: str) -> None:
        self.volume["attachments"] = [{"server_id": server}] if server else []
        self.volume["status"] = "in-use" if server else "available"

    def has(self, service: str) -> bool:
        return True

    def ask(
        self,
        service: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        asked: str = "",
        missing: bool = False,
        **_: Any,
    ) -> dict[str, Any]:
        if service in self.silent:
            raise Silent(f"cannot {asked}: no answer from {service}")
        if method != "GET":
            self.acts.append(f"{method} {path}")
        found: dict[str, Any] | None = getattr(self, f"_{service}")(method, path, body)
        if found is None:
            if missing:
                return {}
            raise CloudError(f"cannot {asked}: not found", status=404)
        return found

    # services
    def _orchestration(self, method: str, path: str, body: Any) -> dict[str, Any] | None:
        if path.startswith("/resource_types/"):
            return {"support_status": {"status": "HIDDEN" if path.rsplit("/", 1)[1] in self.hidden else "SUPPORTED"}}
        if path == "/validate":
            return {}
        if (method, path) == ("POST", "/stacks"):
            self._create(body)
            return {}
        if self.stack is None or path in self.gone:
            return None
        if path.endswith("/preview"):
            return {"resource_changes": {"updated": [{"resource_name": "arena_saves", "resource_type": "OS::X"}]}}
        if path.endswith("/resources"):
            state = {"resource_status": "CREATE_COMPLETE"}
            return {"resources": [{"resource_name": n, "physical_resource_id": n, **state} for n in MADE]}
        if path.endswith("/events"):
            return {"events": [{"id": next(self._events), "resource_name": "x", "resource_status": "COMPLETE"}]}
        if method == "PATCH":
            self._update(body["parameters"])
        if method == "DELETE":
            self.stack = None
            return {}
        if self._left:
            self._work()
        assert self.stack is not None
        return {"stack": self.stack}

    def _create(self, body: Mapping[str, Any]) -> None:
        template = yaml.safe_load(body["template"])
        parameters = {name: entry.get("default", "") for name, entry in template["parameters"].items()}
        outputs = [{"output_key": "meghdwar_plan", "output_value": template["outputs"]["meghdwar_plan"]["value"]}]
        state = {"stack_status": "CREATE_COMPLETE", "stack_status_reason": ""}
        head = {"id": "s1", "stack_name": body["stack_name"], "outputs": outputs, **state}
        self.stack = {**head, "parameters": parameters | body["parameters"]}
        self.volume = {"metadata": {}}
        self.attach(self._wanted_at())

    def _update(self, parameters: Mapping[str, Any]) -> None:
        assert self.stack is not None
        self.stack["parameters"] |= parameters
        reason = self.fails.pop(0) if self.fails else ""
        if self.looks:
            self._left, self.stack["stack_status"] = self.looks, "UPDATE_IN_PROGRESS"
            return
        self.stack["stack_status"] = "UPDATE_FAILED" if reason else "UPDATE_COMPLETE"
        self.stack["stack_status_reason"] = reason
        if not reason:
            self.attach(self._wanted_at())

    def _wanted_at(self) -> str:
        """The server that the parameters of the stack name: with the plug-in by its gateway."""
        told = (self.stack or {})["parameters"]
        return str(told["arena_server"] if "arena_server" in told else self.servers[told["arena_at"]]["id"])

    def _work(self) -> None:
        assert self.stack is not None
        self._left -= 1
        if self._left == self.looks // 2:
            self.attach("")
        elif self._left == self.looks // 4:
            self.attach(self.servers[self.stack["parameters"]["arena_at"]]["id"])
        elif not self._left:
            self.stack["stack_status"] = "UPDATE_COMPLETE"

    def _clustering(self, method: str, path: str, body: Any) -> dict[str, Any] | None:
        if path == "/policies":
            return {"policies": [{"id": each, "name": f"arena-{each}-abcdefghij12"} for each in self.policies]}
        if path.startswith("/policies/"):
            name = path.removeprefix("/policies/")
            if method == "DELETE" and name in self.policies:
                self.policies.remove(name)
            return {} if name in self.policies else None
        if path.endswith("/policies"):
            return {"cluster_policies": [{"policy_id": each, "enabled": True} for each in self.policies]}
        if self.stack is None:
            return None
        if path == "/nodes":
            return {"nodes": [self._node(home) for home in self.servers]}
        home = path.removeprefix("/nodes/")
        return {"node": self._node(home)} if home in self.servers else None

    def _node(self, home: str) -> dict[str, Any]:
        """What Senlin has of a gateway; what we have not made it knows by a name alone."""
        written = {"meghdwar_gateway": home} if home in HOMES else {}
        times = {"created_at": "", "status": "ACTIVE"}
        return {"id": home, "name": home, "metadata": written, "physical_id": self.servers[home]["id"], **times}

    def _compute(self, method: str, path: str, body: Any) -> dict[str, Any] | None:
        if path == "/flavors/detail":
            return {"flavors": [{"id": "1", "name": "m1.tiny", "vcpus": 1, "ram": 64}]}
        if path == "/limits":
            return {"limits": {"absolute": {}}}
        if path == "/os-availability-zone":
            zones = [{"zoneName": f"edge-{n}", "zoneState": {"available": True}} for n in (1, 2)]
            return {"availabilityZoneInfo": zones}
        server = path.split("/")[2]
        if "os-volume_attachments" in path:
            self.attach(server if method == "POST" else "")
            return {}
        found = next((each for each in self.servers.values() if each["id"] == server), None) if self.stack else None
        return found and {"server": found}

    def _image(self, method: str, path: str, body: Any) -> dict[str, Any]:
        return {"images": [{"name": "lab", "id": "1"}]}

    def _network(self, method: str, path: str, body: Any) -> dict[str, Any]:
        return {"networks": [{"name": "lab-net", "id": "1"}]}

    def _block_storage(self, method: str, path: str, body: Any) -> dict[str, Any] | None:
        if path == "/limits":
            return {"limits": {"absolute": {}}}
        if self.stack is None:
            return None
        if path.endswith("/metadata"):
            self.volume["metadata"] |= body["metadata"]
        return {"volume": self.volume}
