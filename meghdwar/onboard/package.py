"""Reads a package (SOL004): the archive first, then its list of files, then its signatures, then its descriptor.

    package, diagnostics = read(Path("vnf.csar"), roots=[Path("provider.pem")])

Whatever the bytes are, nothing is raised, fetched, executed or written.
"""

from __future__ import annotations

import hashlib
import io
import posixpath
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path

from meghdwar.archive import LIMITS, Archive, Limits, Refused, open_archive
from meghdwar.compiler import check_location, location, meta
from meghdwar.compiler import rules as reading_rules
from meghdwar.diagnostics import Diagnostic, Span
from meghdwar.onboard import description, manifest, rules
from meghdwar.onboard.description import Description
from meghdwar.onboard.manifest import HASHES, Listed, Manifest

_PROBLEMS_MAX = 200


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that the manifest, or TOSCA.meta, lists. Without a hash there, ours: `algorithm` and `checksum` are
    always those of what is in the package."""

    path: str
    algorithm: str
    checksum: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    non_mano_set: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """A package that was found to be sound. `descriptors` are the main file and what it imports from the package."""

    vnfd_id: str
    provider: str
    product_name: str
    software_version: str
    vnfd_version: str
    descriptor: str
    descriptors: tuple[str, ...]
    manifest: str
    metadata: Mapping[str, str]
    artifacts: tuple[Artifact, ...]
    files: tuple[str, ...]
    signed_by: str
    archive: Archive = field(repr=False, compare=False)

    def open_file(self, path: str) -> io.BufferedReader:
        """A file to be read from its beginning; raises KeyError, and OSError when the archive was changed since."""
        return io.BufferedReader(_Stream(self.archive, path))

    def size(self, path: str) -> int:
        """The bytes of a file, unpacked; raises KeyError."""
        return self.archive.entries[path].size


class _Stream(io.RawIOBase):
    def __init__(self, archive: Archive, path: str) -> None:
        self._pieces = archive.pieces(path)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            while not self._rest:
                self._rest = next(self._pieces)
        except StopIteration:
            return 0
        except Refused as refused:
            raise OSError(str(refused)) from None
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def read(
    path: Path, *, roots: Sequence[Path] = (), at: datetime | None = None, limits: Limits = LIMITS
) -> tuple[Package | None, list[Diagnostic]]:
    """A package, and what is to be said of it; None when there is an error among that.

    `roots` are files of certificates (PEM) that are trusted: with any, the package has to be signed by somebody whom
    one of them vouches for. `at` is the time for which certificates count (now).
    """
    found = _Reading(path.name, time.monotonic() + limits.seconds)
    try:
        archive = open_archive(path, path.name, limits)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        help_ = "give the path of a package"
        return None, [Diagnostic(reading_rules.CANNOT_READ, Span(path.name), f"cannot read {path}: {why}", help_)]
    if isinstance(archive, list):
        return None, archive
    package = found.package(archive)
    return (None if any(problem.is_error for problem in found.problems) else package), found.problems


class _Reading:
    """One package on its way; each step goes on only where the one before found no error."""

    def __init__(self, name: str, until: float) -> None:
        self.name = name
        self.until = until
        self.problems: list[Diagnostic] = []

    @property
    def failed(self) -> bool:
        return any(problem.is_error for problem in self.problems)

    def say(self, problems: Iterable[Diagnostic]) -> bool:
        """Takes problems in; whether it can go on."""
        self.problems += islice(problems, _PROBLEMS_MAX)
        return not self.failed

    def package(self, archive: Archive) -> Package | None:
        opened = location.entry(archive, self.name)
        if isinstance(opened, list):
            self.say(opened)
            return None
        entry = opened[1]
        keys = self.meta(archive)
        listed = self.manifest(archive, entry, keys)
        if listed.signature_span is not None:
            message = "cannot check this signature"
            self.say([Diagnostic(rules.BAD_SIGNATURE, listed.signature_span, message, "give an unsigned package")])
        files = (*listed.files, *self.named(archive))
        self.say(manifest.faults(files, archive.entries))
        if self.failed or not self.say(unlisted(listed, archive, keys)):
            return None
        hashes = self.hashes(archive, files)
        if self.failed:
            return None
        checked = check_location(archive, entry)
        self.say(checked.diagnostics)
        about = description.of(checked.topology) or Description()
        return Package(
            vnfd_id=about.id,
            provider=about.provider,
            product_name=about.product,
            software_version=about.software_version,
            vnfd_version=about.version,
            descriptor=entry,
            descriptors=tuple(name for name in checked.sources if name in archive.entries),
            manifest=listed.path,
            metadata=listed.metadata,
            artifacts=tuple(artifact(file, hashes) for file in files),
            files=tuple(archive.entries),
            signed_by="",
            archive=archive,
        )

    def meta(self, archive: Archive) -> Mapping[str, str]:
        """The keys of TOSCA.meta; `location.entry` has told what is wrong with it."""
        content = next(filter(None, map(archive.read, meta.PATHS)), b"")
        return meta.parse(content, "")[0].keys

    def manifest(self, archive: Archive, entry: str, keys: Mapping[str, str]) -> Manifest:
        """The manifest that TOSCA.meta names, or the one at the root with the name of the descriptor."""
        named = keys.get(meta.MANIFEST, "")
        base = posixpath.basename(entry).rpartition(".")[0]
        places = [named] if named else [f"{base}.mf", *sorted(n for n in archive.entries if _is_at_root(n, ".mf"))]
        name = next((place for place in places if place in archive.entries), "")
        if named and not name:
            message = f"cannot find {named[:100]!a}, the manifest that TOSCA.meta names"
            help_ = "put it into the package or correct the path"
            self.say([Diagnostic(rules.MANIFEST_MISSING, Span(self.name), message, help_)])
        elif not name:
            message = "cannot tell whether the files are the right ones: there is no manifest"
            self.say([Diagnostic(rules.NO_MANIFEST, Span(self.name), message, "pack it with `mdw pack`")])
        if not name:
            return Manifest("", {}, ())
        read_, problems = manifest.parse(archive.read(name) or b"", name, archive.shown(name))
        if not read_.metadata and not any(problem.is_error for problem in problems):
            message = "cannot tell whose product this is: the manifest has no metadata"
            problems.append(
                Diagnostic(rules.NO_METADATA, Span(archive.shown(name)), message, "begin it with 'metadata:'")
            )
        self.say(problems)
        return read_

    def named(self, archive: Archive) -> tuple[Listed, ...]:
        """The files that TOSCA.meta lists itself."""
        path = next((path for path in meta.PATHS if path in archive.entries), "")
        if not path:
            return ()
        files, problems = manifest.blocks(archive.read(path) or b"", archive.shown(path))
        self.say(problems)
        return files

    def hashes(self, archive: Archive, files: Sequence[Listed]) -> Mapping[str, Mapping[str, str]]:
        """The hashes of every file, by path and algorithm: each file is read once, and is what the archive says."""
        wanted: dict[str, dict[str, Listed]] = {path: {} for path in archive.entries}
        for file in files:
            wanted[file.path].setdefault(file.algorithm or "SHA-256", file)
        found: dict[str, Mapping[str, str]] = {}
        for path, algorithms in wanted.items():
            try:
                found[path] = self.digest(archive, path, algorithms)
            except Refused as refused:
                self.say([refused.fault.at(self.name)])
            except TimeoutError:
                message = f"cannot read the package in the time that it may take: {path[:100]!a} was not the last file"
                self.say([Diagnostic(rules.TOO_SLOW, Span(self.name), message, "put less into the package")])
                break
        self.say(differing(files, found))
        return found

    def digest(self, archive: Archive, path: str, algorithms: Iterable[str]) -> Mapping[str, str]:
        hashes = {algorithm: hashlib.new(HASHES[algorithm][0]) for algorithm in algorithms}
        for piece in archive.pieces(path):
            if time.monotonic() > self.until:
                raise TimeoutError
            for digest in hashes.values():
                digest.update(piece)
        return {algorithm: digest.hexdigest() for algorithm, digest in hashes.items()}


def _is_at_root(name: str, ending: str) -> bool:
    return "/" not in name and name.endswith(ending)


def unlisted(listed: Manifest, archive: Archive, keys: Mapping[str, str]) -> Iterator[Diagnostic]:
    """Files that a manifest which lists files leaves out; itself, TOSCA.meta and signatures need not be in it."""
    if not listed.files:
        return
    known = {file.path for file in listed.files} | {listed.path, *meta.PATHS, keys.get("ETSI-Entry-Certificate", "")}
    known |= {other for file in listed.files for other in (file.signature, file.certificate)}
    for path in archive.entries:
        if path not in known:
            message = f"cannot accept {path[:100]!a}: the manifest does not list it"
            help_ = "add it to the manifest, or take it out of the package"
            yield Diagnostic(rules.NOT_LISTED, Span(archive.shown(listed.path)), message, help_)


def differing(files: Iterable[Listed], found: Mapping[str, Mapping[str, str]]) -> Iterator[Diagnostic]:
    for file in files:
        real = found.get(file.path, {}).get(file.algorithm, "")
        if file.hash and real and real != file.hash.lower():
            message = f"cannot accept {file.path[:100]!a}: its {file.algorithm} is {real}"
            yield Diagnostic(rules.WRONG_HASH, file.place("hash"), message, "list the hash of the file that is meant")


def artifact(file: Listed, hashes: Mapping[str, Mapping[str, str]]) -> Artifact:
    algorithm = file.algorithm or "SHA-256"
    return Artifact(file.path, algorithm, hashes[file.path][algorithm], file.metadata, file.non_mano_set)
