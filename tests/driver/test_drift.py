"""What a stack says against what its cloud has, with a cloud that is bent on purpose."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from meghdwar import bundle as bundles
from meghdwar.bundle import Bundle
from meghdwar.cli.compile import main as compile_main
from meghdwar.driver import drift
from meghdwar.driver.cloud_api import Cloud, CloudError

EXAMPLE = Path(__file__).parents[2] / "tosca" / "examples" / "arena.tosca.yaml"


class Bent:
    """A cloud in which all is well until somebody bends it."""

    name = "bent"

    def __init__(self, bundle: Bundle) -> None:
        self.stack: dict[str, Any] = {
            "id": "s", "stack_name": "arena", "stack_status": "CREATE_COMPLETE", "stack_status_reason": "",
            "parameters": {"arena_at": "edge_a"}, "outputs": [],
        }  # fmt: skip
        names = [name for parts in bundle.plan.made.values() for name in parts.values()]
        self.made = {name: f"id-of-{name}" for name in names}
        self.nodes = [
            {
                "id": f"node-{g}", "name": g, "status": "ACTIVE", "status_reason": "", "created_at": "",
                "metadata": {"meghdwar_gateway": g}, "physical_id": f"server-{g}",
            }
            for g in ("edge_a", "edge_b")
        ]  # fmt: skip
        self.bound = [self.made["grow"], self.made["heal"]]
        self.servers = {"server-edge_a": "ACTIVE", "server-edge_b": "ACTIVE"}
        self.volume: dict[str, Any] = {"status": "in-use", "attachments": [{"server_id": "server-edge_a"}]}

    def ask(self, service: str, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        assert method == "GET"
        if path.startswith("/stacks/") and path.endswith("/resources"):
            pairs = self.made.items()
            return {"resources": [{"resource_name": n, "physical_resource_id": i} for n, i in pairs]}
        if path.startswith("/stacks/"):
            return {"stack": self.stack} if self.stack else {}
        if path.endswith("/policies"):
            return {"cluster_policies": [{"policy_id": p, "enabled": True} for p in self.bound]}
        if path == "/nodes":
            return {"nodes": self.nodes}
        if service == "compute":
            status = self.servers.get(path.rpartition("/")[2])
            return {"server": {"status": status}} if status else {}
        if service == "block_storage":
            return {"volume": self.volume}
        raise CloudError(f"cannot {method} {path}: nobody knows it")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    assert compile_main(["--heat", "zed", "-o", str(tmp_path), str(EXAMPLE)]) == 0
    return bundles.read(tmp_path / "arena.plan.yaml")


def codes(cloud: Bent, bundle: Bundle, home: str = "edge_a") -> list[str]:
    return [problem.code for problem in drift.detect(cast(Cloud, cloud), bundle, "arena", {"arena": home})]


def test_nothing_is_wrong(bundle: Bundle) -> None:
    assert codes(Bent(bundle), bundle) == []


def test_the_stack_is_gone(bundle: Bundle) -> None:
    cloud = Bent(bundle)
    cloud.stack = {}
    assert codes(cloud, bundle) == ["stack-missing"]


def test_the_stack_failed(bundle: Bundle) -> None:
    cloud = Bent(bundle)
    cloud.stack["stack_status"] = "UPDATE_FAILED"
    assert codes(cloud, bundle) == ["stack-failed"]


def test_a_parameter_was_changed_by_hand(bundle: Bundle) -> None:
    cloud = Bent(bundle)
    cloud.stack["parameters"] = {"arena_at": "edge_b"}
    assert codes(cloud, bundle) == ["stack-disagrees"]


def test_a_node_is_gone(bundle: Bundle) -> None:
    cloud = Bent(bundle)
    del cloud.nodes[1]
    assert codes(cloud, bundle) == ["node-missing"]


def test_a_server_is_gone_and_its_node_is_sick(bundle: Bundle) -> None:
    cloud = Bent(bundle)
    del cloud.servers["server-edge_b"]
    cloud.nodes[1]["status"] = "ERROR"
    assert codes(cloud, bundle) == ["node-sick", "node-missing"]


def test_a_policy_is_not_bound(bundle: Bundle) -> None:
    cloud = Bent(bundle)
    cloud.bound.pop()
    assert codes(cloud, bundle) == ["policy-unbound"]


def test_a_volume_is_elsewhere_or_on_its_way(bundle: Bundle) -> None:
    cloud = Bent(bundle)
    cloud.volume["attachments"] = [{"server_id": "server-edge_b"}]
    assert codes(cloud, bundle) == ["volume-elsewhere"]
    cloud.volume["status"] = "detaching"
    assert codes(cloud, bundle) == ["volume-unsettled"]


def test_every_problem_says_what_to_do(bundle: Bundle) -> None:
    cloud = Bent(bundle)
    cloud.stack.update(stack_status="UPDATE_FAILED", parameters={"arena_at": "edge_b"})
    cloud.volume["attachments"], cloud.bound = [], []
    del cloud.nodes[1]
    problems = drift.detect(cast(Cloud, cloud), bundle, "arena", {"arena": "edge_a"})
    assert {problem.code for problem in problems} <= set(drift.CODES)
    assert len(problems) == 6
    assert all(problem.help for problem in problems)
