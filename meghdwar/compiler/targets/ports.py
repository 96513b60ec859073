"""Where the ports of servers are, and what may pass them."""

from __future__ import annotations

from meghdwar.compiler.targets.build import Build
from meghdwar.compiler.targets.hot import Data
from meghdwar.model import Port, SecurityRule

NETWORK: list[Data] = [{"custom_constraint": "neutron.network"}]
_WITH_NUMBERS = ("tcp", "udp", "sctp", "udplite", "dccp")
_ETHER_TYPES = {"ipv4": "IPv4", "ipv6": "IPv6"}


def network(element: Port, build: Build) -> Data:
    """The network of a port; one that nothing links to any asks for it when the stack is created."""
    if element.network is not None:
        return build.reference(element.network)
    description = f"The network of the port {element.name}."
    return build.parameter(f"{element.name}_network", description=description, constraints=NETWORK)


def guard(element: Port, build: Build) -> str:
    """The security group of a port that has rules of its own."""
    rules: list[Data] = [_rule(rule, build) for rule in element.rules]
    reason = f"what may pass the port {element.name}"
    name = build.part(element.name, "security")
    return build.stack.resource(name, "OS::Neutron::SecurityGroup", {"rules": rules}, element.origin, reason)


def _rule(rule: SecurityRule, build: Build) -> Data:
    low: Data = None
    high: Data = None
    everything = rule.port_min in (None, 0) and rule.port_max in (None, 65535)
    if rule.protocol in _WITH_NUMBERS and not everything:
        low = build.value(rule.port_min or 1)  # the network refuses 0
        high = 65535 if rule.port_max is None else build.value(rule.port_max)
    return {
        "direction": build.value(rule.direction),
        "ethertype": _ETHER_TYPES.get(str(rule.ether_type), build.value(rule.ether_type)),
        "protocol": build.value(rule.protocol),
        "port_range_min": low,
        "port_range_max": high,
    }
