"""The driver as others see it: applications come up and go down, instances move, what was left unfinished is finished.

Everything that changes an instance is an operation in the journal, worked by the saga. A Driver may be used from
several threads, and several drivers may share one database.
"""

from __future__ import annotations

import json
import logging
import os
import random
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from meghdwar import bundle as bundles
from meghdwar.bundle import Bundle
from meghdwar.driver import clusters, follow
from meghdwar.driver import router as routers
from meghdwar.driver.account import Account, account
from meghdwar.driver.cloud_api import CloudError
from meghdwar.driver.database import Database
from meghdwar.driver.follow import Followed, Noted, Outcome
from meghdwar.driver.gateways import connect
from meghdwar.driver.handoff import STEPS, NoStack, Scene, Stack
from meghdwar.driver.hypervisor import Access, Claim, Hypervisor, HypervisorError, Stale
from meghdwar.driver.instance import Instance
from meghdwar.driver.inventory import DEFAULT_PROJECT, ApplicationRecord, GatewayRecord, InstanceRecord, Taken
from meghdwar.driver.lease import Lease
from meghdwar.driver.logs import about, now_about
from meghdwar.driver.mobility import Sighting
from meghdwar.driver.operation import (
    COMPENSATED,
    COMPLETED,
    ENDED,
    FAILED,
    Busy,
    DriverError,
    Entry,
    Fenced,
    JournalError,
    Operation,
)
from meghdwar.driver.picture import Picture
from meghdwar.driver.plan import Wanted, wanted
from meghdwar.driver.preview import Preview, preview
from meghdwar.driver.saga import Act, can_turn, run, turned
from meghdwar.driver.stacks import NOVA, StackName, Stacks

LOG = logging.getLogger(__name__)
PATIENCE_S = 15.0  # for one step at a gateway that may answer again
PAST_MAX = 200  # moves that a preview, and mdw status, look back at
STRATEGY = "precopy"  # of a cloudlet without a mobility policy


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in an operation: a step began or ended (`entry`), a step says how far it is, or a step is
    tried again after an `error`. A listener that raises stops the work there, as a crash would, and the claim is given
    back."""

    operation: Operation
    entry: Entry | None = None
    message: str = ""
    error: HypervisorError | None = None


Listener = Callable[[Event], None]


class WallClock:
    """The machine's own, which only grows."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Driver:
    """Works applications through one database. `owner` names this driver in leases; it is made up when empty."""

    def __init__(
        self,
        database: Database,
        *,
        owner: str = "",
        patience_s: float = PATIENCE_S,
        listener: Listener = lambda event: None,
        connect: Callable[[Access], Hypervisor] = connect,
        stacks: Stacks | None = None,
    ) -> None:
        self.database = database
        self.journal = database.journal
        self.inventory = database.inventory
        self.owner = owner or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.patience_s = patience_s
        self.listener = listener
        self.stacks = stacks or Stacks()
        self._connect = connect
        self._hypervisors: dict[tuple[str, Path | None], tuple[Access, Hypervisor]] = {}
        self._wanted: dict[tuple[str, str], Wanted] = {}
        self._bundles: dict[str, Bundle] = {}
        self._lock = Lock()

    def close(self) -> None:
        with self._lock:
            for _, hypervisor in self._hypervisors.values():
                hypervisor.close()
            self._hypervisors.clear()

    # gateways
    def hypervisor(self, gateway: str, application: ApplicationRecord | None = None) -> Hypervisor:
        """The hypervisor of a gateway that was made known, with the images of the application."""
        access = self.inventory.gateway(gateway).access
        if access.hypervisor == NOVA:
            return self._server(access)
        if access.images is None and application is not None and application.images:
            access = replace(access, images=Path(application.images))
        key = (gateway, access.images)
        with self._lock:
            known, hypervisor = self._hypervisors.get(key, (None, None))
            if hypervisor is None or known != access:
                hypervisor = self._connect(access)
                self._hypervisors[key] = (access, hypervisor)
            return hypervisor

    def _server(self, access: Access) -> Hypervisor:
        """The gateway that a stack builds; which one, its endpoint says."""
        record = next((each for each in self.inventory.applications() if each.stack == access.endpoint), None)
        if record is None:
            why = f"no application has the stack {access.endpoint}; forget it: mdw gateway remove {access.gateway}"
            raise HypervisorError(access.gateway, "speak to nova", why)
        instances = [each.instance for each in self.inventory.instances(application=record.name)]
        return self.stacks.nova(access, record, self.bundle(record), instances)

    def servers(self, stack: str) -> list[GatewayRecord]:
        """The gateways that are servers of a stack."""
        known = self.inventory.gateways()
        return [each for each in known if (each.access.hypervisor, each.access.endpoint) == (NOVA, stack)]

    # applications
    def wanted(self, application: str) -> Wanted:
        """What the plan of an application that is up asks for."""
        return self.wanted_by(self.inventory.application(application))

    def all_wanted(self, application: str | None = None) -> list[Wanted]:
        """The same of every application that is up, or of the one alone."""
        if application is not None:
            return [self.wanted(application)]
        return [self.wanted_by(record) for record in self.inventory.applications()]

    def wanted_by(self, record: ApplicationRecord) -> Wanted:
        """The same of one that was looked up."""
        key = (record.digest, record.parameters)
        if key not in self._wanted:
            self._wanted[key] = wanted(self.bundle(record), json.loads(record.parameters))
        if record.stack is None:
            return self._wanted[key]
        return clusters.with_members(self._wanted[key], self.bundle(record), self.servers(record.stack))

    def bundle(self, record: ApplicationRecord) -> Bundle:
        """The bundle that an application was brought up from."""
        if record.digest not in self._bundles:
            files = {name: data.encode() for name, data in json.loads(record.plan).items()}
            plan_file = next(name for name in files if name.endswith(".plan.yaml"))
            self._bundles[record.digest] = bundles.from_files(plan_file, files)
        return self._bundles[record.digest]

    def up(
        self,
        bundle: Bundle,
        *,
        router: str = "none",
        images: Path | None = None,
        parameters: Mapping[str, object] | None = None,
        stack: StackName | None = None,
    ) -> list[Operation]:
        """Builds every instance of the application that is not there yet; the operations that it took. With `stack`
        its cloud builds that first, and the gateways that do not stand are the stack's servers.

        Raises DriverError for gateways that nobody made known, when the application is up from another plan, and when
        the cloud cannot take the stack; CloudError when the stack does not come up.
        """
        record = self.record(bundle, router, images, parameters, stack=stack)
        if stack is not None:
            self._same_plan(record)
            self.stack_may_come(record)
        self.admit(record)
        return self.bring_up(record.name, "mdw up")

    def admit(self, record: ApplicationRecord, *, teach: bool = True) -> ApplicationRecord:
        """Makes an application known, when it can be brought up; nothing of it is built. Errors as of `up`. Only with
        `teach` gateways are made known whose plan says where they are."""
        asked = self.wanted_by(record)
        self._same_plan(record)
        if record.stack is not None:
            self._stackable(record.name, asked)
        self._room(asked)
        self._known_gateways(asked, record, teach)
        try:
            self.inventory.add_application(record)
        except Taken:
            self._same_plan(record)
            raise
        self._same_plan(record)  # another driver may have been quicker, with another plan
        return record

    def bring_up(self, application: str, reason: str) -> list[Operation]:
        """Makes the stack of an application that was made known, and every instance, that is not there yet."""
        record = self.inventory.application(application)
        if record.stack is not None:
            self.make_stack(record)
        return [
            operation
            for instance, gateway in self.wanted(application).instances()
            if (operation := self.build(instance, gateway, reason)) is not None
        ]

    def make_stack(self, record: ApplicationRecord) -> None:
        """The stack of an application is there and complete, and what it will leave behind is noted. Raises
        CloudError."""
        self.stacks.make(record, self.bundle(record))
        self._note_leavings(record)

    def _note_leavings(self, record: ApplicationRecord) -> None:
        self.inventory.add_leavings(record.name, self.stacks.leavings(record, self.bundle(record)))

    def stack_may_come(self, record: ApplicationRecord) -> None:
        """Asks the cloud whether it can take the stack of an application; changes nothing. Raises DriverError where it
        cannot be made, or was and is gone, CloudError where the cloud lets nobody in."""
        if record.name not in {each.name for each in self.inventory.applications()}:
            self.stacks.refuse(record, self.bundle(record))
        elif any(each.gateway for each in self.inventory.instances(application=record.name)):
            self.stacks.usable(record, self.bundle(record))

    def _stackable(self, application: str, asked: Wanted) -> None:
        """Raises DriverError for what a server that a stack builds cannot have."""
        for name, cloudlet in asked.cloudlets.items():
            built = [gateway for gateway in asked.reach(name) if not asked.gateways[gateway].stands]
            built = [gateway for gateway in built if self._known(gateway) in (None, NOVA)]
            files = {mount.state for mount in cloudlet.state} & set(asked.files)
            if built and (cloudlet.instances != "shared" or files):
                what = "runs once for each subscriber" if cloudlet.instances != "shared" else "keeps state files"
                raise DriverError(
                    f"cannot bring {application} up: {name} {what}, and {built[0]} is a server that the stack builds, "
                    "with one volume for all; use gateways that stand, or make it known once it does: mdw gateway add"
                )

    def _known(self, gateway: str) -> str | None:
        """The hypervisor of a gateway that was made known."""
        return next((each.access.hypervisor for each in self.inventory.gateways() if each.name == gateway), None)

    def record(
        self,
        bundle: Bundle,
        router: str = "none",
        images: Path | None = None,
        parameters: Mapping[str, object] | None = None,
        *,
        project: str = DEFAULT_PROJECT,
        title: str = "",
        stack: StackName | None = None,
    ) -> ApplicationRecord:
        """What is remembered of an application that comes from this bundle. Raises DriverError for a bad router."""
        try:
            routers.make(router)
        except ValueError as error:
            raise DriverError(str(error)) from None
        files = {name: data.decode() for name, data in bundles.to_files(bundle).items()}
        return ApplicationRecord(
            name=bundle.name,
            digest=bundle.digest,
            identity=bundles.identity(bundle.name, bundle.plan),
            plan=json.dumps(files),
            router=router,
            images=None if images is None else str(images.absolute()),
            parameters=json.dumps(dict(parameters or {}), sort_keys=True),
            stack=None if stack is None else str(stack),
            project=project,
            title=title,
        )

    def _same_plan(self, record: ApplicationRecord) -> None:
        for there in self.inventory.applications():
            if there.name != record.name or there == record:
                continue
            if there.stack != record.stack:
                why = f"it is up with {f'the stack {there.stack}' if there.stack else 'no stack'}"
            elif (there.digest, there.parameters) == (record.digest, record.parameters):
                why = f"it is up with --router {there.router} and the images of {there.images or 'its gateways'}"
            else:
                why = f"it is up from another plan ({there.digest[:19]}, not {record.digest[:19]}) or with other inputs"
            raise DriverError(
                f"cannot bring {record.name} up: {why}; bring it up as it is, or take it down first: "
                f"mdw down {record.name}"
            )

    def _room(self, asked: Wanted) -> None:
        """Raises DriverError when a gateway is too small for what starts there."""
        there = {record.name for record in self.inventory.instances(application=asked.application) if record.gateway}
        coming = Counter(gateway for instance, gateway in asked.instances() if instance.name not in there)
        for gateway, count in coming.items():
            capacity = asked.gateways[gateway].capacity
            if capacity is not None and self.inventory.count_at(gateway) + count > capacity:
                raise DriverError(
                    f"cannot bring {asked.application} up: {gateway} takes {capacity} cloudlets, and it would have "
                    f"{self.inventory.count_at(gateway) + count}"
                )

    def _known_gateways(self, asked: Wanted, record: ApplicationRecord, teach: bool) -> None:
        """Makes those known whose plan says where they are, or that the stack builds; raises DriverError for the
        others."""
        known = {each.name: each.access for each in self.inventory.gateways()}
        stack, new, missing = record.stack, [], []
        for name in {name for cloudlet in asked.cloudlets for name in asked.reach(cloudlet)}:
            gateway = asked.gateways[name]
            if name in known and known[name].hypervisor == NOVA:
                if known[name].endpoint != stack:
                    raise DriverError(
                        f"cannot bring {asked.application} up: {name} is known already as a gateway of "
                        f"{self._stack_seen_by(record.project, known[name].endpoint)}; give it another name in the "
                        "descriptor, or take that one down"
                    )
            elif name in known:
                if known[name].hypervisor != gateway.hypervisor:
                    raise DriverError(
                        f"cannot bring {asked.application} up: {name} was made known as {known[name].hypervisor}, "
                        f"and the plan says {gateway.hypervisor}"
                    )
            elif gateway.endpoint is not None and teach:
                certificate = None if gateway.certificate is None else str(gateway.certificate)
                endpoint = _own_folder(gateway.name, str(gateway.endpoint))
                new.append(Access(name, gateway.hypervisor, endpoint, certificate))
            elif stack is not None and gateway.endpoint is None:
                new.append(Access(name, NOVA, stack))
            else:
                missing.append(f"mdw gateway add {name} --hypervisor {gateway.hypervisor} --endpoint ...")
        if missing:
            raise DriverError(
                f"cannot bring {asked.application} up: nobody knows where its gateways are; have the stack build "
                f"them (--cloud), or make them known: {'; '.join(sorted(missing))}"
            )
        for access in new:
            self.inventory.add_gateway(GatewayRecord(access))

    def _stack_seen_by(self, project: str, stack: str) -> str:
        """What may be said to a project of a stack."""
        owners = {each.project for each in self.inventory.applications() if each.stack == stack}
        return f"the stack {stack}" if owners <= {project} else "a stack of another project"

    def down(self, application: str) -> list[Operation]:
        """Terminates every instance, deletes the stack and forgets the application; the operations that it took. What
        could not be finished stays, and the next `down` goes on with it. Raises CloudError when the stack cannot be
        deleted, and when something of it is left, which it names."""
        record = self.inventory.application(application)
        if record.stack is not None and self.stacks.found(record) is None:
            self._give_up_servers(application)
        done = [self._terminate(record) for record in self.inventory.instances(application=application)]
        operations = [operation for operation in done if operation is not None]
        if all(operation.status in ENDED for operation in operations):
            left = self._delete_stack(record) if record.stack is not None else []
            self._forget(record)
            if left:
                raise CloudError(
                    f"cannot take all of {record.stack} away: {', '.join(left)} are left and have to be deleted by "
                    f"hand; {application} itself is down"
                )
        return operations

    def _delete_stack(self, record: ApplicationRecord) -> list[str]:
        """What is left of it. What Heat forgets is noted first: whoever goes on with this finds it by that."""
        self._note_leavings(record)
        return self.stacks.delete(record, self.bundle(record), self.inventory.leavings(record.name))

    def _give_up_servers(self, application: str) -> None:
        """Ends what was begun at servers of a stack that is gone: there is nothing to go on with, or back to."""
        for record in self.inventory.instances(application=application):
            open_ = self._unended(record.name)
            places = [] if open_ is None else [place for place in (open_.source, open_.target) if place is not None]
            if open_ is not None and all(self._known(place) == NOVA for place in places):
                _, claim = self.journal.resume(open_.id, self.owner)
                last = _last_begun(self.journal.entries(open_.id)) or STEPS[open_.kind][0].name
                gone = Entry(last, FAILED, {"error": "the stack is gone"}, claim.epoch)
                self.journal.end(open_.id, COMPENSATED, [gone], claim)

    def _forget(self, record: ApplicationRecord) -> None:
        for instance in self.inventory.instances(application=record.name):
            self.inventory.remove_instance(instance.name)
        for gateway in self.inventory.gateways():
            if record.stack is not None and gateway.access.endpoint == record.stack:
                self.inventory.remove_gateway(gateway.name)
        self.inventory.remove_application(record.name)

    # operations
    def build(self, instance: Instance, gateway: str, reason: str) -> Operation | None:
        """Builds an instance at a gateway, unless it has a home already."""
        self.inventory.add_instance(InstanceRecord(instance))  # one that is there stays as it is
        if self.inventory.instance(instance.name).gateway is not None:
            return None
        open_ = self._unended(instance.name)
        if open_ is not None:
            return self._finish(open_.id)
        return self._begin(Operation("", "build", instance.application, instance.name, target=gateway, reason=reason))

    def prepared_build(self, instance: Instance, gateway: str, reason: str) -> Operation:
        """The build that `build` would make, checked against everything that is known; nothing is changed."""
        asked = self.wanted(instance.application)
        reach = asked.reach(instance.cloudlet)
        there = self.inventory.find_instance(instance.name)
        self.inventory.gateway(gateway)
        if there is not None and there.gateway is not None:
            raise DriverError(f"cannot build {instance.name}: it is at {there.gateway} already")
        if gateway not in reach:
            raise DriverError(f"cannot build {instance.name} at {gateway}: its cluster has {', '.join(reach)}")
        self._place_for(f"build {instance.name} at {gateway}", asked, gateway)
        return Operation("", "build", instance.application, instance.name, target=gateway, reason=reason)

    def prepared(self, kind: str, instance: str, reason: str) -> Operation:
        """A stop, start, heal or terminate of an instance at its home, checked; nothing is changed."""
        record = self.inventory.instance(instance)
        if record.gateway is None:
            raise DriverError(f"cannot {kind} {instance}: it is nowhere; build it first")
        if kind == "start" and not record.stopped:
            raise DriverError(f"cannot start {instance}: nobody stopped it; when it does not serve, heal it")
        return Operation("", kind, record.instance.application, instance, source=record.gateway, reason=reason)

    def power(self, kind: str, instance: str, reason: str = "") -> Operation:
        """Stops an instance at its home, starts it again, or heals it: ends whatever runs of it, and starts it."""
        return self._begin(self.prepared(kind, instance, reason or f"mdw {kind}"))

    def leave(self, operation: Operation, *, expected: int | None = None) -> Operation:
        """Writes an operation down for whoever works what is left (see `abandoned`), and comes back at once.

        Raises Busy when the instance is claimed, or Changed when its epoch is not the `expected` one.
        """
        operation, claim = self.journal.begin(operation, self.owner, expected=expected)
        self.journal.release(claim)
        return operation

    def _terminate(self, record: InstanceRecord) -> Operation | None:
        open_ = self._unended(record.name)
        if open_ is not None:
            ended = self._finish(open_.id)
            if ended.status not in ENDED or ended.kind == "terminate":
                return ended
        home = self.inventory.instance(record.name).gateway
        if home is None:
            return None
        return self._begin(
            Operation(
                "",
                "terminate",
                record.instance.application,
                record.name,
                source=home,
                reason="mdw down",
            )
        )

    def move(
        self, instance: str, target: str, *, strategy: str = "", reason: str = "", fenced: Fenced | None = None
    ) -> Operation:
        """Moves an instance to a gateway. Raises DriverError when it cannot go there, Busy when it is claimed."""
        operation = self.prepared_move(instance, target, strategy=strategy, reason=reason)
        return self._begin(replace(operation, fenced=fenced))

    def prepared_move(self, instance: str, target: str, *, strategy: str = "", reason: str = "") -> Operation:
        """The move that `move` would make, checked against everything that is known; nothing is changed."""
        record = self.inventory.instance(instance)
        asked = self.wanted(record.instance.application)
        reach = asked.reach(record.instance.cloudlet)
        self.inventory.gateway(target)
        if record.gateway is None:
            raise DriverError(f"cannot move {instance}: it is nowhere; see mdw status")
        if target == record.gateway:
            raise DriverError(f"cannot move {instance} to {target}: it is there already")
        if target not in reach:
            raise DriverError(f"cannot move {instance} to {target}: its cluster has {', '.join(reach)}")
        if record.stopped:
            raise DriverError(f"cannot move {instance}: it is stopped; start it first")
        self._place_for(f"move {instance} to {target}", asked, target)
        application = self.inventory.application(record.instance.application)
        if application.stack is not None:
            self.stacks.usable(application, self.bundle(application))
        rule = asked.mobility.get(record.instance.cloudlet)
        strategy = strategy or (rule.strategy if rule else STRATEGY)
        both = [self.hypervisor(gateway).capabilities for gateway in (record.gateway, target)]
        if both[0].shared != both[1].shared and record.instance.disks:
            server, other = (record.gateway, target) if both[0].shared else (target, record.gateway)
            raise DriverError(
                f"cannot move {instance} to {target}: {server} is a server of a stack and {other} is none; a volume of "
                "the cloud stays in the cloud"
            )
        for gateway, able in zip((record.gateway, target), both, strict=True):
            if strategy not in able.strategies:
                raise DriverError(
                    f"cannot move {instance} with {strategy}: {gateway} ({able.kind}) moves with "
                    f"{', '.join(able.strategies)}"
                )
        return Operation(
            "",
            "move",
            record.instance.application,
            instance,
            source=record.gateway,
            target=target,
            strategy=strategy,
            reason=reason or "mdw move",
        )

    def _place_for(self, act: str, asked: Wanted, gateway: str) -> None:
        if cluster := self.inventory.gateway(gateway).access.options.get(clusters.LEFT):
            raise DriverError(f"cannot {act}: it has left {cluster}; mdw adopt makes anew what the plan names")
        capacity = asked.gateways[gateway].capacity
        if capacity is not None and self.inventory.count_at(gateway) >= capacity:
            raise DriverError(f"cannot {act}: it is full ({capacity} cloudlets)")

    def preview(self, instance: str, target: str, *, strategy: str = "") -> Preview:
        """What such a move would do and cost; nothing is changed."""
        operation = self.prepared_move(instance, target, strategy=strategy)
        record = self.inventory.instance(instance)
        application = self.inventory.application(operation.application)
        asked = self.wanted_by(application)
        rule = asked.mobility.get(record.instance.cloudlet)
        able = [self.hypervisor(name, application).capabilities for name in (record.gateway or "", target)]
        return preview(
            operation,
            record.instance,
            (able[0], able[1]),
            self._past_moves(record.instance, target),
            steps=[step.name for step in STEPS["move"]],
            max_downtime_s=rule.max_downtime_s if rule else None,
            used=self.inventory.count_at(target),
            capacity=asked.gateways[target].capacity,
            routed=routers.said(application.router, record.instance, target),
            stack=None if application.stack is None else self._picture(application).preview(record.instance, target),
        )

    def _past_moves(self, instance: Instance, target: str) -> dict[str, list[Account]]:
        """The last moves of the same cloudlet that were completed, by strategy: those to the same gateway, where there
        were any, for it may be quicker or slower than others."""
        found: dict[str, list[Operation]] = {}
        cloudlets = {r.name: r.instance.cloudlet for r in self.inventory.instances(application=instance.application)}
        done = self.journal.operations(application=instance.application, kind="move", status=COMPLETED, limit=PAST_MAX)
        for operation in done:
            if cloudlets.get(operation.instance) == instance.cloudlet and operation.fenced is None:
                found.setdefault(operation.strategy, []).append(operation)
        there = {strategy: [each for each in moves if each.target == target] for strategy, moves in found.items()}
        return {
            strategy: [account(self.journal.entries(each.id)) for each in there[strategy] or moves]
            for strategy, moves in found.items()
        }

    def sight(self, sighting: Sighting, *, application: str | None = None, now: float | None = None) -> list[Followed]:
        """Takes a sighting in, and does what follows from it, one cloudlet after the other. A subscriber's sightings
        have to come here one at a time; late and repeated ones are dropped."""
        return [self.act(noted) for noted in self.take_in(sighting, application=application, now=now)]

    def take_in(
        self,
        sighting: Sighting,
        *,
        application: str | None = None,
        now: float | None = None,
        together: bool = True,
    ) -> list[Noted]:
        """The first half of `sight`, which is quick: what is wished for."""
        [outcome] = self.take_in_all([sighting], application=application, now=now, together=together)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def take_in_all(
        self,
        sightings: Sequence[Sighting],
        *,
        application: str | None = None,
        now: float | None = None,
        together: bool = True,
    ) -> list[Outcome]:
        """The same of several in their order, with one commit for all of them; what became of each."""
        return follow.take_in(self, sightings, application=application, now=now, together=together)

    def act(self, noted: Noted) -> Followed:
        """The second half, which takes as long as a move. What somebody else is working on is left to them."""
        return follow.act(self, noted)

    def ripe(
        self,
        now: float,
        *,
        application: str | None = None,
        subscribers: Collection[str] | None = None,
        ours: follow.Ours = lambda instance, ripe_at: True,
    ) -> list[Noted]:
        """What is wished for by now without a further sighting, by the clock of the sightings; of all subscribers, or
        of these, and of the instances that are ours."""
        return follow.ripe(self, now, application=application, subscribers=subscribers, ours=ours)

    def resume(self, operation_id: str, *, fenced: Fenced | None = None) -> Operation:
        """Goes on with an operation that is not ended. With `fenced` its source counts as dead."""
        if fenced is not None:
            return self._work(*self._fence(operation_id, fenced))
        return self._work(*self._take_up(operation_id))

    def fence(self, operation_id: str, fenced: Fenced) -> Operation:
        """From now on its source counts as dead; going on is left to whoever works what is left."""
        operation, claim = self._fence(operation_id, fenced)
        self.journal.release(claim)
        return operation

    def _fence(self, operation_id: str, fenced: Fenced) -> tuple[Operation, Lease]:
        operation, claim = self._take_up(operation_id)
        if operation.source is None:
            self.journal.release(claim)
            raise DriverError(f"cannot go on without the source of {operation_id}: a build has none")
        self.journal.fence(operation_id, fenced, claim)
        return replace(operation, fenced=fenced), claim

    def rollback(
        self, operation_id: str, *, by: str = "", because: str = "", fenced: Fenced | None = None
    ) -> Operation:
        """Undoes what an operation did that is not ended. Raises DriverError past its point of no return. With
        `fenced` its target counts as dead."""
        return self._work(*self._turn(operation_id, by, because, fenced))

    def turn(self, operation_id: str, *, by: str, because: str, fenced: Fenced | None = None) -> Operation:
        """As `rollback`, but the undoing is left to whoever works what is left."""
        operation, claim = self._turn(operation_id, by, because, fenced)
        self.journal.release(claim)
        return operation

    def _turn(self, operation_id: str, by: str, because: str, fenced: Fenced | None) -> tuple[Operation, Lease]:
        operation, claim = self._take_up(operation_id)
        steps, entries = STEPS[operation.kind], self.journal.entries(operation_id)
        if not can_turn(steps, entries):
            self.journal.release(claim)
            raise DriverError(
                f"cannot roll {operation_id} back: it is past {_last_begun(entries)}, and subscribers are at "
                f"{operation.target} by now; it can only be finished: mdw resume {operation_id}"
            )
        if fenced is not None:
            fenced = replace(fenced, gateway=operation.target or "")
            self.journal.fence(operation_id, fenced, claim)
            operation = replace(operation, fenced=fenced)
        if fenced is not None or not turned(entries):
            step = _last_begun(entries) or steps[0].name
            self.journal.write(operation_id, [Entry(step, FAILED, {"error": f"rolled back by {by}: {because}"})], claim)
        return operation, claim

    def abandoned(self) -> list[Operation]:
        """Everything that is not ended and that nobody works on, oldest first."""
        return self.journal.abandoned()

    def resume_abandoned(self) -> list[Operation]:
        """Goes on with everything that nobody works on: their drivers died, or they were left waiting."""
        done = []
        for operation in self.journal.abandoned():
            try:
                done.append(self._finish(operation.id))
            except (Busy, Stale):
                continue  # another driver was quicker
        return done

    def _finish(self, operation_id: str) -> Operation:
        """As `resume`, of what was not ended when we looked; where another driver was quicker, as that left it."""
        try:
            return self.resume(operation_id)
        except (DriverError, JournalError):
            found = self.journal.operation(operation_id)
            if found.status not in ENDED:
                raise
            return found

    def _take_up(self, operation_id: str) -> tuple[Operation, Lease]:
        operation = self.journal.operation(operation_id)
        if operation.status in ENDED:
            raise DriverError(f"cannot go on with {operation_id}: it has ended, {operation.status}")
        return self.journal.resume(operation_id, self.owner)

    def _begin(self, operation: Operation) -> Operation:
        """The journal gives it its id. A gateway that cannot be spoken to at all is found out before."""
        application = self.inventory.application(operation.application)
        self._stack(application, operation)
        for gateway in (operation.source, operation.target):
            if gateway is not None:
                self.hypervisor(gateway, application)
        operation, claim = self.journal.begin(operation, self.owner)
        return self._work(operation, claim)

    def _work(self, operation: Operation, claim: Lease) -> Operation:
        """Works it to its end, or until it cannot go on. Whoever interrupts us finds it free to be taken up."""
        told = about(operation=operation.id, instance=operation.instance, epoch=claim.epoch)
        with told, self._given_back(claim), self.journal.keep(claim):
            self.listener(Event(operation, message="begins"))
            try:
                scene = self._scene(operation, claim)
            except HypervisorError as error:  # a gateway cannot be spoken to from here, whatever it is
                self.journal.wait(operation.id, str(error), claim)
            else:
                self._run(operation, scene, claim)
            ended = self.journal.operation(operation.id)
            LOG.info("%s %s%s", ended.kind, ended.status, f": {ended.error}" if ended.error else "")
        if ended.kind == "terminate" and ended.status == COMPLETED:
            with suppress(Taken):  # it is being built again
                self.inventory.remove_instance(ended.instance)
        self.listener(Event(ended))
        return ended

    def _run(self, operation: Operation, scene: Scene, claim: Lease) -> None:
        def tell(entry: Entry) -> None:
            now_about(step=entry.step)
            LOG.log(logging.WARNING if entry.phase == FAILED else logging.INFO, "%s%s", entry.phase, _why(entry))
            self.listener(Event(operation, entry))

        run(operation.id, STEPS[operation.kind], scene, self.journal, claim, self._again(operation, claim), tell)

    @contextmanager
    def _given_back(self, claim: Lease) -> Iterator[None]:
        """Gives a claim back when anything is raised, so that others need not wait until the lease runs out."""
        try:
            yield
        except Stale:
            raise  # it is somebody else's
        except BaseException:
            with suppress(JournalError):  # it runs out by itself
                self.journal.release(claim)
            raise

    def _scene(self, operation: Operation, claim: Claim) -> Scene:
        application = self.inventory.application(operation.application)
        record = self.inventory.instance(operation.instance)

        def hypervisor(gateway: str | None) -> Hypervisor | None:
            return None if gateway is None else self.hypervisor(gateway, application)

        return Scene(
            operation=operation,
            instance=record.instance,
            source=hypervisor(operation.source),
            target=hypervisor(operation.target),
            address=None if operation.target is None else self.inventory.gateway(operation.target).access.address,
            router=routers.make(application.router),
            stack=self._stack(application, operation),
            journal=self.journal,
            claim=claim,
            clock=WallClock(),
            note=lambda message: self.listener(Event(operation, message=message)),
        )

    def _stack(self, application: ApplicationRecord, operation: Operation) -> Stack:
        """A terminate tells no stack, which goes with the application."""
        return NoStack() if application.stack is None or operation.kind == "terminate" else self._picture(application)

    def _picture(self, application: ApplicationRecord) -> Picture:
        return self.stacks.picture(application, self.bundle(application))

    def _again(self, operation: Operation, claim: Claim) -> Callable[[Act[Scene], HypervisorError, int], bool]:
        """Patience with a gateway: a step is tried again for a while, more and more rarely."""
        since: dict[tuple[str, str], float] = {}

        def again(act: Act[Scene], error: HypervisorError, tries: int) -> bool:
            claim.check()
            first = since.setdefault((act.step.name, act.phase), time.monotonic())
            wait_s = min(0.05 * 2**tries, 2.0) * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
            if time.monotonic() + wait_s > first + self.patience_s:
                return False
            LOG.warning("tried again: %s", error)
            self.listener(Event(operation, message=f"{act.step.name} again: {error}", error=error))
            time.sleep(wait_s)
            return True

        return again

    def _unended(self, instance: str) -> Operation | None:
        return next((o for o in self.journal.operations(instance=instance) if o.status not in ENDED), None)


def _own_folder(gateway: str, endpoint: str) -> str:
    """A `local` gateway whose place nobody named is a folder beside the database of this user."""
    if endpoint != f"local:{gateway}":
        return endpoint
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(state) / "meghdwar" / "gateways" / gateway
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DriverError(f"cannot make the folder of {gateway}: {error.filename}: {error.strerror}") from None
    return str(folder)


def _why(entry: Entry) -> str:
    return f": {entry.detail['error']}" if entry.detail.get("error") else ""


def _last_begun(entries: Sequence[Entry]) -> str:
    """The step that was begun last, or "" when none was."""
    return next((entry.step for entry in reversed(entries) if entry.step), "")
