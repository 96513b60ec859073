"""What a stack says against what its cloud has: nodes, servers and volumes that are not as they should be."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from meghdwar.bundle import Bundle
from meghdwar.driver import heat
from meghdwar.driver.cloud_api import Cloud, CloudError
from meghdwar.driver.fsck import Problem
from meghdwar.driver.senlin import Senlin
from meghdwar.model import Cloudlet, Cluster, Gateway

UNSETTLED = ("attaching", "detaching", "reserved", "error", "error_detaching", "error_attaching")
AGAIN = "the next move or mdw adopt tells it again"

CODES: Mapping[str, str] = {
    "cloud-silent": "the cloud of a stack does not answer: what is so there is not known",
    "stack-missing": "the stack is gone",
    "stack-failed": "the stack's last work failed",
    "stack-disagrees": "the stack says another place than the inventory",
    "node-missing": "a gateway that the stack builds has no node or server",
    "node-sick": "a node of the cluster is not well",
    "policy-unbound": "a policy is not bound to its cluster",
    "volume-elsewhere": "a volume is attached to another server than that of its cloudlet's gateway",
    "volume-unsettled": "a volume is between two states",
}


def detect(
    cloud: Cloud, bundle: Bundle, stack: str, homes: Mapping[str, str], stopped: Collection[str] = ()
) -> list[Problem]:
    """Everything that is not as it should be; `homes` is cloudlet -> gateway, of those that all share. The volumes of
    cloudlets that were `stopped` are attached nowhere."""
    found = heat.find(cloud, stack)
    if found is None:
        why = f"stack {stack} is gone from {cloud.name}"
        advice = f"its volumes are gone with it: mdw down {bundle.name}, and mdw up builds it anew"
        return [Problem("stack-missing", why, advice)]
    problems = []
    if found.failed:
        why = f"stack {stack} is {found.state}: {found.reason}"
        way = (
            AGAIN if found.state == "UPDATE_FAILED" else f"mdw down {bundle.name} takes it away, mdw up builds it anew"
        )
        problems.append(Problem("stack-failed", why, f"see openstack stack failures list {stack}; {way}"))
    problems += _disagreements(found, bundle, homes)
    made = heat.resources(cloud, found.id)
    problems += _clusters(cloud, bundle, made)
    problems += _gateways(cloud, bundle, found.id)
    running = {cloudlet: home for cloudlet, home in homes.items() if cloudlet not in stopped}
    problems += _volumes(cloud, bundle, found.id, made, running)
    return problems


def _disagreements(stack: heat.Found, bundle: Bundle, homes: Mapping[str, str]) -> Iterator[Problem]:
    for cloudlet, home in homes.items():
        parameter = bundle.plan.made.get(cloudlet, {}).get("at")
        told = stack.parameters.get(parameter or "")
        if parameter and told != home:
            why = f"stack {stack.name} says that {cloudlet} is at {told}; it is at {home}"
            yield Problem("stack-disagrees", why, f"{parameter} was changed by hand, or a move ended badly; {AGAIN}")


def _clusters(cloud: Cloud, bundle: Bundle, made: Mapping[str, str]) -> Iterator[Problem]:
    senlin = Senlin(cloud)
    for cluster in bundle.plan.each(Cluster):
        identifier = made.get(bundle.plan.made.get(cluster.name, {}).get("cluster", ""))
        if identifier is None:
            continue
        for node in senlin.nodes(identifier):
            if node["status"] not in ("ACTIVE", "CREATING", "RECOVERING", "UPDATING"):
                why = f"node {node['name']} of {cluster.name} is {node['status']}: {node['status_reason']}"
                yield Problem("node-sick", why, "a health policy heals it; or openstack cluster node recover")
        bound = senlin.ask("GET", f"/clusters/{identifier}/policies")["cluster_policies"]
        steps = [step for step in bundle.plan.complete if step.act == "bind-policy"]
        wanted = {step.resource for step in steps if made.get(str(step.arguments["cluster"])) == identifier}
        for resource in sorted(wanted & set(made)):
            if made[resource] not in {entry["policy_id"] for entry in bound}:
                why = f"policy {resource} is not bound to {cluster.name}"
                yield Problem("policy-unbound", why, "mdw adopt binds it")


def _gateways(cloud: Cloud, bundle: Bundle, stack: str) -> Iterator[Problem]:
    for gateway in bundle.plan.each(Gateway):
        if gateway.stands:
            continue
        try:
            server = heat.server_of(cloud, bundle, stack, gateway.name)
        except CloudError as error:
            yield Problem("node-missing", str(error), "mdw adopt makes what is missing", gateway=gateway.name)
            continue
        asked = f"look at the server of {gateway.name}"
        answer = cloud.ask("compute", "GET", f"/servers/{server}", asked=asked, missing=True)
        status = answer["server"]["status"] if answer else "gone"
        if status != "ACTIVE":
            why = f"server {server} of {gateway.name} is {status}"
            advice = "a health policy makes it anew; without one, mdw down and mdw up"
            yield Problem("node-missing", why, advice, gateway=gateway.name)


def _volumes(
    cloud: Cloud, bundle: Bundle, stack: str, made: Mapping[str, str], homes: Mapping[str, str]
) -> Iterator[Problem]:
    for cloudlet in bundle.plan.each(Cloudlet):
        for mount in cloudlet.state:
            volume = made.get(bundle.plan.made.get(mount.state, {}).get("volume", ""))
            if volume is None or cloudlet.name not in homes:
                continue
            found = cloud.ask("block_storage", "GET", f"/volumes/{volume}", asked=f"look at volume {mount.state}")[
                "volume"
            ]
            if found["status"] in UNSETTLED:
                why = f"volume {mount.state} ({volume}) is {found['status']}"
                yield Problem("volume-unsettled", why, f"see openstack volume show {volume}; then move again")
                continue
            at = {attachment["server_id"] for attachment in found["attachments"]}
            home = homes[cloudlet.name]
            try:
                wanted = {heat.server_of(cloud, bundle, stack, home)}
            except CloudError:
                continue  # told already
            if at != wanted:
                where = ", ".join(sorted(at)) or "no server"
                why = f"volume {mount.state} is attached to {where} and not to the server of {home}"
                yield Problem("volume-elsewhere", why, AGAIN, gateway=home)
