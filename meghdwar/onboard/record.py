"""What the catalogue knows of a package: where it is on its way in, and what was found in it. Words as in SOL005."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CREATED, UPLOADING, PROCESSING, ONBOARDED = "CREATED", "UPLOADING", "PROCESSING", "ONBOARDED"
ENABLED, DISABLED = "ENABLED", "DISABLED"
UNFINISHED = (UPLOADING, PROCESSING)

# what subscribers are told of
ONBOARDING, OP_STATE_CHANGE, PKG_DELETE = "ONBOARDING", "OP_STATE_CHANGE", "PKG_DELETE"


@dataclass(frozen=True, slots=True)
class Found:
    """What was read in a package that is sound; `files` are the descriptors. Checksums are (algorithm, hexadecimal)."""

    vnfd_id: str
    provider: str = ""
    product_name: str = ""
    software_version: str = ""
    vnfd_version: str = ""
    descriptor: str = ""
    descriptors: tuple[str, ...] = ()
    artifacts: tuple[Mapping[str, Any], ...] = ()  # path, algorithm, checksum, metadata
    images: tuple[Mapping[str, Any], ...] = ()  # the fields of onboard.images.Image
    signed_by: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PackageRecord:
    """A package of a project. `digest` (SHA-256) and `size` in bytes are those of what was uploaded, `failure` says why
    the last upload did not end well, `created_at` is in seconds since 1970."""

    id: str
    project: str
    onboarding_state: str = CREATED
    operational_state: str = DISABLED
    user_data: Mapping[str, Any] = field(default_factory=dict)
    digest: str | None = None
    size: int | None = None
    found: Found | None = None
    failure: Mapping[str, Any] | None = None
    created_at: float = 0.0
    in_use: bool = False


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who wants to be told of packages of a project: `filter` and `authentication` as in SOL005."""

    id: str
    project: str
    callback: str
    filter: Mapping[str, Any] = field(default_factory=dict)
    authentication: Mapping[str, Any] = field(default_factory=dict, repr=False)
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a package, as subscribers are told of it."""

    kind: str
    package: PackageRecord
