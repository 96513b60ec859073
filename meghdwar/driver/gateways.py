"""Which hypervisor answers at which gateway: one table, each imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from meghdwar.driver.hypervisor import Access, Hypervisor, HypervisorError

# kind -> the module, the class in it, and the extra that brings what it needs
HYPERVISORS: Mapping[str, tuple[str, str, str]] = {
    "local": ("meghdwar.driver.local", "Local", "driver"),
    "lxd": ("meghdwar.driver.lxd", "Lxd", "lxd"),
    "kvm": ("meghdwar.driver.kvm", "Kvm", "kvm"),
}


def connect(access: Access) -> Hypervisor:
    """The hypervisor of a gateway, which need not answer yet. Raises HypervisorError when it cannot be spoken to."""
    asked = f"speak to {access.hypervisor}"
    if access.hypervisor not in HYPERVISORS:
        why = f"there is no hypervisor {access.hypervisor!r}; there are {', '.join(HYPERVISORS)}"
        raise HypervisorError(access.gateway, asked, why)
    module, name, extra = HYPERVISORS[access.hypervisor]
    try:
        make: Callable[[Access], Hypervisor] = getattr(import_module(module), name)
    except ImportError as error:
        why = f"{error.name or error} is not installed; pip install 'meghdwar[{extra}]'"
        raise HypervisorError(access.gateway, asked, why) from None
    return make(access)
