"""mdw sight and mdw watch: subscribers are seen somewhere, and their cloudlets follow them."""

from __future__ import annotations

import math
import time
from argparse import Namespace
from typing import Any

from meghdwar.cli.commands.applications import given
from meghdwar.cli.commands.operations import row, sentence, status
from meghdwar.cli.commands.output import dump
from meghdwar.driver.control import Driver, DriverError
from meghdwar.driver.follow import Followed
from meghdwar.driver.mobility import Sighting

DONE, ELSEWHERE = 0, 4


def sight(options: Namespace, driver: Driver) -> int:
    if options.application is not None:
        driver.inventory.application(options.application)
    if options.cell is None and not options.latency:
        raise DriverError("cannot take the sighting in: say --cell C, or --latency GATEWAY=MS ...")
    now = time.time()
    seen = Sighting(options.subscriber, now if options.at is None else options.at, options.cell, latencies(options))
    if not math.isfinite(seen.at) or seen.at < 0:
        raise DriverError(f"cannot take the sighting in: --at {options.at} is no time")
    followed = driver.sight(seen, application=options.application, now=now)
    if not followed:
        raise DriverError("cannot follow anybody: no application that is up has a cloudlet with a mobility policy")
    if options.format == "table":
        for each in followed:
            print(told(driver, each))
    else:
        dump(options, [data(driver, each) for each in followed])
    if any(each.busy for each in followed):
        return ELSEWHERE
    return status([each.operation for each in followed if each.operation is not None])


def latencies(options: Namespace) -> dict[str, float]:
    """GATEWAY=MS as numbers; inf is a gateway that did not answer."""
    found = {}
    for gateway, text in given(options.latency, "latency").items():
        try:
            found[gateway] = float(text)
        except ValueError:
            found[gateway] = math.nan
        if not found[gateway] >= 0:
            raise DriverError(f"cannot read the latency of {gateway}: {text!r} is no number of milliseconds")
    return found


def told(driver: Driver, each: Followed) -> str:
    """What became of a sighting, for people."""
    taken = each.taken
    if each.operation is not None:
        return f"{sentence(row(driver, each.operation))}\n  because {each.operation.reason}"
    if taken.dropped:
        return f"{taken.instance}: the sighting is {taken.dropped}; it was dropped"
    if each.busy:
        return f"{taken.instance}: wanted at {taken.wished.wish.gateway if taken.wished else '-'}, but {each.busy}"
    where = f"it stays at {taken.home}" if taken.home else "it is not built"
    return f"{taken.instance}: {where}" + (f": {taken.note}" if taken.note else "")


def data(driver: Driver, each: Followed) -> dict[str, Any]:
    taken = each.taken
    wish = taken.wished.wish if taken.wished else None
    return {
        "application": taken.application,
        "cloudlet": taken.cloudlet,
        "instance": taken.instance,
        "home": taken.home,
        "dropped": taken.dropped or None,
        "note": taken.note or None,
        "wanted_at": None if wish is None else wish.gateway,
        "because": None if wish is None else wish.reason,
        "busy": each.busy or None,
        "operation": None if each.operation is None else row(driver, each.operation),
    }


def watch(options: Namespace, driver: Driver) -> int:
    raise DriverError("cannot watch yet")
