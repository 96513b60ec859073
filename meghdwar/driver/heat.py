"""Stacks: created from a bundle, completed with what their Heat cannot do, deleted with all of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from meghdwar.bundle import Bundle, Step, identity
from meghdwar.driver.cloud_api import Cloud, CloudError, Silent, wait
from meghdwar.driver.senlin import Senlin

IDENTITY = "meghdwar_plan"
TIMEOUT_S = 1800.0
# between two looks at a stack that is worked on: at first, at most, and how much longer each time
LOOK_S, LOOK_MAX_S, LOOK_GROWS = 0.1, 1.0, 1.02
EVENTS_S = 1.0  # between two looks at its events, when somebody is told of them
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
    updated: str = ""  # when an update of it was begun last, in Heat's own words

    @property
    def path(self) -> str:
        """How Heat is asked for it with one answer; called by its name or id alone it says first where to ask."""
        return f"{self.name}/{self.id}"

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
    """The stack of that name, id or path, None when there is none. Its outputs only when asked: Heat has to ask half
    the cloud for them."""
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
    parameters, updated = stack.get("parameters", {}), stack.get("updated_time") or ""
    return Found(stack["id"], stack["stack_name"], state, reason, parameters, told, updated)


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
    cloud: Cloud,
    stack: str,
    tell: Tell = _quiet,
    timeout_s: float = TIMEOUT_S,
    still_s: float | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Found:
    """The stack once nobody works on it any more, telling of its events meanwhile. With `still_s` it is given back as
    it is, still busy, when nothing has happened to it for so long. `meanwhile` is called after each look at it."""
    found = the(cloud, stack)
    if not found.busy:
        return found
    events = _Events(cloud, found.path, tell)
    newest, since, looked = "", time.monotonic(), 0.0
    pause_s = EVENTS_S if tell is not _quiet or still_s is None else still_s / 10

    def settled() -> bool:
        nonlocal found, newest, since, looked
        found = the(cloud, found.path)
        if not found.busy:
            events.tell()
            return True
        meanwhile()
        if time.monotonic() - looked < pause_s:
            return False
        looked = time.monotonic()
        events.tell()
        last = events.newest() if still_s is not None else ""
        if last != newest:
            newest, since = last, time.monotonic()
        return still_s is not None and time.monotonic() - since > still_s

    asked = f"wait for stack {found.name}, which is {found.state}"
    wait(settled, asked, timeout_s, LOOK_S, LOOK_MAX_S, LOOK_GROWS)
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

    from concurrent.futures import ThreadPoolExecutor  # only here: a move need not wait until it is loaded

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


# which server is which gateway
def server_of(cloud: Cloud, bundle: Bundle, stack: str, gateway: str) -> str:
    """The id of the server that is this gateway. Raises CloudError, of status 404 when there is none now."""
    return server_among(cloud, bundle, resources(cloud, stack), gateway)


def server_among(cloud: Cloud, bundle: Bundle, made: Mapping[str, str], gateway: str) -> str:
    """As `server_of`, with the resources of the stack as they were looked at."""
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
        clusters = [name for name, each in parts.items() if "cluster" in each]
        # what the plan does not name has joined one of them
        of = [name for name in clusters if gateway in _members(bundle, name)] or ([] if part else clusters)
        nodes = (senlin.node_of(_id(made, parts[name]["cluster"]), gateway) for name in of)
        node = next((found for found in nodes if found is not None), None)
    if node is None or not node["physical_id"]:
        why = f"cannot tell which server {gateway} is: it has no node; complete the stack with mdw adopt"
        raise CloudError(why, status=404)
    return str(node["physical_id"])


def _members(bundle: Bundle, cluster: str) -> tuple[str, ...]:
    return next((tuple(item.gateways) for item in bundle.plan.items if item.name == cluster), ())  # type: ignore[union-attr]


# deleting
def leavings(cloud: Cloud, bundle: Bundle, name: str) -> list[str]:
    """The policies that the deletion of the stack would leave behind, by id; none when it is gone."""
    wanted = [step.resource for step in bundle.plan.complete if step.act == "delete-policy"]
    if not wanted or find(cloud, name) is None:
        return []
    made = resources(cloud, name)
    return [made[resource] for resource in wanted if resource in made]


def delete(
    cloud: Cloud,
    bundle: Bundle,
    name: str,
    tell: Tell = _quiet,
    timeout_s: float = TIMEOUT_S,
    noted: Sequence[str] = (),
) -> list[str]:
    """Deletes the stack and what it would leave behind. What is left all the same, each with a name to look for. The
    policies that were `noted` go also when the stack is gone already."""
    stack = find(cloud, name)
    if stack is None:
        _delete_policies(cloud, noted, tell)
        return list(_orphans(cloud, bundle, name))
    if stack.state != "DELETE_IN_PROGRESS":
        stack = await_stack(cloud, stack.id, tell, timeout_s)
    made = resources(cloud, stack.id)
    policies = {*noted, *leavings(cloud, bundle, stack.id)}
    for attempt in (1, 2):
        tell(f"deleting stack {name}")
        cloud.ask("orchestration", "DELETE", f"/stacks/{name}/{stack.id}", asked=f"delete stack {name}", missing=True)
        reason = _await_deleted(cloud, stack.id, tell, timeout_s)
        if reason is None:
            break
        if attempt == 2:
            raise CloudError(f"cannot delete stack {name}: {reason}; see openstack stack failures list {name}")
    _delete_policies(cloud, sorted(policies), tell)
    return list(_leftovers(cloud, bundle, made))


def _delete_policies(cloud: Cloud, policies: Sequence[str], tell: Tell) -> None:
    senlin = Senlin(cloud)
    for policy in policies:
        tell(f"deleting policy {policy}")
        senlin.remove("policies", policy, f"delete policy {policy}")


def _orphans(cloud: Cloud, bundle: Bundle, name: str) -> Iterator[str]:
    """Policies that a stack of that name left behind, where it was deleted and they were not. Heat calls them by the
    stack, the resource and twelve letters by chance; a stack of another name may do so too, so they are only named."""
    resources = sorted(step.resource for step in bundle.plan.complete if step.act == "delete-policy")
    if not resources:
        return
    ours = re.compile(f"{re.escape(name)}-(?:{'|'.join(map(re.escape, resources))})-[a-z0-9]{{12}}")
    for policy in Senlin(cloud).ask("GET", "/policies", asked=f"look for policies of stack {name}")["policies"]:
        if ours.fullmatch(policy["name"]):
            yield f"policy {policy['id']} ({policy['name']})"


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
