"""What the requests of one process share: the settings, the driver and its database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import Flask, current_app

from meghdwar.api.settings import Settings
from meghdwar.driver.control import Driver

_KEY = "meghdwar"


@dataclass(frozen=True, slots=True)
class Backend:
    settings: Settings
    driver: Driver


def install(app: Flask, backend: Backend) -> None:
    app.extensions[_KEY] = backend


def backend() -> Backend:
    """That of the application that answers the request."""
    return cast(Backend, current_app.extensions[_KEY])
