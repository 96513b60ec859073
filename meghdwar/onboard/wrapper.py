"""A package in a zip with its signature and perhaps a certificate, all of one name (SOL004, option 2)."""

from __future__ import annotations

import os
import posixpath
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from meghdwar.archive import Archive, Limits, Refused, open_archive
from meghdwar.archive.kinds import is_definition
from meghdwar.archive.source import File, Memory, Source
from meghdwar.diagnostics import Diagnostic, Span
from meghdwar.onboard import rules

ARCHIVES, SIGNATURES, CERTIFICATES = (".csar", ".zip"), (".cms", ".p7s", ".p7m"), (".cert", ".crt", ".pem", ".cer")


@dataclass(frozen=True, slots=True)
class Wrapper:
    """`certificate` is "" when there is none beside the package."""

    package: str
    signature: str
    certificate: str


def find(archive: Archive) -> Wrapper | None:
    """What an archive that holds a package holds; None when it is a package itself. Raises Refused."""
    names = list(archive.entries)
    inner = archives_in(archive)
    if not inner or any("/" in name or is_definition(name) for name in names):
        return None
    signatures = [name for name in names if name.lower().endswith(SIGNATURES)]
    certificates = [name for name in names if name.lower().endswith(CERTIFICATES)]
    if len(inner) == 1 and not signatures:
        message = f"cannot find the signature of {inner[0][:100]!a}"
        raise Refused(rules.SIGNATURE_MISSING, message, "put it beside the package, or give the package alone")
    others = len(names) - len(inner) - len(signatures) - len(certificates)
    bases = {posixpath.splitext(name)[0] for name in names}
    if (len(inner), len(signatures), others, len(bases)) != (1, 1, 0, 1) or len(certificates) > 1:
        message = "cannot accept a zip of " + ", ".join(repr(name[:40]) for name in names[:5])
        help_ = "pack NAME.csar, NAME.cms and, unless it is in the signature, NAME.cert"
        raise Refused(rules.BAD_WRAPPER, message, help_)
    return Wrapper(inner[0], signatures[0], certificates[0] if certificates else "")


def holds_package(path: Path) -> bool:
    """Whether a file is a sound archive with a package in it, and no package itself."""
    try:
        archive = open_archive(path, path.name)
        return not isinstance(archive, list) and find(archive) is not None
    except Refused:
        return True  # and reading it says why
    except OSError:
        return False


def archives_in(archive: Archive) -> list[str]:
    """The names of archives that lie in an archive."""
    return [name for name in archive.entries if name.lower().endswith(ARCHIVES)]


def artifacts(archive: Archive, limits: Limits) -> Iterator[Diagnostic]:
    """What is wrong with the archives among the files of a package: they have to pass as it does, and hold no more.

    Raises Refused when one cannot be unpacked.
    """
    for path in archives_in(archive):
        inner = open_inner(archive, path, archive.shown(path), limits)
        if isinstance(inner, list):
            yield from inner
        else:
            for deeper in archives_in(inner):
                message = f"cannot accept {deeper[:100]!a}: it is an archive in an archive in the package"
                yield Diagnostic(rules.NESTED, Span(inner.root), message, "put it into the package itself")


def open_inner(archive: Archive, path: str, root: str, limits: Limits) -> Archive | list[Diagnostic]:
    """The package in an archive, which has to pass as well; raises Refused when it cannot be unpacked.

    One that is only stored is read where it lies; a large one is unpacked to a file that has no name.
    """
    return open_archive(archive.part(path) or _unpacked(archive, path, limits), root, limits)


def _unpacked(archive: Archive, path: str, limits: Limits) -> Source:
    if archive.entries[path].size <= limits.definition_bytes:
        return Memory(b"".join(archive.pieces(path)))
    with tempfile.TemporaryFile() as file:
        for piece in archive.pieces(path):
            file.write(piece)
        file.flush()
        return File(os.dup(file.fileno()))
