"""What a driver that stays does for a stack by itself: it follows the members of the clusters, and gives the state of
a cloudlet to the server that was made anew in the place of its gateway."""

from __future__ import annotations

from collections.abc import Iterator

from meghdwar.driver import clusters
from meghdwar.driver.control import Driver
from meghdwar.driver.inventory import ApplicationRecord
from meghdwar.driver.operation import ENDED, Busy

ANEW = "its server was made anew"


class Tending:
    """What the loop of a driver does for stacks; see watch.Tends."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def stacks(self) -> list[str]:
        return [record.name for record in self._driver.inventory.applications() if record.stack is not None]

    def tend(self, application: str) -> Iterator[str]:
        record = self._driver.inventory.application(application)
        for change in clusters.changes(self._driver, record):
            if not change.known:
                yield clusters.follow(self._driver, change)
        yield from self._heal(record)

    def _heal(self, record: ApplicationRecord) -> Iterator[str]:
        """Writes down what is to be healed, for whoever works what is left: servers that were made anew, no others."""
        driver, bundle = self._driver, self._driver.bundle(record)
        servers = {each.name: each.access for each in driver.servers(str(record.stack))}
        for each in driver.inventory.instances(application=record.name):
            access, instance = servers.get(each.gateway or ""), each.instance
            if access is None or each.stopped or not driver.stacks.nova(access, record, bundle, []).bereft(instance):
                continue
            if all(last.status in ENDED for last in driver.journal.operations(instance=each.name, limit=1)):
                try:
                    operation = driver.leave(driver.prepared("heal", each.name, ANEW))
                except Busy:
                    continue
                yield f"{each.name} gets its state again at {each.gateway}, whose server was made anew ({operation.id})"
