"""Stacks, with a Heat that only remembers: what is sent, when it is waited, and what is said when it goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from meghdwar import bundle as bundles
from meghdwar.bundle import Bundle
from meghdwar.cli.compile import main as compile_main
from meghdwar.driver import cloud_api, heat, preflight
from meghdwar.driver.cloud_api import Cloud, CloudError
from meghdwar.driver.hypervisor import HypervisorError
from meghdwar.driver.instance import Instance
from meghdwar.driver.picture import Picture, detach_elsewhere

EXAMPLES = Path(__file__).parents[2] / "tosca" / "examples"


class Remembers:
    """A cloud with one Heat. An update takes two looks; `fails` says which updates end badly."""

    name = "remembered"

    def __init__(self, parameters: Mapping[str, Any], plan: str, state: str = "CREATE_COMPLETE") -> None:
        self.parameters, self.plan, self.state, self.reason = dict(parameters), plan, state, ""
        self.updates: list[Mapping[str, Any]] = []
        self.fails: list[str] = []
        self.looks_until_done = 0
        self.abandoned = False  # whoever worked on it is dead
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def has(self, service: str) -> bool:
        return service != "clustering" or self.plan != "no senlin"

    def ask(self, service: str, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        if method == "PATCH":
            return self.update(body)
        if path.endswith("/events"):
            return {"events": [{"id": len(self.updates)}]}
        if path.endswith("/resources"):
            return {
                "resources": [{"resource_name": "x", "physical_resource_id": "1", "resource_status": "CREATE_COMPLETE"}]
            }
        if path == "/stacks":
            return {"stacks": [{"id": "s"}]}
        if self.looks_until_done:
            self.looks_until_done -= 1
            if not self.looks_until_done:
                self.state = self.state.replace("IN_PROGRESS", "FAILED" if self.reason else "COMPLETE")
        outputs = [{"output_key": "meghdwar_plan", "output_value": self.plan}] if self.plan else []
        state = {"stack_status": self.state, "stack_status_reason": self.reason}
        return {"stack": {"id": "s", "stack_name": "arena", **state, "parameters": self.parameters, "outputs": outputs}}

    def update(self, body: Any) -> dict[str, Any]:
        assert body["existing"] is True
        if self.state.endswith("IN_PROGRESS") and not self.abandoned:
            raise CloudError("cannot update: another is going on", status=409, retry=True)
        self.entered.set()
        assert self.go_on.wait(5)
        self.updates.append(body["parameters"])
        self.parameters.update(body["parameters"])
        self.state, self.looks_until_done = "UPDATE_IN_PROGRESS", 2
        self.reason = self.fails.pop(0) if self.fails else ""
        return {}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_api.time, "sleep", lambda seconds: None)


def compiled(folder: Path, release: str = "plugin", source: Path = EXAMPLES / "arena.tosca.yaml") -> Bundle:
    assert compile_main(["--heat", release, "-o", str(folder), str(source)]) == 0
    return bundles.read(next(folder.glob("*.plan.yaml")))


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return compiled(tmp_path)


def cloud_of(bundle: Bundle, **parameters: Any) -> Remembers:
    return Remembers({"arena_at": "edge_a", **parameters}, bundles.identity(bundle.name, bundle.plan))


def picture(cloud: Remembers, bundle: Bundle, **more: Any) -> Picture:
    return Picture(cast(Cloud, cloud), bundle, "arena", **more)


def instance(name: str = "arena", subscriber: str | None = None) -> Instance:
    return Instance(name, "arena", "arena", "container", "cloudlet", subscriber=subscriber)


def test_a_move_is_one_update_of_one_parameter(bundle: Bundle) -> None:
    cloud = cloud_of(bundle)
    picture(cloud, bundle).place(instance(), "edge_b")
    assert cloud.updates == [{"arena_at": "edge_b"}]


def test_what_the_stack_says_already_is_not_said_again(bundle: Bundle) -> None:
    cloud = cloud_of(bundle)
    picture(cloud, bundle).place(instance(), "edge_a")
    assert cloud.updates == []


def test_an_update_of_somebody_else_is_waited_for(bundle: Bundle) -> None:
    cloud = cloud_of(bundle)
    cloud.state, cloud.looks_until_done = "UPDATE_IN_PROGRESS", 4
    picture(cloud, bundle).place(instance(), "edge_b")
    assert cloud.updates == [{"arena_at": "edge_b"}]


def test_an_update_that_failed_may_be_tried_again_and_then_is(bundle: Bundle) -> None:
    cloud = cloud_of(bundle)
    cloud.fails = ["detach timed out"]
    stack = picture(cloud, bundle)
    with pytest.raises(HypervisorError, match="detach timed out") as caught:
        stack.place(instance(), "edge_b")
    assert caught.value.retry
    stack.place(instance(), "edge_b")  # the parameter is right, and the stack is not
    assert cloud.updates == [{"arena_at": "edge_b"}] * 2
    assert cloud.state == "UPDATE_COMPLETE"


def test_a_stack_that_was_never_made_cannot_be_updated(bundle: Bundle) -> None:
    cloud = cloud_of(bundle)
    cloud.state, cloud.reason = "CREATE_FAILED", "no host"
    with pytest.raises(HypervisorError, match=r"CREATE_FAILED: no host; see openstack stack failures") as caught:
        picture(cloud, bundle).place(instance(), "edge_b")
    assert not caught.value.retry
    assert cloud.updates == []


def test_moves_that_wait_become_one_update(tmp_path: Path) -> None:
    source = tmp_path / "each.yaml"
    text = (EXAMPLES / "arena.tosca.yaml").read_text()
    source.write_text(
        text.replace("        address: 10.50.0.80\n", "        instances: per_subscriber\n").split("  outputs:")[0]
    )
    bundle = compiled(tmp_path / "out", source=source)
    cloud = cloud_of(bundle, arena_at="{}")
    stack = picture(cloud, bundle)
    cloud.go_on.clear()
    names = [f"arena-{n}" for n in range(20)]
    threads = [threading.Thread(target=stack.place, args=(instance(n, n), "edge_b")) for n in names]
    threads[0].start()
    assert cloud.entered.wait(5)
    for thread in threads[1:]:
        thread.start()
    while len(stack._waiting) < len(names) - 1:
        threading.Event().wait(0.005)
    cloud.go_on.set()
    for thread in threads:
        thread.join(10)
    assert len(cloud.updates) == 2
    assert cloud.parameters["arena_at"] == dict.fromkeys(names, "edge_b")
    stack.place(instance(names[0], names[0]), None)
    assert sorted(cloud.parameters["arena_at"]) == sorted(names[1:])


def test_one_that_fails_does_not_take_the_others_with_it(bundle: Bundle) -> None:
    cloud = cloud_of(bundle)
    cloud.fails = ["no", "no"]
    stack = picture(cloud, bundle)
    stack._waiting, stack._instances = {"other": "edge_b"}, {"other": instance("other")}
    with pytest.raises(HypervisorError):
        stack.place(instance(), "edge_b")
    assert stack._waiting == {"other": "edge_b"}


def test_only_the_stack_of_this_plan_is_adopted(bundle: Bundle) -> None:
    cloud = cloud_of(bundle)
    assert heat.adopt(cast(Cloud, cloud), bundle, "arena").id == "s"
    cloud.plan = "sha256:other"
    with pytest.raises(CloudError, match="cannot adopt stack arena: it is of another plan"):
        heat.adopt(cast(Cloud, cloud), bundle, "arena")
    cloud.plan = ""
    with pytest.raises(CloudError, match="it was not made by mdw-compile"):
        heat.adopt(cast(Cloud, cloud), bundle, "arena")


def test_a_failed_stack_is_not_adopted(bundle: Bundle) -> None:
    cloud = cloud_of(bundle)
    cloud.state, cloud.reason = "CREATE_FAILED", "no host"
    with pytest.raises(CloudError, match="cannot use stack arena: it is CREATE_FAILED: no host"):
        heat.adopt(cast(Cloud, cloud), bundle, "arena")


def test_a_cloud_without_senlin_is_refused_before_anything_else(bundle: Bundle) -> None:
    cloud = Remembers({}, "no senlin")
    (problem,) = preflight.check(cast(Cloud, cloud), bundle, "arena")
    assert problem == ("cannot use remembered: it has no Senlin in its catalogue; compile with --target static")


@pytest.mark.parametrize("release", ["zed", "2024.1", "plugin"])
def test_what_a_stack_needs(tmp_path: Path, release: str) -> None:
    needs = preflight.needs_of(compiled(tmp_path, release), {"flavor": "m1.large"})
    assert needs.servers == 2
    assert needs.volumes == ((1, None),)
    assert {(m.image, m.flavor) for m in needs.machines} == {("edge-lxd", "m1.large")}
    assert {m.zone for m in needs.machines} == {"edge-1", "edge-2", None}
    assert {network for m in needs.machines for network in m.networks} == {"edge-net"}


def test_quota() -> None:
    limits = {"maxTotalInstances": 10, "totalInstancesUsed": 9}
    (problem,) = preflight._quota("instances", 2, limits, "maxTotalInstances", "totalInstancesUsed")
    assert problem == "cannot make 2 instances: the quota leaves 1 of 10; have it raised, or free some"
    assert not list(preflight._quota("instances", 1, limits, "maxTotalInstances", "totalInstancesUsed"))
    assert not list(preflight._quota("instances", 99, {"maxTotalInstances": -1}, "maxTotalInstances", "used"))


class Volumes:
    """A volume whose states come one after the other, and what was asked to be detached."""

    def __init__(self, *states: tuple[str, list[str]]) -> None:
        self.states, self.detached = list(states), []  # type: tuple[list[tuple[str, list[str]]], list[str]]

    def ask(self, service: str, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        if method == "DELETE":
            self.detached.append(path)
            return {}
        status, servers = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {"volume": {"status": status, "attachments": [{"server_id": server} for server in servers]}}


def test_a_volume_that_an_update_left_behind_is_detached_from_where_it_was() -> None:
    cloud = Volumes(("in-use", ["source"]), ("detaching", ["source"]), ("available", []))
    detach_elsewhere(cast(Cloud, cloud), "v", "target", 60)
    assert cloud.detached == ["/servers/source/os-volume_attachments/v"]


def test_a_volume_that_is_where_it_shall_be_stays() -> None:
    cloud = Volumes(("attaching", []), ("in-use", ["target"]))
    detach_elsewhere(cast(Cloud, cloud), "v", "target", 60)
    assert cloud.detached == []


def test_a_volume_that_stays_between_two_states_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(1000))
    monkeypatch.setattr(cloud_api.time, "monotonic", lambda: float(next(times)))
    with pytest.raises(CloudError, match="cannot free volume v, which something still attaches or detaches"):
        detach_elsewhere(cast(Cloud, Volumes(("detaching", ["source"]))), "v", "target", 60)


def test_a_service_may_be_silent_for_a_while() -> None:
    answers = iter([cloud_api.Silent("cannot look: no reply"), False, cloud_api.Silent("cannot look: no reply"), True])

    def there() -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    cloud_api.wait(there, "wait", 60)
    assert next(answers, None) is None


def test_a_service_may_not_be_silent_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(1000))
    monkeypatch.setattr(cloud_api.time, "monotonic", lambda: float(next(times)))

    def there() -> bool:
        raise cloud_api.Silent("cannot look: no reply")

    with pytest.raises(CloudError, match="cannot wait: cannot look: no reply") as caught:
        cloud_api.wait(there, "wait", 60)
    assert caught.value.retry


def test_what_nobody_answered_is_looked_at_again() -> None:
    tries = []

    def work() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise cloud_api.Silent("cannot make it: no reply")

    heat._patiently(work)
    assert len(tries) == 3


def test_an_update_whose_engine_died_is_begun_again(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(0, 100_000, 5))
    monkeypatch.setattr(cloud_api.time, "monotonic", lambda: float(next(times)))
    cloud = cloud_of(bundle, arena_at="edge_b")
    cloud.state, cloud.abandoned = "UPDATE_IN_PROGRESS", True
    picture(cloud, bundle).place(instance(), "edge_b")
    assert cloud.updates == [{"arena_at": "edge_b"}]
    assert cloud.state == "UPDATE_COMPLETE"


class Attached(Remembers):
    """A stack whose volume is where Heat does not think that it is."""

    def __init__(self, bundle: Bundle, attachment: str, volume: tuple[str, list[str]]) -> None:
        super().__init__({"arena_at": "edge_a"}, bundles.identity(bundle.name, bundle.plan))
        self.attachment, self.volume, self.acts = attachment, volume, []  # type: str, tuple[str, list[str]], list[str]

    def ask(self, service: str, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        if path.endswith("/resources"):
            states = {"saves": "CREATE_COMPLETE", "arena_saves": self.attachment, "edge_a": "CREATE_COMPLETE"}
            return {
                "resources": [
                    {"resource_name": n, "physical_resource_id": n, "resource_status": s} for n, s in states.items()
                ]
            }
        if service == "clustering":
            return {"node": {"physical_id": "server-a"}}
        if service == "block_storage":
            status, servers = self.volume
            return {"volume": {"status": status, "attachments": [{"server_id": server} for server in servers]}}
        if service == "compute":
            self.acts.append(f"{method} {path}")
            self.volume = ("available", []) if method == "DELETE" else ("in-use", ["server-a"])
            return {}
        return super().ask(service, method, path, body, **more)


AT_A = "/servers/server-a/os-volume_attachments"


def test_an_attachment_that_heat_has_not_finished_is_taken_off_for_it(bundle: Bundle) -> None:
    cloud = Attached(bundle, "CREATE_FAILED", ("in-use", ["server-a"]))
    cloud.state, cloud.reason = "UPDATE_FAILED", ""
    picture(cloud, bundle).place(instance(), "edge_a")
    assert cloud.acts[0] == f"DELETE {AT_A}/saves"
    assert len(cloud.updates) == 1


def test_an_attachment_that_heat_has_finished_stays(bundle: Bundle) -> None:
    cloud = Attached(bundle, "UPDATE_COMPLETE", ("in-use", ["server-a"]))
    cloud.state = "UPDATE_FAILED"
    picture(cloud, bundle).place(instance(), "edge_a")
    assert cloud.acts == []


def test_a_volume_that_heat_only_believes_to_be_attached_is_attached(bundle: Bundle) -> None:
    cloud = Attached(bundle, "UPDATE_COMPLETE", ("available", []))
    picture(cloud, bundle).place(instance(), "edge_a")
    assert cloud.acts == [f"POST {AT_A}"]
    assert cloud.updates == []


def test_policies_that_a_deleted_stack_left_are_named(tmp_path: Path) -> None:
    source = str(EXAMPLES / "arena-policies.tosca.yaml")
    assert compile_main(["--heat", "zed", "-o", str(tmp_path), source]) == 0
    bundle = bundles.read(next(tmp_path.glob("*.plan.yaml")))
    first = next(step.resource for step in bundle.plan.complete if step.act == "delete-policy")
    names = [f"arena-{first}-abcdefghij12", f"arena-2-{first}-abcdefghij12", f"arena-{first}-by-hand", "other"]

    class Left:
        name = "left"

        def ask(self, service: str, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
            assert method == "GET"
            return {"policies": [{"id": n, "name": n} for n in names]} if path == "/policies" else {}

    assert heat.delete(cast(Cloud, Left()), bundle, "arena") == [f"policy {names[0]} ({names[0]})"]
