"""What the driver knows to exist: gateways, applications, instances and subscribers, one frozen value each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from meghdwar.diagnostics import nearest
from meghdwar.driver.hypervisor import Access
from meghdwar.driver.instance import Instance

DEFAULT_PROJECT = "default"  # whose it is when nobody says


class Unknown(LookupError):
    """There is no such thing; the message says which name may have been meant."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        self.what, self.name = what, name
        super().__init__(f"cannot find {what} {name!r}: {nearest(name, known)}")


class Taken(ValueError):
    """Something else has that name, or is still in use; the message says what to do."""


@dataclass(frozen=True, slots=True)
class GatewayRecord:
    """A gateway as `mdw gateway add` made it known; `added_at` in seconds since 1970."""

    access: Access
    added_at: float = 0.0

    @property
    def name(self) -> str:
        return self.access.gateway


@dataclass(frozen=True, slots=True)
class ApplicationRecord:
    """An application that is up. `plan` is the text of its plan file, whose `digest` and `identity` are beside it;
    `router` and `images` are as they were given to `mdw up`, `parameters` what its inputs are. `project` is whose it
    is, `title` how that project calls it ("": by its name, which no two projects share)."""

    name: str
    digest: str
    identity: str
    plan: str
    router: str = "none"
    images: str | None = None
    parameters: str = "{}"  # JSON
    stack: str | None = None
    project: str = DEFAULT_PROJECT
    title: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """What a server was asked to do with a whole application, until it is done. `error` is why the last try did not do
    it; `asked_at` in seconds since 1970."""

    application: str
    act: str  # up or down
    error: str = ""
    asked_at: float = 0.0


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """An instance, and the gateway where its writer is (None: nowhere, it is being built or was terminated).

    `epoch` only ever grows, also over terminate and build. `owner` holds the lease until `lease_until` (seconds since
    1970 by the database's clock). `stopped`: it is not to run, because somebody stopped it.
    """

    instance: Instance
    gateway: str | None = None
    epoch: int = 0
    owner: str | None = None
    lease_until: float | None = None
    stopped: bool = False

    @property
    def name(self) -> str:
        return self.instance.name


@dataclass(frozen=True, slots=True)
class SubscriberRecord:
    """A subscriber of an application. `state` is what the trigger remembers of its sightings, as JSON; `seen_at` is
    the time of the newest sighting that was taken in: an older one is dropped."""

    application: str
    name: str
    seen_at: float = 0.0
    state: str = "{}"
