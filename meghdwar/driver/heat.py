"""Stacks: created from a bundle, completed with what their Heat cannot do, updated by moves, deleted with all of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from meghdwar.bundle import Bundle, Step, identity
from meghdwar.driver.cloud_api import Cloud, CloudError, Silent, wait
from meghdwar.driver.hypervisor import HypervisorError
from meghdwar.driver.instance import Instance
from meghdwar.driver.plan import edge_name
from meghdwar.model import Cloudlet, Gateway

IDENTITY = "meghdwar_plan"
GATEWAY = "meghdwar_gateway"  # in the metadata of a node that we made: which gateway it is
TIMEOUT_S = 1800.0
UPDATE_S = 600.0
STILL_S = 60.0  # without an event an update has nobody who works on it: an engine that died never comes back to it
LOOK_S = 1.0  # between two looks at a stack that is worked on
NODES_AT_ONCE = 4
TRIES = 4
Tell = Callable[[str], None]


def _quiet(message: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class Found:
    """A stack as Heat has it. `state` is such as CREATE_COMPLETE."""

    id: str
    name: str
    state: str
    reason: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        return self.state.endswith("_IN_PROGRESS")

    @property
    def failed(self) -> bool:
        return self.state.endswith("_FAILED")

    @property
    def plan(self) -> str | None:
        """The identity of the plan that it was made from, if it is one of ours."""
        return self.outputs.get(IDENTITY)


# looking
def find(cloud: Cloud, name: str, *, outputs: bool = False) -> Found | None:
    """The stack of that name or id, None when there is none. Its outputs only when asked: Heat has to ask half the
    cloud for them."""
    answer = cloud.ask(
        "orchestration",
        "GET",
        f"/stacks/{name}",
        asked=f"look at stack {name}",
        missing=True,
        resolve_outputs=str(outputs),
    )
    if not answer or answer["stack"]["stack_status"] == "DELETE_COMPLETE":
        return None
    stack = answer["stack"]
    told = {entry["output_key"]: entry.get("output_value") for entry in stack.get("outputs") or ()}
    state, reason = stack["stack_status"], stack.get("stack_status_reason") or ""
    return Found(stack["id"], stack["stack_name"], state, reason, stack.get("parameters", {}), told)


def the(cloud: Cloud, name: str, *, outputs: bool = False) -> Found:
    """As `find`; raises CloudError when there is none."""
    found = find(cloud, name, outputs=outputs)
    if found is None:
        raise CloudError(f"cannot find stack {name} in {cloud.name}: see openstack stack list", status=404)
    return found


def resources(cloud: Cloud, stack: str) -> dict[str, str]:
    """Resource -> the id of what it became; without what is not there yet."""
    answer = cloud.ask("orchestration", "GET", f"/stacks/{stack}/resources", asked=f"list what is in stack {stack}")
    return {r["resource_name"]: r["physical_resource_id"] for r in answer["resources"] if r["physical_resource_id"]}


def of_plan(cloud: Cloud, bundle: Bundle) -> list[Found]:
    """The stacks that were made from this plan, whoever made them."""
    wanted = identity(bundle.name, bundle.plan)
    names = [s["id"] for s in cloud.ask("orchestration", "GET", "/stacks", asked="list the stacks")["stacks"]]
    with ThreadPoolExecutor(8) as pool:
        return [
            s
            for s in pool.map(lambda name: find(cloud, name, outputs=True), names)
            if s is not None and s.plan == wanted
        ]


# creating
def create(
    cloud: Cloud,
    bundle: Bundle,
    name: str,
    parameters: Mapping[str, Any] | None = None,
    tell: Tell = _quiet,
    timeout_s: float = TIMEOUT_S,
) -> Found:
    """Creates the stack, waits for it and completes it. Where it is there already, from the same plan, what is missing
    is done; `parameters` are given beside those of the bundle, certificates too."""
    there = find(cloud, name)
    if there is None:
        body = {**_request(bundle, parameters or {}), "stack_name": name, "timeout_mins": max(1, int(timeout_s // 60))}
        body["disable_rollback"] = True
        tell(f"creating stack {name}")
        cloud.ask("orchestration", "POST", "/stacks", body, asked=f"create stack {name}")
    return adopt(cloud, bundle, name, tell, timeout_s)


def _request(bundle: Bundle, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What Heat is sent: the template, the files that it names, the values of its parameters."""
    files = {
        file: data.decode() for file, data in bundle.files.items() if file not in (bundle.template, bundle.environment)
    }
    return {
        "template": bundle.files[bundle.template].decode(),
        "files": files,
        "environment": bundle.files[bundle.environment].decode(),
        "parameters": dict(parameters),
    }


def adopt(cloud: Cloud, bundle: Bundle, name: str, tell: Tell = _quiet, timeout_s: float = TIMEOUT_S) -> Found:
    """Takes over a stack that somebody created from this plan: waits for it, does what its Heat could not."""
    stack = await_stack(cloud, the(cloud, name).id, tell, timeout_s)
    if not stack.failed:
        stack = the(cloud, stack.id, outputs=True)
    if stack.failed:
        advice = f"see openstack stack failures list {name}, mend it, update or delete the stack and try again"
        raise CloudError(f"cannot use stack {name}: it is {stack.state}: {stack.reason}; {advice}")
    if stack.plan is None:
        raise CloudError(f"cannot adopt stack {name}: it has no output {IDENTITY}; it was not made by mdw-compile")
    if stack.plan != identity(bundle.name, bundle.plan):
        raise CloudError(f"cannot adopt stack {name}: it is of another plan; use the plan file that it was made from")
    complete(cloud, bundle, stack.id, tell)
    return the(cloud, stack.id, outputs=True)


def await_stack(
    cloud: Cloud, stack: str, tell: Tell = _quiet, timeout_s: float = TIMEOUT_S, still_s: float | None = None
) -> Found:
    """The stack once nobody works on it any more, telling of its events meanwhile. With `still_s` it is given back as
    it is, still busy, when nothing has happened to it for so long."""
    found = the(cloud, stack)
    if not found.busy:
        return found
    events = _Events(cloud, found.id, tell)
    newest, since = "", time.monotonic()

    def settled() -> bool:
        nonlocal found, newest, since
        found = the(cloud, found.id)
        events.tell()
        if not found.busy or still_s is None:
            return not found.busy
        last = events.newest()
        if last != newest:
            newest, since = last, time.monotonic()
        return time.monotonic() - since > still_s

    wait(settled, f"wait for stack {found.name}, which is {found.state}", timeout_s, longest_s=LOOK_S)
    return found


class _Events:
    """What happens to the resources of a stack, each told once."""

    def __init__(self, cloud: Cloud, stack: str, tell: Tell) -> None:
        self._cloud, self._stack, self._tell = cloud, stack, tell
        self._seen = {event["id"] for event in self._list()} if tell is not _quiet else set()

    def _list(self, **more: Any) -> list[dict[str, Any]]:
        asked, path = f"list the events of stack {self._stack}", f"/stacks/{self._stack}/events"
        query = {"sort_dir": "asc", **more}
        return list(self._cloud.ask("orchestration", "GET", path, asked=asked, missing=True, **query).get("events", ()))

    def newest(self) -> str:
        return next((str(event["id"]) for event in self._list(sort_dir="desc", limit=1)), "")

    def tell(self) -> None:
        if self._tell is _quiet:
            return
        for event in self._list():
            if event["id"] not in self._seen:
                self._seen.add(event["id"])
                reason = event.get("resource_status_reason") or ""
                why = f": {reason}" if event["resource_status"].endswith("FAILED") else ""
                self._tell(f"{event['resource_name']} {event['resource_status']}{why}")


# completing
def complete(cloud: Cloud, bundle: Bundle, stack: str, tell: Tell = _quiet) -> None:
    """Does the plan's steps that come after a stack was created, each only where it is not done already."""
    steps = [step for step in bundle.plan.complete if step.when == "created"]
    made = resources(cloud, stack) if steps else {}
    senlin = Senlin(cloud)
    _bind_policies(senlin, [step for step in steps if step.act == "bind-policy"], made, tell)
    _make_nodes(senlin, [step for step in steps if step.act == "create-node"], made, tell)
    for step in steps:
        if step.act == "set-limits":
            tell(f"{step.resource}: {step.act}")
            senlin.limit(_id(made, step.resource), int(str(step.arguments["min_size"])))


def _bind_policies(senlin: Senlin, steps: Sequence[Step], made: Mapping[str, str], tell: Tell) -> None:
    def bind(step: Step) -> None:
        cluster, policy = _id(made, str(step.arguments["cluster"])), _id(made, step.resource)
        tell(f"{step.resource}: {step.act}")
        _patiently(lambda: senlin.bind(cluster, policy, bool(step.arguments.get("enabled", True))))

    for step in steps:  # a cluster does one thing at a time
        bind(step)


def _make_nodes(senlin: Senlin, steps: Sequence[Step], made: Mapping[str, str], tell: Tell) -> None:
    def make(step: Step) -> None:
        gateway, cluster = str(step.arguments["gateway"]), _id(made, str(step.arguments["cluster"]))
        tell(f"{gateway}: {step.act}")
        name, profile = str(step.arguments["name"]), _id(made, step.resource)
        _patiently(lambda: senlin.make_node(gateway, name, profile, cluster))

    with ThreadPoolExecutor(NODES_AT_ONCE) as pool:
        list(pool.map(make, steps))


def _patiently(work: Callable[[], None]) -> None:
    """Does what looks before it acts once more, when nobody said whether it was done."""
    for attempt in range(1, TRIES + 1):
        try:
            return work()
        except Silent:
            if attempt == TRIES:
                raise
            time.sleep(attempt)
    return None


def _id(made: Mapping[str, str], resource: str) -> str:
    if resource not in made:
        why = f"cannot complete the stack: it has no resource {resource}; was it changed by hand?"
        raise CloudError(why, status=404)
    return made[resource]


class Senlin:
    """What is asked of the cluster service. Each call looks first: what is so already stays."""

    def __init__(self, cloud: Cloud, timeout_s: float = UPDATE_S) -> None:
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
        """The node that is this gateway. A cluster may call it as it likes: what we wrote into it tells."""
        found = [node for node in self.nodes(cluster) if node["metadata"].get(GATEWAY) == gateway]
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


# moving
def server_of(cloud: Cloud, bundle: Bundle, stack: str, gateway: str) -> str:
    """The id of the server that is this gateway. Raises CloudError, of status 404 when there is none now."""
    return _server(cloud, bundle, resources(cloud, stack), gateway)


def _server(cloud: Cloud, bundle: Bundle, made: Mapping[str, str], gateway: str) -> str:
    parts = bundle.plan.made
    part = parts.get(gateway, {})
    if "server" in part:
        return _id(made, part["server"])
    senlin = Senlin(cloud)
    node = None
    if "node" in part:
        asked = f"look at the node of {gateway}"
        node = senlin.ask("GET", f"/nodes/{_id(made, part['node'])}", asked=asked, missing=True).get("node")
    else:
        of = next((n for n, p in parts.items() if "cluster" in p and gateway in _members(bundle, n)), None)
        node = None if of is None else senlin.node_of(_id(made, parts[of]["cluster"]), gateway)
    if node is None or not node["physical_id"]:
        why = f"cannot tell which server {gateway} is: it has no node; complete the stack with mdw adopt"
        raise CloudError(why, status=404)
    return str(node["physical_id"])


def _members(bundle: Bundle, cluster: str) -> tuple[str, ...]:
    return next((tuple(item.gateways) for item in bundle.plan.items if item.name == cluster), ())  # type: ignore[union-attr]


class Picture:
    """The Stack of moves: says in the stack where things are. One update at a time; those that wait become one.

    Safe for the threads of one driver; another driver, or a person, who updates the stack is waited for.
    """

    def __init__(self, cloud: Cloud, bundle: Bundle, stack: str, timeout_s: float = UPDATE_S) -> None:
        self._cloud, self._bundle, self._stack, self._timeout_s = cloud, bundle, stack, timeout_s
        self._waiting: dict[str, str | None] = {}  # instance -> gateway
        self._instances: dict[str, Instance] = {}
        self._note, self._turn = threading.Lock(), threading.Lock()
        self._made: Mapping[str, str] = {}  # resource -> id, as it was looked at last
        self.updates = 0  # that were made, for those who count

    # looking
    def found(self) -> Found:
        return the(self._cloud, self._stack)

    def at(self, instance: Instance) -> str | None:
        """The gateway where the stack says that an instance is."""
        stack = find(self._cloud, self._stack)
        parameter = self._bundle.plan.made.get(instance.cloudlet, {}).get("at", "")
        told = None if stack is None else stack.parameters.get(parameter)
        return _table(told).get(instance.name) if instance.subscriber is not None else told

    def volumes(self, instance: Instance) -> dict[str, str]:
        """Disk -> the id of its volume; nothing when the stack is gone."""
        made, parts = self._resources(), self._bundle.plan.made
        named = {edge_name(instance.name, state): part.get("volume", "") for state, part in parts.items()}
        wanted = {disk.name for disk in instance.disks}
        return {disk: made[volume] for disk, volume in named.items() if disk in wanted and volume in made}

    def volume(self, volume: str) -> Mapping[str, Any] | None:
        """A volume as Cinder has it, None when it is gone."""
        asked, path = f"look at volume {volume}", f"/volumes/{volume}"
        return self._cloud.ask("block_storage", "GET", path, asked=asked, missing=True).get("volume")

    def server(self, gateway: str) -> Mapping[str, Any] | None:
        """The server of a gateway as Nova has it, None when there is none now."""
        try:
            server = self._server_of(gateway)
        except CloudError as error:
            if error.status != 404:
                raise
            return None
        asked, path = f"look at server {server}", f"/servers/{server}"
        return self._cloud.ask("compute", "GET", path, asked=asked, missing=True).get("server")

    def _resources(self) -> Mapping[str, str]:
        if not self._made:
            try:
                self._made = resources(self._cloud, self._stack)
            except CloudError as error:
                if error.status != 404:
                    raise
        return self._made

    def _server_of(self, gateway: str) -> str:
        return _server(self._cloud, self._bundle, self._resources(), gateway)

    # acting
    def settle(self) -> None:
        """When this returns nobody works on the stack, or nobody has for so long that nobody will."""
        if find(self._cloud, self._stack) is not None:
            self._settled()

    def write(self, volume: str, written: Mapping[str, str]) -> None:
        """Puts it into the metadata of a volume, beside what is there."""
        asked, path = f"write on volume {volume}", f"/volumes/{volume}/metadata"
        self._cloud.ask("block_storage", "POST", path, {"metadata": dict(written)}, asked=asked)

    def free(self, volume: str) -> None:
        """When this returns the volume is attached to no server, and nothing is under way."""
        _detach_elsewhere(self._cloud, volume, "", self._timeout_s)

    def place(self, instance: Instance, gateway: str | None) -> None:
        with self._note:
            self._waiting[instance.name] = gateway
            self._instances[instance.name] = instance
        with self._turn:
            with self._note:
                if self._waiting.get(instance.name, _TAKEN) is _TAKEN:
                    return  # whoever had the turn before has told it too
                work = {name: (self._instances[name], at) for name, at in self._waiting.items()}
                self._waiting = {}
            try:
                self._tell(list(work.values()))
            except BaseException as error:
                with self._note:  # the others still have to be told
                    left = {name: at for name, (_, at) in work.items() if name != instance.name}
                    self._waiting = left | self._waiting
                if not isinstance(error, CloudError):
                    raise
                where, asked = f"stack {self._stack}", f"say that {instance.name} is at {gateway or 'no gateway'}"
                raise HypervisorError(where, asked, str(error), retry=error.retry) from None

    def preview(self, instance: Instance, gateway: str | None) -> list[str]:
        """What Heat says that an update would change: one line for each resource that it would touch."""
        wanted = self._parameters([(instance, gateway)], the(self._cloud, self._stack))
        body = {"existing": True, "parameters": wanted}
        path = f"/stacks/{self._named()}/preview"
        asked = f"preview the update of stack {self._stack}"
        changes = self._cloud.ask("orchestration", "PATCH", path, body, asked=asked).get("resource_changes", {})
        return [
            f"{entry['resource_name']} ({entry['resource_type']}) is {kind}"
            for kind in ("updated", "replaced", "added", "deleted")
            for entry in changes.get(kind, ())
        ]

    def _tell(self, work: Sequence[tuple[Instance, str | None]]) -> None:
        """Updates until the stack says it: an update of somebody else in between may have undone it."""
        end, self._made = time.monotonic() + self._timeout_s, {}
        stack = self._settled()
        while True:
            if stack.state in ("CREATE_FAILED", "DELETE_FAILED"):
                advice = f"see openstack stack failures list {stack.name}"
                raise CloudError(f"cannot update stack {stack.name}: it is {stack.state}: {stack.reason}; {advice}")
            wanted = self._parameters(work, stack)
            told = all(same(stack.parameters.get(key), value) for key, value in wanted.items())
            if told and not stack.failed and not stack.busy:
                return self._verify(work)
            if stack.failed or stack.busy:
                self._untangle(work)
            ours = self._update(wanted)
            stack = self._settled()
            if ours and stack.failed:
                raise CloudError(f"cannot update stack {stack.name}: {stack.reason}", retry=True)
            if time.monotonic() > end:
                raise CloudError(f"cannot update stack {stack.name}: somebody else changes it all the time", retry=True)

    def _settled(self) -> Found:
        """The stack once nobody works on it, or nobody has for so long that nobody will."""
        return await_stack(self._cloud, self._stack, timeout_s=self._timeout_s, still_s=STILL_S)

    def _update(self, parameters: Mapping[str, Any]) -> bool:
        """Whether Heat has taken the update: it does not while it works on another."""
        body = {"existing": True, "parameters": parameters, "disable_rollback": True}
        try:
            path, asked = f"/stacks/{self._named()}", f"update stack {self._stack}"
            self._cloud.ask("orchestration", "PATCH", path, body, asked=asked)
        except CloudError as error:
            if error.status != 409:
                raise
            time.sleep(0.5)
            return False
        self.updates += 1
        return True

    def _volumes(self, work: Sequence[tuple[Instance, str | None]]) -> Iterator[tuple[str, str, str]]:
        """Volume, the resource that attaches it, and the server where it shall be."""
        made = self._resources()
        for instance, gateway in work:
            if gateway is None or gateway not in self._built() or instance.subscriber is not None:
                continue
            cloudlet = next(item for item in self._bundle.plan.each(Cloudlet) if item.name == instance.cloudlet)
            parts = [self._bundle.plan.made.get(mount.state, {}) for mount in cloudlet.state]
            for part in parts:
                if part.get("volume") in made and "attachment" in part:
                    server = self._server_of(gateway)
                    yield made[part["volume"]], part["attachment"], server

    def _untangle(self, work: Sequence[tuple[Instance, str | None]]) -> None:
        """After an update that was cut off a volume may still be where it was, or be where it shall be already while
        Heat thinks that it is not. Heat makes an attachment anew that it has not finished, and that succeeds only
        when there is none."""
        path = f"/stacks/{self._stack}/resources"
        answer = self._cloud.ask("orchestration", "GET", path, asked=f"list what is in stack {self._stack}")
        whole = {r["resource_name"] for r in answer["resources"] if r["resource_status"].endswith("_COMPLETE")}
        for volume, attachment, server in self._volumes(work):
            _detach_elsewhere(self._cloud, volume, server if attachment in whole else "", self._timeout_s)

    def _verify(self, work: Sequence[tuple[Instance, str | None]]) -> None:
        """What Heat says is so: a volume that it calls attached, and that is not, is attached."""
        for volume, _, server in self._volumes(work):
            found = self.volume(volume)
            if found is None or server in {entry["server_id"] for entry in found["attachments"]}:
                continue
            _detach_elsewhere(self._cloud, volume, server, self._timeout_s)
            asked = f"attach volume {volume} to server {server}"
            if self._status(volume) == "available":
                body = {"volumeAttachment": {"volumeId": volume}}
                self._cloud.ask("compute", "POST", f"/servers/{server}/os-volume_attachments", body, asked=asked)
                wait(lambda volume=volume: self._status(volume) == "in-use", asked, self._timeout_s)  # type: ignore[misc]

    def _status(self, volume: str) -> str:
        found = self.volume(volume)
        return found["status"] if found else "gone"

    def _named(self) -> str:
        found = the(self._cloud, self._stack)
        return f"{found.name}/{found.id}"

    def _parameters(self, work: Sequence[tuple[Instance, str | None]], stack: Found) -> dict[str, Any]:
        """The parameters of the stack as they shall be."""
        result: dict[str, Any] = {}
        for instance, gateway in work:
            made = self._bundle.plan.made.get(instance.cloudlet, {})
            if "at" in made and instance.subscriber is not None:
                table = result.setdefault(made["at"], _table(stack.parameters.get(made["at"])))
                table.pop(instance.name, None)
                if gateway is not None:
                    table[instance.name] = gateway
            elif "at" in made and gateway is not None:
                result[made["at"]] = gateway
            if "server" in made:
                stands = gateway is None or gateway not in self._built()
                result[made["server"]] = "" if stands or gateway is None else self._server_of(gateway)
        return result

    def _built(self) -> set[str]:
        return {gateway.name for gateway in self._bundle.plan.each(Gateway) if not gateway.stands}


_TAKEN: Any = object()


def _detach_elsewhere(cloud: Cloud, volume: str, server: str, timeout_s: float) -> None:
    """When this returns the volume is attached to that server or to none, and nothing is under way."""
    asked = f"find out where volume {volume} is attached"

    def clear() -> bool:
        found = cloud.ask("block_storage", "GET", f"/volumes/{volume}", asked=asked)["volume"]
        others = [a["server_id"] for a in found["attachments"] if a["server_id"] != server]
        for other in others if found["status"] == "in-use" else ():
            path = f"/servers/{other}/os-volume_attachments/{volume}"
            cloud.ask("compute", "DELETE", path, asked=f"detach volume {volume} from server {other}", missing=True)
        return not others and found["status"] in ("available", "in-use")

    advice = f"see openstack volume show {volume}"
    wait(clear, f"free volume {volume}, which something still attaches or detaches ({advice})", timeout_s)


def _table(value: Any) -> dict[str, Any]:
    import json

    found = json.loads(value) if isinstance(value, str) and value else value
    return dict(found) if isinstance(found, Mapping) else {}


def same(found: Any, wanted: Any) -> bool:
    """Whether a parameter has a value; Heat gives everything back as text."""
    return _table(found) == wanted if isinstance(wanted, Mapping) else str(found) == str(wanted)


def place_all(picture: Picture, bundle: Bundle, instances: Sequence[tuple[Instance, str]]) -> None:
    """Says of every instance where it begins, where the stack cannot know it by itself."""
    told = {item.name for item in bundle.plan.each(Cloudlet) if "server" in bundle.plan.made.get(item.name, {})}
    for instance, gateway in instances:
        if instance.cloudlet in told:
            picture.place(instance, gateway)


# deleting
def delete(cloud: Cloud, bundle: Bundle, name: str, tell: Tell = _quiet, timeout_s: float = TIMEOUT_S) -> list[str]:
    """Deletes the stack and what it would leave behind. What is left all the same, each with a name to look for."""
    stack = find(cloud, name)
    if stack is None:
        return []
    if stack.state != "DELETE_IN_PROGRESS":
        stack = await_stack(cloud, stack.id, tell, timeout_s)
    made = resources(cloud, stack.id)
    policies = [made[s.resource] for s in bundle.plan.complete if s.act == "delete-policy" and s.resource in made]
    for attempt in (1, 2):
        tell(f"deleting stack {name}")
        cloud.ask("orchestration", "DELETE", f"/stacks/{name}/{stack.id}", asked=f"delete stack {name}", missing=True)
        reason = _await_deleted(cloud, stack.id, tell, timeout_s)
        if reason is None:
            break
        if attempt == 2:
            raise CloudError(f"cannot delete stack {name}: {reason}; see openstack stack failures list {name}")
    senlin = Senlin(cloud)
    for policy in policies:
        tell(f"deleting policy {policy}")
        senlin.remove("policies", policy, f"delete policy {policy}")
    return list(_leftovers(cloud, bundle, made))


def _await_deleted(cloud: Cloud, stack: str, tell: Tell, timeout_s: float) -> str | None:
    """None when it is gone, else why not."""
    events, reason = _Events(cloud, stack, tell), None

    def ended() -> bool:
        nonlocal reason
        found = find(cloud, stack)
        if found is None:
            return True
        events.tell()
        reason = found.reason if found.state == "DELETE_FAILED" else None
        return reason is not None

    wait(ended, f"delete stack {stack}", timeout_s)
    return reason


KINDS: Mapping[str, tuple[str, str]] = {  # part of an element in the plan -> where to look for it
    "cluster": ("clustering", "/clusters"),
    "node": ("clustering", "/nodes"),
    "profile": ("clustering", "/profiles"),
    "policy": ("clustering", "/policies"),
    "receiver": ("clustering", "/receivers"),
    "server": ("compute", "/servers"),
    "volume": ("block_storage", "/volumes"),
}


def _leftovers(cloud: Cloud, bundle: Bundle, made: Mapping[str, str]) -> Iterator[str]:
    for element, parts in bundle.plan.made.items():
        for part, resource in parts.items():
            if part not in KINDS or resource not in made:
                continue
            service, path = KINDS[part]
            asked = f"look whether {part} {resource} is gone"
            if cloud.ask(service, "GET", f"{path}/{made[resource]}", asked=asked, missing=True):
                yield f"{part} {made[resource]} of {element}"
