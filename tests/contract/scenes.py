"""The scenes that contract tests begin with: an instance that runs, and claims that are good or not."""

from __future__ import annotations

from dataclasses import dataclass

from meghdwar.driver.hypervisor import Hypervisor, Power, Stale, Unbounded
from meghdwar.driver.instance import Instance
from tests.contract.pairs import Pair, eventually, numbers


@dataclass(frozen=True, slots=True)
class Lapsed:
    """A claim whose lease has run out."""

    epoch: int = 1

    def check(self) -> None:
        raise Stale("the lease has run out")


@dataclass(slots=True)
class Lapsing:
    """A claim whose lease is found to have run out when it is looked at for so many times."""

    epoch: int
    checks: int

    def check(self) -> None:
        self.checks -= 1
        if self.checks < 0:
            raise Stale("the lease has run out")


def made(hypervisor: Hypervisor, instance: Instance, claim: Unbounded, *, writer: bool = True) -> None:
    """It is there, stopped, with its disks, which are attached where it may write."""
    hypervisor.hold(instance, claim, writer=writer)
    hypervisor.define(instance, claim)
    for disk in instance.disks:
        hypervisor.make_disk(instance, disk, claim)
        if writer:
            hypervisor.attach(instance, disk, claim)


def running(pair: Pair, hypervisor: Hypervisor, instance: Instance, claim: Unbounded, *, counted: int = 0) -> None:
    """It runs with its state, answers, and has acknowledged the values up to `counted`."""
    made(hypervisor, instance, claim)
    hypervisor.start(instance, claim)
    eventually(lambda: pair.ask(hypervisor, instance, "/n"), pair.patience_s)
    assert hypervisor.look(instance).power is Power.RUNNING
    count(pair, hypervisor, instance, 1, counted)


def count(pair: Pair, hypervisor: Hypervisor, instance: Instance, first: int, last: int) -> None:
    """The counter there acknowledges exactly these values now."""
    for value in range(first, last + 1):
        assert pair.ask(hypervisor, instance, "/next", timeout_s=pair.patience_s) == str(value)


def counted(pair: Pair, hypervisor: Hypervisor, instance: Instance, last: int) -> None:
    """The log there holds 1 to `last`, each once and in order."""
    assert numbers(pair.log(hypervisor, instance)) == list(range(1, last + 1))
