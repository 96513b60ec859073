"""Gateways that the clusters of stacks have gained or lost by themselves: Senlin grows, shrinks and heals them, and the
inventory follows.

What a cluster has made of its own is a gateway by the name of its node. One that left stays known for as long as a plan
names it or a cloudlet has its home there, marked so that nothing is placed there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from meghdwar.bundle import Bundle
from meghdwar.driver import heat
from meghdwar.driver.fsck import FOLLOW, Problem
from meghdwar.driver.hypervisor import Access
from meghdwar.driver.inventory import ApplicationRecord, GatewayRecord, Taken
from meghdwar.driver.plan import Wanted
from meghdwar.driver.senlin import GATEWAY, Senlin
from meghdwar.driver.stacks import NOVA
from meghdwar.model import Cloudlet, Cluster, Gateway

if TYPE_CHECKING:
    from meghdwar.driver.control import Driver

CLUSTER, LEFT = "cluster", "left"  # options of a server of a stack: whose member it became, whose it was
JOINED, GONE = "gateway-joined", "gateway-left"

CODES: Mapping[str, str] = {
    JOINED: "a cluster has a gateway that nobody made known",
    GONE: "a gateway is in its cluster no more",
}


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be followed: `code` is JOINED or GONE. `homes` are the instances whose home it is; `able` says whether
    cloudlets can move there; `known` that it is followed already, and only told."""

    code: str
    gateway: str
    cluster: str
    stack: str
    homes: tuple[str, ...] = ()
    able: bool = True
    known: bool = False

    @property
    def problem(self) -> Problem:
        if self.code == JOINED:
            why = f"{self.gateway} has joined {self.cluster}"
            if not self.able:
                why += "; its stack attaches volumes only to gateways of its plan, so that no cloudlet can move there"
            return Problem(JOINED, why, "mdw fsck --mend makes it known", gateway=self.gateway, mend=FOLLOW)
        why, help_ = (
            f"{self.gateway} has left {self.cluster}",
            "mdw fsck --mend sees to it that nothing is placed there",
        )
        if self.homes:
            why += f", and {', '.join(self.homes)} had its home there: its state is whole, on the volume"
            help_ = f"mdw move {self.homes[0]} --to another gateway; what a plan names mdw adopt makes anew"
        return Problem(GONE, why, help_, gateway=self.gateway, mend=None if self.known else FOLLOW)


# looking
def changes(driver: Driver, record: ApplicationRecord) -> list[Change]:
    """What the clusters of an application's stack have become, against what is known. Nothing while somebody works on
    the stack, and nothing has left before the application was up. Raises CloudError."""
    name = driver.stacks.of(record)
    cloud, bundle = driver.stacks.cloud_of(record), driver.bundle(record)
    stack = heat.find(cloud, name.name)
    if stack is None or stack.busy:
        return []
    made, senlin = heat.resources(cloud, stack.id), Senlin(cloud)
    homes: dict[str, list[str]] = {}
    for instance in driver.inventory.instances(application=record.name):
        if instance.gateway is not None:
            homes.setdefault(instance.gateway, []).append(instance.name)
    found: list[Change] = []
    for cluster in bundle.plan.each(Cluster):
        identifier = made.get(bundle.plan.made.get(cluster.name, {}).get("cluster", ""))
        if identifier is not None:
            members = _members(senlin.nodes(identifier), bundle, made)
            found += _compared(cluster, members, driver.servers(str(name)), homes, _able(bundle, cluster.name))
    return found


def _members(nodes: Sequence[Mapping[str, Any]], bundle: Bundle, made: Mapping[str, str]) -> dict[str, bool]:
    """The gateways that the nodes are, and whether each is one to work with by now."""
    of_plan = {made.get(part["node"]): gateway for gateway, part in bundle.plan.made.items() if "node" in part}
    return {
        of_plan.get(node["id"]) or node["metadata"].get(GATEWAY) or node["name"]: (
            node["status"] == "ACTIVE" and bool(node["physical_id"])
        )
        for node in nodes
    }


def _compared(
    cluster: Cluster,
    members: Mapping[str, bool],
    known: Sequence[GatewayRecord],
    homes: Mapping[str, Sequence[str]],
    able: bool,
) -> Iterator[Change]:
    for each in known:
        options, stack = each.access.options, each.access.endpoint
        if each.name not in cluster.gateways and options.get(CLUSTER) != cluster.name:
            continue
        there, left = tuple(homes.get(each.name, ())), LEFT in options
        if left and members.get(each.name):
            yield Change(JOINED, each.name, cluster.name, stack)
        elif each.name not in members and homes and (there or not left or CLUSTER in options):
            yield Change(GONE, each.name, cluster.name, stack, there, known=left and bool(there))
    if not known:
        return  # what the driver does not work as servers does not become more by servers
    strangers = members.keys() - {each.name for each in known} - set(cluster.gateways)
    for name in sorted(name for name in strangers if members[name]):
        yield Change(JOINED, name, cluster.name, known[0].access.endpoint, able=able)


def _able(bundle: Bundle, cluster: str) -> bool:
    """Whether the stack can be told of a server that its plan does not name."""
    cloudlets = [each.name for each in bundle.plan.each(Cloudlet) if each.cluster == cluster]
    return all("server" in bundle.plan.made.get(name, {}) for name in cloudlets)


# following
def follow(driver: Driver, change: Change) -> str:
    """The inventory knows it; what was done, as a sentence. Raises Taken for a name that something else has."""
    name, inventory = change.gateway, driver.inventory
    known = {each.name: each.access for each in driver.servers(change.stack)}
    if change.code == JOINED:
        options = {} if name in known and CLUSTER not in known[name].options else {CLUSTER: change.cluster}
        access = Access(name, NOVA, change.stack, options=options)
        inventory.add_gateway(GatewayRecord(access), replace=name in known)
        return f"{name} is a gateway of {change.cluster} now"
    if CLUSTER in known[name].options and not change.homes:
        try:
            inventory.remove_gateway(name)
        except Taken:  # something is on its way there
            pass
        else:
            return f"{name} has left {change.cluster} and is forgotten"
    marked = replace(known[name], options={**known[name].options, LEFT: change.cluster})
    inventory.add_gateway(GatewayRecord(marked), replace=True)
    return f"nothing is placed at {name} any more: {change.problem.message}"


# what is wanted
def with_members(asked: Wanted, bundle: Bundle, servers: Sequence[GatewayRecord]) -> Wanted:
    """The same with the gateways that its clusters have become; where nothing may be placed there is no room."""
    left = {each.name for each in servers if LEFT in each.access.options}
    joined = {each.name: each.access.options[CLUSTER] for each in servers if CLUSTER in each.access.options}
    joined = {name: cluster for name, cluster in joined.items() if cluster in asked.clusters}
    if not left and not joined:
        return asked
    gateways, clusters = dict(asked.gateways), dict(asked.clusters)
    for name, of in joined.items():
        cluster = clusters[of]
        kind = next((gateways[each].hypervisor for each in cluster.gateways if not gateways[each].stands), NOVA)
        gateways[name] = Gateway(name, kind, cluster.origin)
        if _able(bundle, of):
            clusters[of] = replace(cluster, gateways=(*cluster.gateways, name))
    for name in left & gateways.keys():
        gateways[name] = replace(gateways[name], capacity=0)
    return replace(asked, gateways=gateways, clusters=clusters)
