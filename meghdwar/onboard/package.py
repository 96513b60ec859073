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
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from meghdwar.archive import LIMITS, Archive, Limits, Refused, open_archive
from meghdwar.archive.fault import Fault
from meghdwar.compiler import check_location, location, meta
from meghdwar.compiler import rules as reading_rules
from meghdwar.diagnostics import Diagnostic, Span
from meghdwar.onboard import description, hashing, images, manifest, rules, signatures, trust, wrapper
from meghdwar.onboard.description import Description
from meghdwar.onboard.hashing import Clock
from meghdwar.onboard.images import Image
from meghdwar.onboard.manifest import Listed, Manifest
from meghdwar.onboard.trust import Trust

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
    images: tuple[Image, ...]
    files: tuple[str, ...]
    signed_by: str
    archive: Archive = field(repr=False, compare=False)

    def open_file(self, path: str) -> io.BufferedReader:
        """A file to be read from its beginning; raises KeyError, and OSError when the archive was changed since."""
        return self.archive.open(path)

    def size(self, path: str) -> int:
        """The bytes of a file, unpacked; raises KeyError."""
        return self.archive.entries[path].size


def read(
    path: Path, *, roots: Sequence[Path] = (), at: datetime | None = None, limits: Limits = LIMITS
) -> tuple[Package | None, list[Diagnostic]]:
    """A package, and what is to be said of it; None when there is an error among that.

    `roots` are files of certificates (PEM) that are trusted: with any, the package has to be signed by somebody whom
    one of them vouches for. `at` is the time for which certificates count (now).
    """
    try:
        archive = open_archive(path, path.name, limits)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        help_ = "give the path of a package"
        return None, [Diagnostic(reading_rules.CANNOT_READ, Span(path.name), f"cannot read {path}: {why}", help_)]
    if isinstance(archive, list):
        return None, archive
    known = trust.load_roots(roots)
    if isinstance(known, Fault):
        return None, [known.at(path.name)]
    reading = _Reading(limits, Trust(tuple(known), at or datetime.now(UTC)))
    try:
        package = reading.outer(archive)
    except Refused as refused:
        reading.problems.append(refused.fault.at(archive.root))
    return (None if reading.failed else package), reading.problems


class _Reading:
    """One package on its way; each step goes on only where the one before found no error."""

    def __init__(self, limits: Limits, whom: Trust) -> None:
        self.limits = limits
        self.clock = Clock(time.monotonic() + limits.seconds)
        self.trust = whom
        self.problems: list[Diagnostic] = []
        self.signers: dict[str, None] = {}

    @property
    def failed(self) -> bool:
        return any(problem.is_error for problem in self.problems)

    def say(self, problems: Iterable[Diagnostic]) -> bool:
        """Takes problems in; whether it can go on."""
        self.problems += islice(problems, _PROBLEMS_MAX)
        return not self.failed

    def outer(self, archive: Archive) -> Package | None:
        """A package, or one in a zip with its signature; raises Refused."""
        wrapped = wrapper.find(archive)
        if wrapped is None:
            return self.package(archive)
        signature = archive.read(wrapped.signature) or b""
        self.signed(archive, wrapped.package, signature, [wrapped.certificate], Span(archive.shown(wrapped.signature)))
        if self.failed:
            return None
        inner = wrapper.open_inner(archive, wrapped.package, archive.shown(wrapped.package), self.limits)
        if isinstance(inner, list):
            self.say(inner)
            return None
        if wrapper.find(inner) is not None:
            raise Refused(rules.NESTED, "cannot accept a signed package in a signed package", "sign it once")
        return self.package(inner)

    def package(self, archive: Archive) -> Package | None:
        opened = location.entry(archive, archive.root)
        if isinstance(opened, list):
            self.say(opened)
            return None
        entry = opened[1]
        keys = self.meta(archive)
        listed = self.manifest(archive, entry, keys)
        files = (*listed.files, *self.named(archive))
        certificate = keys.get(meta.CERTIFICATE, "")
        self.say(manifest.faults(files, archive.entries))
        self.say(hashing.unlisted(listed, archive, certificate))
        if not self.failed:
            self.signatures(archive, listed, files, certificate)
        found = hashing.checksums(archive, files, self.clock)
        self.say(hashing.differing(files, found))
        self.say(wrapper.artifacts(archive, self.limits))
        if self.failed:
            return None
        checked = check_location(archive, entry)
        self.say(checked.diagnostics)
        found_images = tuple(images.of(checked.topology, archive))
        self.say(images.differing(checked.topology, found_images, archive, self.clock))
        about = description.of(checked.frame or checked.topology) or Description()
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
            artifacts=tuple(artifacts(files, found)),
            images=found_images,
            files=tuple(archive.entries),
            signed_by=", ".join(self.signers),
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
        at_root = sorted(name for name in archive.entries if "/" not in name and name.endswith(".mf"))
        places = [named] if named else [f"{base}.mf", *at_root]
        path = next((place for place in places if place in archive.entries), "")
        if named and not path:
            message = f"cannot find {named[:100]!a}, the manifest that TOSCA.meta names"
            help_ = "put it into the package or correct the path"
            self.say([Diagnostic(rules.MANIFEST_MISSING, Span(archive.root), message, help_)])
        elif not path:
            message = "cannot tell whether the files are the right ones: there is no manifest"
            self.say([Diagnostic(rules.NO_MANIFEST, Span(archive.root), message, "pack it with `mdw pack`")])
        if not path:
            return Manifest("", {}, ())
        read_, problems = manifest.parse(archive.read(path) or b"", path, archive.shown(path))
        if not read_.metadata and not any(problem.is_error for problem in problems):
            message = "cannot tell whose product this is: the manifest has no metadata"
            help_ = "begin it with 'metadata:'"
            problems.append(Diagnostic(rules.NO_METADATA, Span(archive.shown(path)), message, help_))
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

    # signatures
    def signatures(self, archive: Archive, listed: Manifest, files: Sequence[Listed], certificate: str) -> None:
        """That of the manifest, and those of single files; says so when there has to be one and is none."""
        if listed.signature_span is not None and listed.signature:
            base = listed.path.rpartition(".")[0]
            beside = [certificate, f"{base}.cert"]
            self.signed(archive, listed, listed.signature, beside, listed.signature_span)
        whole = bool(self.signers)
        for file in files:
            if file.signature:
                signature = archive.read(file.signature) or b""
                self.signed(archive, file.path, signature, [file.certificate, certificate], file.place("signature"))
        if self.failed:
            return
        if self.trust.roots and not whole:
            message = "cannot accept a package that nobody signed as a whole"
            help_ = "ask the provider for a signed one, or trust nobody"
            self.say([Diagnostic(rules.NOT_SIGNED, Span(archive.root), message, help_)])
        elif self.signers and not self.trust.roots:
            message = f"cannot tell whether {next(iter(self.signers))} is who that says: nobody is trusted"
            self.say([Diagnostic(rules.NOBODY_TRUSTED, Span(archive.root), message, "name a certificate to trust")])

    def signed(
        self, archive: Archive, what: str | Manifest, signature: bytes, certificates: Sequence[str], at: Span
    ) -> None:
        """Checks one signature, of a file or of what stands in a manifest above it."""

        def digests(algorithm: str) -> list[bytes]:
            if isinstance(what, str):
                return [hashing.digests(archive, what, [algorithm], self.clock)[algorithm]]
            lines = what.signed.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")  # as S/MIME has them
            return [hashlib.new(algorithm, text).digest() for text in (what.signed, lines)]

        try:
            given = [
                c for path in certificates if path in archive.entries for c in trust.load(archive.read(path) or b"")
            ]
            self.signers[signatures.verify(signature, digests, given, self.trust)] = None
        except Refused as refused:
            self.say([Diagnostic(refused.fault.rule, at, refused.fault.message, refused.fault.help)])
        except ValueError:
            message = "cannot read the certificate that belongs to this signature"
            self.say([Diagnostic(rules.NO_CERTIFICATE, at, message, "put it there as PEM")])


def artifacts(files: Iterable[Listed], found: Mapping[str, Mapping[str, str]]) -> Iterator[Artifact]:
    """What is listed, once each."""
    seen: set[str] = set()
    for file in files:
        if file.path not in seen:
            seen.add(file.path)
            algorithm = file.algorithm or hashing.OURS
            checksum = found[file.path][algorithm]
            yield Artifact(file.path, algorithm, checksum, file.metadata, file.non_mano_set)
