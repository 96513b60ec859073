"""mdw plan move and mdw move: what a move would do and cost, and doing it."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

from meghdwar.cli.commands.names import resolve
from meghdwar.cli.commands.operations import told
from meghdwar.cli.commands.output import dump, seconds, show, size
from meghdwar.driver.control import Driver
from meghdwar.driver.preview import Preview


def move(options: Namespace, driver: Driver) -> int:
    instance = resolve(options.instance, (record.instance for record in driver.inventory.instances()))
    operation = driver.move(instance, options.to, strategy=options.strategy, reason=options.reason)
    return told(options, driver, [operation], "")


def plan(options: Namespace, driver: Driver) -> int:
    instance = resolve(options.instance, (record.instance for record in driver.inventory.instances()))
    made = driver.preview(instance, options.to, strategy=options.strategy)
    if options.format != "table":
        dump(options, as_data(made))
        return 0
    operation = made.operation
    print(f"move {operation.instance} from {operation.source} to {operation.target}, {operation.strategy}\n")
    show(
        options,
        [
            {"step": line.step, "does": line.does, "way_back": line.back or "none: it is only finished"}
            for line in made.lines
        ],
    )
    print()
    show(options, [
        {
            "strategy": f"{choice.strategy} (this one)" if choice.chosen else choice.strategy,
            "gap": f"about {seconds(choice.gap_s)}",
            "known_from": f"{choice.moves} move{'s' if choice.moves > 1 else ''}" if choice.moves else "the hypervisor",
            "sent": size(choice.sent_bytes),
            "fits": {None: "-", True: "yes", False: "no"}[choice.fits],
        }
        for choice in made.choices
    ])  # fmt: skip
    print()
    print(f"state: at most {size(made.size_bytes)}")
    limit = "no limit" if made.max_downtime_s is None else f"at most {seconds(made.max_downtime_s)}"
    print(f"downtime that the policy allows: {limit}")
    room = "no limit" if made.capacity is None else f"{made.used} of {made.capacity}"
    print(f"cloudlets at {operation.target}: {room if made.capacity is not None else f'{made.used}, {room}'}")
    print(f"subscribers: {made.routed}")
    if made.stack is not None:
        print(f"the stack: {'; '.join(made.stack) or 'nothing of it would change'}")
    for warning in made.warnings:
        print(f"warning: {warning}")
    print("nothing was changed")
    return 0


def as_data(made: Preview) -> dict[str, object]:
    operation = made.operation
    return {
        "instance": operation.instance,
        "from": operation.source,
        "to": operation.target,
        "strategy": operation.strategy,
        "steps": [{"step": line.step, "does": line.does, "way_back": line.back} for line in made.lines],
        "strategies": [asdict(choice) for choice in made.choices],
        "size_bytes": made.size_bytes,
        "max_downtime_s": made.max_downtime_s,
        "cloudlets_at_target": made.used,
        "capacity_of_target": made.capacity,
        "routed": made.routed,
        "stack": None if made.stack is None else list(made.stack),
        "warnings": list(made.warnings),
    }
