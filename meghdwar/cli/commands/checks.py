"""mdw fsck: what is written down and what is really there are compared, and mended where nobody needs to be asked."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from meghdwar.cli.commands.output import dump
from meghdwar.driver import mend
from meghdwar.driver.control import Driver
from meghdwar.driver.fsck import Problem
from meghdwar.driver.operation import DriverError

SOUND, PROBLEMS = 0, 1


def fsck(options: Namespace, driver: Driver) -> int:
    if options.application is not None:
        driver.inventory.application(options.application)
    if (options.discard or options.adopt) and not options.mend:
        raise DriverError("cannot discard or adopt a copy: that changes things; say --mend as well")
    named = [(mend.adopt, text) for text in options.adopt] + [(mend.discard, text) for text in options.discard]
    copies = [(act, *mend.parse_copy(text)) for act, text in named]
    decided = [f"{instance}@{gateway}: {act(driver, instance, gateway)}" for act, instance, gateway in copies]
    found = mend.problems(driver, options.application)
    mended = [mend.mend(driver, problem) if options.mend else mend.Mended(problem) for problem in found]
    if options.format == "table":
        for line in decided:
            print(line)
        for each in mended:
            print(told(each))
        print(summary(mended))
    else:
        dump(options, {"decided": decided, "problems": [data(each) for each in mended]})
    return PROBLEMS if any(not each.done for each in mended) else SOUND


def told(each: mend.Mended) -> str:
    problem: Problem = each.problem
    head = f"{problem.code}: {problem.message}"
    if each.done:
        return f"{head}\n  mended: {each.done}"
    if each.error and problem.mend is not None:
        return f"{head}\n  not mended: {each.error}"
    return f"{head}\n  {problem.help}"


def summary(mended: list[mend.Mended]) -> str:
    if not mended:
        return "everything is as it should be"
    done = sum(1 for each in mended if each.done)
    able = sum(1 for each in mended if each.problem.mend is not None and not each.done)
    more = f", {done} mended" if done else f", {able} of them mended by mdw fsck --mend" if able else ""
    return f"{len(mended)} problem{'s' if len(mended) > 1 else ''}{more}"


def data(each: mend.Mended) -> dict[str, Any]:
    problem = each.problem
    return {
        "code": problem.code,
        "instance": problem.instance or None,
        "gateway": problem.gateway or None,
        "message": problem.message,
        "help": problem.help,
        "mend": problem.mend,
        "mended": each.done or None,
        "error": each.error if problem.mend is not None else None,
    }
