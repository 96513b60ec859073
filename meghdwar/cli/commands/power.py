"""mdw stop, start and heal: an instance stands still where it is, and runs again."""

from __future__ import annotations

from argparse import Namespace

from meghdwar.cli.commands.names import resolve
from meghdwar.cli.commands.operations import told
from meghdwar.driver.control import Driver


def stop(options: Namespace, driver: Driver) -> int:
    return _power("stop", options, driver)


def start(options: Namespace, driver: Driver) -> int:
    return _power("start", options, driver)


def heal(options: Namespace, driver: Driver) -> int:
    return _power("heal", options, driver)


def _power(kind: str, options: Namespace, driver: Driver) -> int:
    instance = resolve(options.instance, (record.instance for record in driver.inventory.instances()))
    return told(options, driver, [driver.power(kind, instance, options.reason)], "")
