"""Asks every gateway whether it answers, all at once, so that one that is silent does not keep the others waiting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event as Flag
from threading import Thread

from meghdwar.driver.control import Driver
from meghdwar.driver.hypervisor import HypervisorError
from meghdwar.driver.instance import Instance

EVERY_S = 30.0
AT_ONCE_MAX = 16
NOBODY = Instance("meghdwar-reach", "", "", "container", "")  # nothing is called that: a quick question


def reach(driver: Driver) -> dict[str, str]:
    """Every gateway that is known, with why it does not answer; "" for one that does."""
    names = [record.name for record in driver.inventory.gateways()]
    with ThreadPoolExecutor(min(AT_ONCE_MAX, max(1, len(names)))) as pool:
        return dict(zip(names, pool.map(lambda name: _asked(driver, name), names), strict=True))


def _asked(driver: Driver, gateway: str) -> str:
    try:
        driver.hypervisor(gateway).look(NOBODY)
    except HypervisorError as error:
        return error.why
    except Exception as error:  # a library's mistake about one gateway says nothing of the others
        return f"{type(error).__name__}: {error}"
    return ""


def keep_asking(
    driver: Driver, tell: Callable[[Mapping[str, bool]], None], end: Flag, every_s: float = EVERY_S
) -> Thread:
    """A thread that tells which gateways answer, now and again until `end`."""

    def ask() -> None:
        while not end.is_set():
            with suppress(Exception):  # the database is away, which the loop tells
                tell({gateway: not why for gateway, why in reach(driver).items()})
            end.wait(every_s)

    thread = Thread(target=ask, name="reach", daemon=True)
    thread.start()
    return thread
