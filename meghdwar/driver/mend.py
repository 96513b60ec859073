"""Looks at the gateways for fsck and mends what it found, each time under a claim and after a second look."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from meghdwar.driver import clusters, drift
from meghdwar.driver import router as routers
from meghdwar.driver.cloud_api import CloudError
from meghdwar.driver.control import Driver
from meghdwar.driver.fsck import FOLLOW, REMOVE, REROUTE, START, Picture, Problem, detect
from meghdwar.driver.hypervisor import Claim, Hypervisor, HypervisorError, Power, Seen, Stale
from meghdwar.driver.instance import Disk, Instance
from meghdwar.driver.inventory import InstanceRecord, Taken
from meghdwar.driver.operation import ENDED, RUNNING, WAITING, Busy, DriverError, Operation

AT_ONCE = 16  # gateways that are looked at together


@dataclass(frozen=True, slots=True)
class Mended:
    """What became of a problem: `done` says what was done, `error` why it was not."""

    problem: Problem
    done: str = ""
    error: str = ""


# looking
def problems(driver: Driver, application: str | None = None) -> list[Problem]:
    """Everything that is not as it should be, of one application or of all. Changes nothing."""
    found = picture(driver, application)
    return [*detect(found), *_of_stacks(driver, found)]


def _of_stacks(driver: Driver, found: Picture) -> Iterator[Problem]:
    """What the stacks of the applications say against what is so; not of those that an operation works on."""
    moving = {operation.instance for operation in found.operations if operation.status not in ENDED} | found.busy
    for record in driver.inventory.applications():
        if record.stack is None or found.application not in (None, record.name):
            continue
        own = [each for each in found.records if each.instance.application == record.name]
        homes = {
            each.instance.cloudlet: each.gateway
            for each in own
            if each.gateway is not None and each.instance.subscriber is None and each.name not in moving
        }
        stack, stopped = driver.stacks.of(record), {each.instance.cloudlet for each in own if each.stopped}
        try:
            cloud = driver.stacks.cloud_of(record)
            yield from drift.detect(cloud, driver.bundle(record), stack.name, homes, stopped)
            yield from (change.problem for change in clusters.changes(driver, record))
        except CloudError as error:
            yield Problem("cloud-silent", str(error), f"see openstack --os-cloud {stack.cloud} stack list")


def picture(driver: Driver, application: str | None = None, gateways: Iterable[str] | None = None) -> Picture:
    """What the database says and what the gateways say. Instances that change meanwhile are marked as busy."""
    before = {record.name: record for record in driver.inventory.instances(application=application)}
    names = sorted(gateways) if gateways is not None else [record.name for record in driver.inventory.gateways()]
    seen, silent = look(driver, names)
    records = list(driver.inventory.instances(application=application))
    after = {record.name: record.epoch for record in records}
    busy = {
        name for name in before.keys() | after.keys() if name not in before or before[name].epoch != after.get(name)
    }
    elsewhere = {
        each.name
        for gateway, found in seen.items()
        for each in found
        if each.writer and each.name in after and before.get(each.name) and before[each.name].gateway != gateway
    }
    return Picture(
        records=records,
        seen=seen,
        operations=_operations(driver, application, elsewhere),
        abandoned=frozenset(operation.id for operation in driver.journal.abandoned()),
        silent=silent,
        routed=_routed(driver, records),
        busy=frozenset(busy),
        application=application,
    )


def look(driver: Driver, gateways: Sequence[str]) -> tuple[dict[str, Sequence[Seen]], dict[str, str]]:
    """What is at each gateway, and of those that do not answer why; all are asked at once."""

    def inventory(gateway: str) -> Sequence[Seen] | str:
        try:
            return driver.hypervisor(gateway).inventory()
        except HypervisorError as error:
            return str(error)

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        answers = dict(zip(gateways, pool.map(inventory, gateways), strict=True))
    seen = {gateway: answer for gateway, answer in answers.items() if not isinstance(answer, str)}
    return seen, {gateway: answer for gateway, answer in answers.items() if isinstance(answer, str)}


def _operations(driver: Driver, application: str | None, instances: Iterable[str]) -> list[Operation]:
    """What is not ended, and everything of these instances; newest first."""
    found = {
        operation.id: operation
        for status in (RUNNING, WAITING)
        for operation in driver.journal.operations(application=application, status=status)
    }
    for instance in instances:
        found |= {operation.id: operation for operation in driver.journal.operations(instance=instance)}
    return sorted(found.values(), key=lambda operation: operation.created_at, reverse=True)


def _routed(driver: Driver, records: Sequence[InstanceRecord]) -> dict[str, str]:
    """Where subscribers are sent, of the instances whose router can tell."""
    made = {record.name: routers.make(record.router) for record in driver.inventory.applications()}
    addresses = {record.access.address: record.name for record in driver.inventory.gateways() if record.access.address}
    found = {}
    for record in records:
        router = made.get(record.instance.application)
        shown = router.shown(record.instance) if router is not None else None
        if shown is not None:
            found[record.name] = addresses.get(shown, shown)
    return found


# mending
def mend(driver: Driver, problem: Problem) -> Mended:
    """Does what the problem says may be done without asking, if it is still so. Raises nothing but JournalError."""
    if problem.mend is None:
        return Mended(problem, error=problem.help)
    if problem.mend == FOLLOW:
        return _follow(driver, problem)
    record = driver.inventory.instance(problem.instance)
    try:
        claim = driver.journal.claim(record.name, driver.owner)
    except Busy as error:
        return Mended(problem, error=str(error))
    try:
        with driver.journal.keep(claim):
            still = detect(_again(driver, record))
            if not any(
                (each.code, each.gateway, each.mend) == (problem.code, problem.gateway, problem.mend) for each in still
            ):
                return Mended(problem, done="it is gone already")
            return Mended(problem, done=ACTS[problem.mend](driver, record, problem.gateway, claim))
    except (HypervisorError, Stale) as error:
        return Mended(problem, error=str(error))
    finally:
        driver.journal.release(claim)


def _follow(driver: Driver, problem: Problem) -> Mended:
    error = ""
    for record in driver.inventory.applications():
        try:
            for change in clusters.changes(driver, record) if record.stack is not None else ():
                if change.problem == problem:
                    return Mended(problem, done=clusters.follow(driver, change))
        except (CloudError, Taken) as found:
            error = str(found)
    return Mended(problem, error=error) if error else Mended(problem, done="it is gone already")


def _again(driver: Driver, record: InstanceRecord) -> Picture:
    """The picture of one instance, taken while it is ours: only its record, so that nothing else is judged."""
    whole = picture(driver, record.instance.application)
    own = driver.inventory.instance(record.name)
    return Picture(
        records=[own],
        seen={gateway: [each for each in found if each.name == record.name] for gateway, found in whole.seen.items()},
        operations=driver.journal.operations(instance=record.name),
        abandoned=whole.abandoned,
        silent=whole.silent,
        routed=whole.routed,
    )


def _start(driver: Driver, record: InstanceRecord, gateway: str, claim: Claim) -> str:
    hypervisor, instance = _hypervisor(driver, record.instance, gateway), record.instance
    hypervisor.hold(instance, claim)
    if hypervisor.look(instance).power is Power.PAUSED:
        hypervisor.resume(instance, claim)
    for disk in instance.disks:
        hypervisor.attach(instance, disk, claim)
    hypervisor.start(instance, claim)
    end = time.monotonic() + instance.ready.within_s
    while not hypervisor.probe(instance):
        if time.monotonic() > end:
            why = f"it was not ready within {instance.ready.within_s:g} s; see why with its own log"
            raise HypervisorError(gateway, f"start {instance.name}", why)
        time.sleep(0.05)
    return f"started at {gateway}"


def _remove(driver: Driver, record: InstanceRecord, gateway: str, claim: Claim) -> str:
    hypervisor = _hypervisor(driver, record.instance, gateway)
    hypervisor.hold(record.instance, claim, writer=False)
    hypervisor.remove(record.instance, claim)
    return f"removed from {gateway}"


def _reroute(driver: Driver, record: InstanceRecord, gateway: str, claim: Claim) -> str:
    application = driver.inventory.application(record.instance.application)
    endpoint = _hypervisor(driver, record.instance, gateway).endpoint(record.instance)
    claim.check()
    address = driver.inventory.gateway(gateway).access.address
    routers.make(application.router).point(record.instance, gateway, address, endpoint)
    return f"subscribers are sent to {gateway}"


ACTS = {START: _start, REMOVE: _remove, REROUTE: _reroute}


def _hypervisor(driver: Driver, instance: Instance, gateway: str) -> Hypervisor:
    applications = {record.name: record for record in driver.inventory.applications()}
    return driver.hypervisor(gateway, applications.get(instance.application))


# what an operator decides
def discard(driver: Driver, instance: str, gateway: str) -> str:
    """Removes a copy that an operator named, whether it may write or not; the one at its home never."""
    driver.inventory.gateway(gateway)
    known = {record.name: record for record in driver.inventory.instances()}
    if instance not in known:
        return _discard_unknown(driver, instance, gateway)
    record = known[instance]
    claim = _claim_alone(driver, record, f"discard {instance}@{gateway}")
    try:
        with driver.journal.keep(claim):
            if driver.inventory.instance(instance).gateway == gateway:
                raise DriverError(
                    f"cannot discard {instance}@{gateway}: that is its home; say where the copy is that counts with "
                    f"mdw fsck --mend --adopt, or take it down: mdw down {record.instance.application}"
                )
            return _remove(driver, record, gateway, claim)
    finally:
        driver.journal.release(claim)


def _discard_unknown(driver: Driver, instance: str, gateway: str) -> str:
    """What no database knows is made known for as long as it takes to remove it, so that nobody else touches it."""
    found = [seen for seen in driver.hypervisor(gateway).inventory() if seen.name == instance]
    if not found:
        raise DriverError(f"cannot discard {instance}@{gateway}: there is no copy of it")
    disks = tuple(Disk(name, 0, "/") for name in found[0].disks)
    stranger = Instance(instance, found[0].application, instance, "container", "", disks=disks)
    record = InstanceRecord(stranger)
    driver.inventory.add_instance(record)
    try:
        claim = _claim_alone(driver, record, f"discard {instance}@{gateway}", above=found[0].epoch)
        try:
            with driver.journal.keep(claim):
                return _remove(driver, record, gateway, claim)
        finally:
            driver.journal.release(claim)
    finally:
        driver.inventory.remove_instance(instance)


def adopt(driver: Driver, instance: str, gateway: str) -> str:
    """From now on the copy at this gateway is the one that counts: no other may write, its home is there, it runs.

    Raises DriverError while a gateway where it may be does not answer: something could still write there.
    """
    record = driver.inventory.instance(instance)
    driver.inventory.gateway(gateway)
    names = {gateway, *driver.wanted(record.instance.application).reach(record.instance.cloudlet)}
    asked = f"adopt {instance}@{gateway}"
    seen, silent = look(driver, sorted(names))
    if silent:
        raise DriverError(f"cannot {asked}: {next(iter(silent))} does not answer, and may have a copy that writes")
    copies = Picture([record], seen).copies(instance)
    here = copies.get(gateway)
    lost = {disk.name for disk in record.instance.disks} - set(here.disks if here else ())
    if here is None or here.power is Power.ABSENT or lost:
        raise DriverError(f"cannot {asked}: there is no whole copy of it")
    claim = _claim_alone(driver, record, asked, above=max(each.epoch for each in copies.values()))
    try:
        with driver.journal.keep(claim):
            for other in sorted(copies.keys() - {gateway}):
                _silence(_hypervisor(driver, record.instance, other), record.instance, copies[other], claim)
            _hypervisor(driver, record.instance, gateway).hold(record.instance, claim, writer=True)
            driver.journal.place(instance, gateway, claim)
            _start(driver, record, gateway, claim)
            _reroute(driver, record, gateway, claim)
    finally:
        driver.journal.release(claim)
    return f"{instance} is at {gateway} now"


def _silence(hypervisor: Hypervisor, instance: Instance, seen: Seen, claim: Claim) -> None:
    hypervisor.hold(instance, claim, writer=False)
    if seen.power in (Power.RUNNING, Power.PAUSED):
        hypervisor.stop(instance, claim)


def _claim_alone(driver: Driver, record: InstanceRecord, asked: str, above: int = 0) -> Claim:
    """A claim with an epoch above that one, of an instance that no operation is working on."""
    open_ = [each for each in driver.journal.operations(instance=record.name) if each.status not in ENDED]
    if open_:
        raise DriverError(
            f"cannot {asked}: {open_[0].id} is not finished; mdw resume {open_[0].id} or mdw rollback {open_[0].id}"
        )
    return driver.journal.claim(record.name, driver.owner, above=above)


def parse_copy(text: str) -> tuple[str, str]:
    """INSTANCE@GATEWAY as the two. Raises DriverError for something else."""
    instance, at, gateway = text.partition("@")
    if not (instance and at and gateway):
        raise DriverError(f"cannot read {text!r}: it has to be INSTANCE@GATEWAY")
    return instance, gateway
