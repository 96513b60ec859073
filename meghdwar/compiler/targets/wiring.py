"""Who belongs to whom among the elements of a data centre, worked out once for an application."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from meghdwar.model import (
    Application,
    Attachment,
    BlockStorage,
    Element,
    FloatingAddress,
    LoadBalancer,
    Placement,
    Port,
    Server,
    ServerScaling,
    Software,
)


@dataclass(slots=True)
class Wiring:
    """Indexes by name of the server, volume or port. `unit` says which scaling an element is built by."""

    ports: dict[str, list[Port]] = field(default_factory=dict)
    attachments: dict[str, list[Attachment]] = field(default_factory=dict)
    holders: dict[str, set[str]] = field(default_factory=dict)  # of a volume: the servers that it is attached to
    software: dict[str, list[Software]] = field(default_factory=dict)
    placements: dict[str, list[Placement]] = field(default_factory=dict)
    floating: dict[str, list[FloatingAddress]] = field(default_factory=dict)  # by port or server
    balancers: dict[str, list[LoadBalancer]] = field(default_factory=dict)
    unit: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, application: Application) -> Wiring:
        self = cls()
        volumes: list[BlockStorage] = []
        boots: dict[str, set[str]] = {}
        for element in application.elements:
            match element:
                case Port(server=str(server)):
                    self.ports.setdefault(server, []).append(element)
                case Attachment(server=server, storage=storage):
                    self.attachments.setdefault(server, []).append(element)
                    self.holders.setdefault(storage, set()).add(server)
                case Software(server=server):
                    self.software.setdefault(server, []).append(element)
                case Placement(members=members):
                    for member in members:
                        self.placements.setdefault(member, []).append(element)
                case FloatingAddress(port=port, server=server):
                    if port or server:
                        self.floating.setdefault(str(port or server), []).append(element)
                case LoadBalancer(members=members):
                    for member in members:
                        self.balancers.setdefault(member, []).append(element)
                case BlockStorage():
                    volumes.append(element)
                case Server(name=name, boot_volume=str(boot)):
                    boots.setdefault(boot, set()).add(name)
        for ports in self.ports.values():
            ports.sort(key=lambda port: port.order if isinstance(port.order, int | float) else 0)
        for scaling in application.each(ServerScaling):
            for member in scaling.members:
                self._enclose(member, self.unit.setdefault(member, scaling.name))
        for volume in volumes:
            servers = self.holders.get(volume.name, set()) | boots.get(volume.name, set())
            units = {self.unit.get(server) for server in servers}
            if len(units) == 1 and (unit := units.pop()) is not None and volume.existing is None:
                self.unit.setdefault(volume.name, unit)
        return self

    def _enclose(self, server: str, unit: str) -> None:
        """What belongs to a server goes where the server goes."""
        inside: list[Element] = [*self.ports.get(server, ()), *self.attachments.get(server, ())]
        inside += self.software.get(server, ())
        for name in (server, *(port.name for port in self.ports.get(server, ()))):
            inside += self.floating.get(name, ())
        for element in inside:
            self.unit.setdefault(element.name, unit)

    def inside(self, unit: str, elements: Mapping[str, Element]) -> Iterator[Element]:
        """The elements that a scaling builds, in the order in which they were written."""
        return (element for name, element in elements.items() if self.unit.get(name) == unit)
