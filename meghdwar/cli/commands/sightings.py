"""mdw sight: a subscriber was seen somewhere, and what follows is done."""

from __future__ import annotations

import math
import time
from argparse import Namespace
from typing import Any

from meghdwar.cli.commands.applications import given
from meghdwar.cli.commands.operations import row, sentence, status
from meghdwar.cli.commands.output import dump
from meghdwar.driver.control import Driver
from meghdwar.driver.follow import Followed
from meghdwar.driver.mobility import Sighting
from meghdwar.driver.operation import DriverError

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
    noted = each.noted
    if each.operation is not None:
        return f"{sentence(row(driver, each.operation))}\n  because {each.operation.reason}"
    if noted.dropped:
        return f"{noted.instance}: the sighting is {noted.dropped}; it was dropped"
    if each.busy:
        return f"{noted.instance}: wanted at {noted.wished.wish.gateway if noted.wished else '-'}, but {each.busy}"
    where = f"it stays at {noted.home}" if noted.home else "it is not built"
    return f"{noted.instance}: {where}" + (f": {noted.note}" if noted.note else "")


def data(driver: Driver, each: Followed) -> dict[str, Any]:
    noted = each.noted
    wish = noted.wished.wish if noted.wished else None
    return {
        "application": noted.application,
        "cloudlet": noted.cloudlet,
        "instance": noted.instance,
        "home": noted.home,
        "dropped": noted.dropped or None,
        "note": noted.note or None,
        "wanted_at": None if wish is None else wish.gateway,
        "because": None if wish is None else wish.reason,
        "busy": each.busy or None,
        "operation": None if each.operation is None else row(driver, each.operation),
    }
