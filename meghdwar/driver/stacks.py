"""The stacks of applications: which cloud has which, made before its cloudlets and deleted after them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from meghdwar.bundle import Bundle
from meghdwar.driver import heat, preflight
from meghdwar.driver.cloud_api import Cloud, CloudError
from meghdwar.driver.hypervisor import Access, HypervisorError
from meghdwar.driver.instance import Instance
from meghdwar.driver.inventory import DEFAULT_PROJECT, ApplicationRecord
from meghdwar.driver.nova import Nova
from meghdwar.driver.operation import DriverError
from meghdwar.driver.picture import Picture

Tell = Callable[[str], None]
NOVA = "nova"
_NAME = re.compile("[A-Za-z][A-Za-z0-9._-]{0,254}")


@dataclass(frozen=True, slots=True)
class StackName:
    """A stack in a cloud of clouds.yaml. As text it is CLOUD/NAME; the name of a stack has no slash."""

    cloud: str
    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise DriverError(
                f"cannot call a stack {self.name!r}: letters, digits and ._- are allowed, a letter first, at most 255"
            )

    def __str__(self) -> str:
        return f"{self.cloud}/{self.name}"

    @classmethod
    def read(cls, text: str) -> StackName:
        cloud, _, name = text.rpartition("/")
        return cls(cloud, name)


class Stacks:
    """The stacks of one driver. Clouds are logged into when they are needed, and once."""

    def __init__(self, connect: Callable[[str, str], Cloud] = Cloud.connect, tell: Tell = lambda message: None) -> None:
        self.tell = tell
        self._connect = connect
        self._clouds: dict[tuple[str, str], Cloud] = {}
        self._pictures: dict[tuple[str, str], Picture] = {}
        self._lock = Lock()

    def cloud(self, name: str, project: str = "") -> Cloud:
        """That of clouds.yaml, in the project that it says there, or else in the one of this id."""
        key = (name, project)
        with self._lock:
            if key not in self._clouds:
                self._clouds[key] = self._connect(name, project)
            return self._clouds[key]

    def cloud_of(self, record: ApplicationRecord) -> Cloud:
        """Where the stack of an application is: in the project that it belongs to."""
        return self.cloud(self.of(record).cloud, "" if record.project == DEFAULT_PROJECT else record.project)

    def picture(self, record: ApplicationRecord, bundle: Bundle) -> Picture:
        """How the stack of an application is told where things are. Raises HypervisorError without an answer."""
        name = self.of(record)
        try:
            cloud = self.cloud_of(record)
        except CloudError as error:
            raise HypervisorError(str(name), "reach the stack", str(error), retry=error.retry) from None
        with self._lock:
            return self._pictures.setdefault((str(name), record.digest), Picture(cloud, bundle, name.name))

    def nova(self, access: Access, record: ApplicationRecord, bundle: Bundle, instances: Sequence[Instance]) -> Nova:
        """The gateway that is a server of an application's stack."""
        return Nova(access.gateway, self.picture(record, bundle), instances)

    @staticmethod
    def of(record: ApplicationRecord) -> StackName:
        assert record.stack is not None  # noqa: S101 - those who ask have looked
        return StackName.read(record.stack)

    # its life
    def refuse(self, record: ApplicationRecord, bundle: Bundle) -> None:
        """Raises DriverError, with every reason, when the cloud cannot take the stack. Changes nothing."""
        name = self.of(record)
        problems = preflight.check(self.cloud_of(record), bundle, name.name, _parameters(record))
        if problems:
            head = f"cannot bring {record.name} up in {name.cloud}; nothing was made:"
            raise DriverError("\n  ".join([head, *problems]) if len(problems) > 1 else problems[0])

    def make(self, record: ApplicationRecord, bundle: Bundle) -> None:
        """The stack is there and complete; what was done already stays. Raises CloudError."""
        name = self.of(record)
        try:
            heat.create(self.cloud_of(record), bundle, name.name, _parameters(record), self.tell)
        except CloudError as error:
            again = f"the same mdw up goes on, mdw down {record.name} takes away what was made"
            raise CloudError(f"{error}; {again}", status=error.status, retry=error.retry) from None

    def found(self, record: ApplicationRecord) -> heat.Found | None:
        """The stack as it is now, None when it is gone."""
        name = self.of(record)
        return heat.find(self.cloud_of(record), name.name)

    def usable(self, record: ApplicationRecord, bundle: Bundle) -> None:
        """Raises DriverError for a stack that is gone or was never whole, HypervisorError without an answer."""
        try:
            found = self.picture(record, bundle).look()
        except CloudError as error:
            raise HypervisorError(str(record.stack), "look at the stack", str(error), retry=error.retry) from None
        if found is None:
            raise DriverError(
                f"cannot go on with {record.name}: its stack {record.stack} is gone, and its volumes with it; "
                f"mdw down {record.name}, and mdw up builds it anew"
            )
        if found.state in ("CREATE_FAILED", "DELETE_FAILED", "DELETE_IN_PROGRESS"):
            raise DriverError(
                f"cannot go on with {record.name}: its stack {record.stack} is {found.state}: {found.reason}; see "
                f"openstack stack failures list {found.name}, or take it away with mdw down {record.name}"
            )

    def leavings(self, record: ApplicationRecord, bundle: Bundle) -> list[str]:
        """The policies that its deletion leaves behind, to be noted before. Raises CloudError."""
        name = self.of(record)
        return heat.leavings(self.cloud_of(record), bundle, name.name)

    def delete(self, record: ApplicationRecord, bundle: Bundle, noted: Sequence[str] = ()) -> list[str]:
        """Nothing is left of the stack but what is returned, each with a name to look for; the policies that were
        `noted` go with it. Raises CloudError."""
        name = self.of(record)
        return heat.delete(self.cloud_of(record), bundle, name.name, self.tell, noted=noted)


def _parameters(record: ApplicationRecord) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(record.parameters)
    return found
