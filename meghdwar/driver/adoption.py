"""Takes over a stack that somebody else created from one of our plans, and whatever runs in it already."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from meghdwar import bundle as bundles
from meghdwar.bundle import Bundle
from meghdwar.driver import clusters, heat, mend
from meghdwar.driver.cloud_api import CloudError
from meghdwar.driver.control import Driver
from meghdwar.driver.instance import Instance
from meghdwar.driver.inventory import InstanceRecord
from meghdwar.driver.operation import DriverError, Operation
from meghdwar.driver.plan import parameters_of
from meghdwar.driver.stacks import StackName

OURS = frozenset({"at", "server"})  # parameters that say where a cloudlet is; nobody gives them


def plan_of(driver: Driver, stack: StackName, plans: Sequence[Path]) -> Bundle:
    """The bundle that a stack was made from: one that the driver knows, or one of these plan files. Raises
    DriverError when it is none of them, CloudError when the stack is none of ours."""
    found = _settled(driver, stack)
    if found.plan is None:
        raise CloudError(
            f"cannot adopt stack {stack}: it has no output {heat.IDENTITY}; it was not made from a plan of mdw-compile"
        )
    for record in driver.inventory.applications():
        if record.identity == found.plan:
            return driver.bundle(record)
    for path in plans:
        bundle = bundles.read(path)
        if bundles.identity(bundle.name, bundle.plan) == found.plan:
            return bundle
    looked = f"{', '.join(str(path) for path in plans)} is not it" if plans else "no plan file was found"
    raise DriverError(
        f"cannot adopt stack {stack}: {looked}; give the plan file that it was made from (its identity is {found.plan})"
    )


def _settled(driver: Driver, stack: StackName) -> heat.Found:
    cloud = driver.stacks.cloud(stack.cloud)
    found = heat.await_stack(cloud, heat.the(cloud, stack.name).id, driver.stacks.tell)
    if found.failed:
        advice = f"see openstack stack failures list {stack.name}, mend it or delete it"
        raise CloudError(f"cannot adopt stack {stack}: it is {found.state}: {found.reason}; {advice}")
    return heat.the(cloud, found.id, outputs=True)


def adopt(
    driver: Driver, bundle: Bundle, stack: StackName, *, router: str = "none", images: Path | None = None
) -> list[Operation]:
    """The application is the driver's, its stack complete, every instance where the stack says that it begins; one
    that runs somewhere already stays there. The operations that it took."""
    known = {record.name: record for record in driver.inventory.applications()}
    record = known.get(bundle.name)
    if record is None or record.stack != str(stack):
        given = inputs_of(bundle, _settled(driver, stack).parameters)
        record = driver.record(bundle, router, images, given, stack=stack)
    driver.admit(record)
    driver.make_stack(record)
    for change in clusters.changes(driver, record):
        if not change.known:
            driver.stacks.tell(clusters.follow(driver, change))
    picture, asked = driver.stacks.picture(record, bundle), driver.wanted(record.name)
    done = []
    for instance, host in asked.instances():
        driver.inventory.add_instance(InstanceRecord(instance))
        home, at = driver.inventory.instance(instance.name).gateway, picture.at(instance)
        if home is not None:
            if at != home:  # somebody said something else to the stack
                mend.adopt(driver, instance.name, home)
        elif not _take(driver, instance):
            operation = driver.build(instance, at if at in asked.reach(instance.cloudlet) else host, "mdw adopt")
            done += [] if operation is None else [operation]
    return done


def _take(driver: Driver, instance: Instance) -> bool:
    """Whether it runs somewhere, so that it is ours from now on. What another database has left of it has an epoch,
    and ours goes on above that."""
    asked = driver.wanted(instance.application)
    seen = {gateway: driver.hypervisor(gateway).look(instance) for gateway in asked.reach(instance.cloudlet)}
    writers = [gateway for gateway, each in seen.items() if each.writer]
    if len(writers) > 1:
        raise DriverError(f"cannot adopt {instance.name}: it may write at {' and at '.join(writers)}; see mdw fsck")
    if writers:
        mend.adopt(driver, instance.name, writers[0])
        return True
    above = max((each.epoch for each in seen.values()), default=0)
    if above:
        driver.journal.release(driver.journal.claim(instance.name, driver.owner, above=above))
    return False


def inputs_of(bundle: Bundle, told: Mapping[str, Any]) -> dict[str, object]:
    """The inputs with which a stack was made, where they are not the plan's own. Heat gives every value as text."""
    declared, values = parameters_of(bundle)
    ours = {name for parts in bundle.plan.made.values() for part, name in parts.items() if part in OURS}
    found = {
        name: _typed(told[name], str(entry.get("type", "string")))
        for name, entry in declared.items()
        if name in told and name not in ours and not entry.get("hidden")
    }
    return {name: value for name, value in found.items() if value != values.get(name)}


def _typed(text: Any, kind: str) -> object:
    if not isinstance(text, str):
        return text
    try:
        match kind:
            case "number":
                return float(text) if "." in text else int(text)
            case "boolean":
                return text.strip().lower() in ("true", "1", "yes", "on", "t", "y")
            case "json":
                return json.loads(text)
    except ValueError:
        pass
    return text.split(",") if kind == "comma_delimited_list" else text
