"""The files of a package that was onboarded: read again through the same gate, as often as they are asked for."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from meghdwar.archive import LIMITS, Archive, open_archive
from meghdwar.driver.operation import DriverError
from meghdwar.onboard import wrapper

_OPEN_MAX = 32
_MOMENT = (1980, 1, 1, 0, 0, 0)  # the same descriptors make the same bytes
META = "TOSCA-Metadata/TOSCA.meta"


@lru_cache(_OPEN_MAX)
def opened(path: Path) -> Archive:
    """Its archive; a content never changes under its name. Raises DriverError when it is damaged by now."""
    found = open_archive(path, path.name)
    if isinstance(found, list):
        raise DriverError(f"cannot read package {path.name}: {found[0].message}")
    wrapped = wrapper.find(found)
    inner = found if wrapped is None else wrapper.open_inner(found, wrapped.package, wrapped.package, LIMITS)
    if isinstance(inner, list):
        raise DriverError(f"cannot read package {path.name}: {inner[0].message}")
    return inner


def read(path: Path, name: str) -> bytes:
    """A descriptor."""
    found = opened(path).read(name)
    if found is None:
        raise DriverError(f"cannot read {name} of package {path.name}: it is damaged")
    return found


def open_file(path: Path, name: str) -> tuple[io.BufferedReader, int] | None:
    """A file to be read from its beginning, and its bytes; None when there is none of that name."""
    archive = opened(path)
    if name not in archive.entries:
        return None
    return archive.open(name), archive.entries[name].size


def zipped(path: Path, names: Sequence[str]) -> bytes:
    """The descriptors, and what says which is the main one, as a zip."""
    archive, made = opened(path), io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name in sorted({*names, *([META] if META in archive.entries else [])}):
            file.writestr(zipfile.ZipInfo(name, _MOMENT), read(path, name), zipfile.ZIP_DEFLATED)
    return made.getvalue()
