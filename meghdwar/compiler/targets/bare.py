"""Which groups of servers the cluster manager takes, of those that are as well off in a group of the stack."""

from __future__ import annotations

from dataclasses import replace

from meghdwar.compiler.targets.releases import RELEASES
from meghdwar.compiler.targets.wiring import Wiring
from meghdwar.model import Application, Attribute, Port, Server, ServerScaling, expressions


def settled(application: Application, heat: str) -> Application:
    """The application with those groups in the hands of the cluster manager. It makes servers and nothing else: no
    volumes, no ports of their own, no scripts; and nobody can ask its stack for their attributes."""
    wanted = [element for element in application.each(ServerScaling) if element.cluster_if_bare]
    if not wanted or not RELEASES[heat].senlin:
        return application
    wiring = Wiring.of(application)
    servers = {server.name: server for server in application.each(Server)}
    asked = {e.element for e in expressions(application) if isinstance(e, Attribute)}
    taken = {
        scaling.name
        for scaling in wanted
        if scaling.minimum != scaling.maximum and all(_bare(servers[m], wiring, asked) for m in scaling.members)
    }
    elements = (
        replace(e, clustered=True) if isinstance(e, ServerScaling) and e.name in taken else e
        for e in application.elements
    )
    return replace(application, elements=tuple(elements))


def _bare(server: Server, wiring: Wiring, asked: set[str]) -> bool:
    ports = wiring.ports.get(server.name, [])
    names = {server.name, *(port.name for port in ports)}
    kept = (wiring.attachments, wiring.software, wiring.balancers)
    return (
        server.boot_volume is None
        and names.isdisjoint(asked)
        and names.isdisjoint(wiring.floating)
        and not any(index.get(server.name) for index in kept)
        and all(_plain(port) for port in ports)
    )


def _plain(port: Port) -> bool:
    """A port that a server gets by naming a network."""
    return not port.rules and (port.address, port.mac_address, port.security, port.vnic_type) == (None,) * 4
