"""Senlin, as far as it is asked: clusters, the nodes in them, and the policies that are bound to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meghdwar.driver.cloud_api import Cloud, CloudError, wait

GATEWAY = "meghdwar_gateway"  # in the metadata of a node that we made: which gateway it is
ACTION_S = 600.0


class Senlin:
    """What is asked of the cluster service. Each call looks first: what is so already stays."""

    def __init__(self, cloud: Cloud, timeout_s: float = ACTION_S) -> None:
        self._cloud, self._timeout_s = cloud, timeout_s

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        return self._cloud.ask("clustering", method, path, body, **more)

    def bind(self, cluster: str, policy: str, enabled: bool) -> None:
        asked = f"bind policy {policy} to cluster {cluster}"
        bound = self.ask("GET", f"/clusters/{cluster}/policies", asked=asked)["cluster_policies"]
        there = next((entry for entry in bound if entry["policy_id"] == policy), None)
        if there is None or there["enabled"] != enabled:
            act = "policy_attach" if there is None else "policy_update"
            self.act(cluster, act, {"policy_id": policy, "enabled": enabled}, asked)

    def limit(self, cluster: str, minimum: int) -> None:
        asked = f"give cluster {cluster} at least {minimum} nodes"
        if self.ask("GET", f"/clusters/{cluster}", asked=asked)["cluster"]["min_size"] != minimum:
            self.act(cluster, "resize", {"min_size": minimum}, asked)

    def act(self, cluster: str, act: str, body: Mapping[str, Any], asked: str) -> None:
        """Has a cluster do something, also when it has to end something else first."""
        path, action = f"/clusters/{cluster}/actions", ""

        def taken() -> bool:
            nonlocal action
            try:
                action = self.ask("POST", path, {act: body}, asked=asked)["action"]
            except CloudError as error:
                if error.status != 409:
                    raise
                return False
            return True

        wait(taken, asked, self._timeout_s)
        self.await_action(action, asked)

    def await_action(self, action: str, asked: str) -> None:
        def ended() -> bool:
            found = self.ask("GET", f"/actions/{action}", asked=asked)["action"]
            if found["status"] in ("FAILED", "CANCELLED"):
                raise CloudError(f"cannot {asked}: {found['status_reason']}", retry=True)
            return bool(found["status"] == "SUCCEEDED")

        wait(ended, asked, self._timeout_s)

    # nodes
    def nodes(self, cluster: str) -> list[dict[str, Any]]:
        asked = f"list the nodes of cluster {cluster}"
        return list(self.ask("GET", "/nodes", asked=asked, cluster_id=cluster)["nodes"])

    def node_of(self, cluster: str, gateway: str) -> dict[str, Any] | None:
        """The node that is this gateway. A cluster may call it as it likes: what we wrote into it tells. What it has
        made of its own goes by the name that it gave."""
        found = [node for node in self.nodes(cluster) if node["metadata"].get(GATEWAY, node["name"]) == gateway]
        return next(iter(sorted(found, key=lambda node: node["created_at"] or "")), None)

    def make_node(self, gateway: str, name: str, profile: str, cluster: str) -> None:
        asked = f"make the node of {gateway}"
        found = self.node_of(cluster, gateway)
        if found is not None and found["status"] == "ERROR" and not found["physical_id"]:
            self.remove("nodes", found["id"], asked)
            found = None
        if found is None:
            body = {"name": name, "profile_id": profile, "cluster_id": cluster, "metadata": {GATEWAY: gateway}}
            answer = self.ask("POST", "/nodes", {"node": body}, asked=asked)
            found = answer["node"]
            self.await_action(answer["action"], asked)
        self._await_active(found["id"], asked)
        if found["name"] != name:  # a cluster gives its nodes names of its own making
            answer = self.ask("PATCH", f"/nodes/{found['id']}", {"node": {"name": name}}, asked=asked)
            self.await_action(answer["action"], asked)

    def _await_active(self, node: str, asked: str) -> None:
        def active() -> bool:
            found = self.ask("GET", f"/nodes/{node}", asked=asked)["node"]
            if found["status"] == "ERROR":
                raise CloudError(f"cannot {asked}: {found['status_reason']}; see openstack cluster node show {node}")
            return bool(found["status"] == "ACTIVE")

        wait(active, f"{asked}; if Senlin lost it, restart senlin-engine and try again", self._timeout_s)

    def remove(self, kind: str, identifier: str, asked: str) -> None:
        """Deletes it and waits until it is gone, also while somebody still holds it for a moment."""

        def gone() -> bool:
            try:
                self.ask("DELETE", f"/{kind}/{identifier}", asked=asked, missing=True)
            except CloudError as error:
                if error.status != 409:
                    raise
            return not self.ask("GET", f"/{kind}/{identifier}", asked=asked, missing=True)

        wait(gone, asked, self._timeout_s, pause_s=1)
