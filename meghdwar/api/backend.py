"""What the requests of one process share: the settings, the driver, the catalogue, and what goes on behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from flask import Flask, current_app, request

from meghdwar.api import notifications, outbound
from meghdwar.api.kept import Kept
from meghdwar.api.measures import Measures
from meghdwar.api.settings import Settings
from meghdwar.api.workshop import Workshop
from meghdwar.driver.control import Driver
from meghdwar.driver.operation import Operation
from meghdwar.onboard.catalogue import Catalogue

_KEY = "meghdwar"
ENDED_MAX = 2000


@dataclass(frozen=True, slots=True)
class Backend:
    settings: Settings
    driver: Driver
    catalogue: Catalogue
    hosts: outbound.Hosts
    workshop: Workshop
    measures: Measures
    ended: Kept[Operation, dict[str, Any]] = field(default_factory=lambda: Kept(ENDED_MAX))  # how it is shown

    def endpoint(self) -> str:
        """Where we are found, without a slash at the end."""
        return self.settings.endpoint or request.host_url.rstrip("/")

    def close(self) -> None:
        self.workshop.close()


def make(settings: Settings, driver: Driver) -> Backend:
    """Begins what goes on behind the requests. Raises DriverError when the folder of packages cannot be used."""
    catalogue = Catalogue(
        driver.database,
        settings.content,
        trust=settings.trust,
        bytes_max=settings.package_bytes_max,
        body=notifications.body_of(settings.endpoint),
    )
    hosts = outbound.Hosts(settings.hosts, settings.private_hosts)
    return Backend(settings, driver, catalogue, hosts, Workshop(catalogue, hosts, settings), Measures())


def install(app: Flask, backend: Backend) -> None:
    app.extensions[_KEY] = backend


def backend() -> Backend:
    """That of the application that answers the request."""
    return cast(Backend, current_app.extensions[_KEY])
