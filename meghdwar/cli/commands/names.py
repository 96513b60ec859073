"""What an operator types for an instance is as short as it may be while only one can be meant."""

from __future__ import annotations

from collections.abc import Iterable

from meghdwar.diagnostics import nearest
from meghdwar.driver.instance import Instance
from meghdwar.driver.operation import DriverError


def forms(instance: Instance) -> tuple[str, ...]:
    """What it may be called, most exact first: its own name, application/cloudlet[/subscriber], and shorter."""
    tail = f"/{instance.subscriber}" if instance.subscriber is not None else ""
    return (
        instance.name,
        f"{instance.application}/{instance.cloudlet}{tail}",
        f"{instance.cloudlet}{tail}",
        *((f"{instance.application}{tail}", instance.subscriber) if instance.subscriber is not None else ()),
    )


def resolve(text: str, instances: Iterable[Instance]) -> str:
    """The name of the one instance that can be meant. Raises DriverError when there is none, or more than one."""
    known = list(instances)
    for rank in range(max((len(forms(each)) for each in known), default=0)):
        found = [each.name for each in known if text in forms(each)[rank : rank + 1]]
        if len(found) == 1:
            return found[0]
        if found:
            raise DriverError(f"cannot tell which instance {text!r} is: it may be {', '.join(sorted(found))}")
    every = {form for each in known for form in forms(each)[:3]}
    raise DriverError(f"cannot find the instance {text!r}: {nearest(text, every)}; mdw status lists them")
