"""What runs at a gateway: one cloudlet with its state, described so that any hypervisor can make it.

Names here are names at the edge: letters, digits and hyphens, a letter first, at most 63 of them, one for one thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from meghdwar.model import Ready


@dataclass(frozen=True, slots=True)
class Disk:
    """State as a file system of its own. `location` is where the instance sees it, `device` how a VM calls it."""

    name: str
    size_bytes: int
    location: str
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Files:
    """State as files of the instance: absolute paths inside it, at most `size_max_bytes` together."""

    name: str
    paths: tuple[str, ...]
    size_max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """One running copy of a cloudlet: of all subscribers (`subscriber` is None) or of one.

    It is the same value at every gateway: a move changes where it is and not what it is.
    """

    name: str
    application: str
    cloudlet: str
    kind: str  # container or vm
    image: str
    subscriber: str | None = None
    cpus: int = 1
    memory_bytes: int = 128 * 2**20
    disk_bytes: int | None = None
    address: str | None = None
    ports: tuple[int, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    quiesce: tuple[str, ...] = ()
    ready: Ready = field(default_factory=Ready)
    disks: tuple[Disk, ...] = ()
    files: tuple[Files, ...] = ()
