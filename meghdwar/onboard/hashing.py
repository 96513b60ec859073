"""The files of a package against the list of them: each is read once, for all its hashes, and is what it should be."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from meghdwar.archive import Archive, Refused
from meghdwar.compiler import meta
from meghdwar.diagnostics import Diagnostic, Span
from meghdwar.onboard import rules
from meghdwar.onboard.manifest import HASHES, Listed, Manifest

OURS = "SHA-256"  # of files that are listed without a hash


@dataclass(frozen=True, slots=True)
class Clock:
    """Until when, by time.monotonic(), a package may be read."""

    until: float

    def check(self, what: str) -> None:
        if time.monotonic() > self.until:
            message = f"cannot read the package in the time that it may take: {what[:100]!a} was not the last file"
            raise Refused(rules.TOO_SLOW, message, "put less into the package")


def digests(archive: Archive, path: str, algorithms: Iterable[str], clock: Clock) -> Mapping[str, bytes]:
    """The hashes of a file by hashlib's names; raises Refused when the file is damaged or takes too long."""
    made = {algorithm: hashlib.new(algorithm) for algorithm in algorithms}
    for piece in archive.pieces(path):
        clock.check(path)
        for hash_ in made.values():
            hash_.update(piece)
    return {algorithm: hash_.digest() for algorithm, hash_ in made.items()}


def checksums(archive: Archive, files: Sequence[Listed], clock: Clock) -> Mapping[str, Mapping[str, str]]:
    """The hashes of every file that is there, as its manifest spells them, by path and algorithm; raises Refused."""
    wanted: dict[str, set[str]] = {path: set() for path in archive.entries}
    for file in files:
        if file.path in wanted and (file.algorithm or OURS) in HASHES:
            wanted[file.path].add(file.algorithm or OURS)
    found: dict[str, Mapping[str, str]] = {}
    for path, algorithms in wanted.items():
        made = digests(archive, path, {HASHES[algorithm][0] for algorithm in algorithms}, clock)
        found[path] = {algorithm: made[HASHES[algorithm][0]].hex() for algorithm in algorithms}
    return found


def unlisted(listed: Manifest, archive: Archive, certificate: str) -> Iterator[Diagnostic]:
    """Files that a manifest which lists files leaves out; itself, TOSCA.meta and what signs need not be in it."""
    if not listed.files:
        return
    known = {file.path for file in listed.files} | {listed.path, *meta.PATHS, certificate}
    known |= {other for file in listed.files for other in (file.signature, file.certificate)}
    for path in archive.entries:
        if path not in known:
            message = f"cannot accept {path[:100]!a}: the manifest does not list it"
            help_ = "add it to the manifest, or take it out of the package"
            yield Diagnostic(rules.NOT_LISTED, Span(archive.shown(listed.path)), message, help_)


def differing(files: Iterable[Listed], found: Mapping[str, Mapping[str, str]]) -> Iterator[Diagnostic]:
    """Files that are not those that were listed."""
    for file in files:
        real = found.get(file.path, {}).get(file.algorithm, "")
        if real and len(file.hash) == len(real) and real != file.hash.lower():
            message = f"cannot accept {file.path[:100]!a}: its {file.algorithm} is {real}"
            yield Diagnostic(rules.WRONG_HASH, file.place("hash"), message, "list the hash of the file that is meant")
