"""The manifest of a package: which files it has, with their hashes, and a signature under it all.

Lines of `Key: value` that look like YAML and are none. The same blocks, begun with `Name:`, stand at the end of
TOSCA.meta in packages that were made for TOSCA 1.0. Source: SOL004 4.1.1, section 4.3.2; TOSCA 1.0, section 16.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from meghdwar.diagnostics import Diagnostic, Rule, Span, did_you_mean
from meghdwar.onboard import rules

SIZE_MAX = 4 * 2**20
HASHES: Mapping[str, tuple[str, int]] = {  # as a manifest spells it -> hashlib's name, hexadecimal digits
    "SHA-224": ("sha224", 56),
    "SHA-256": ("sha256", 64),
    "SHA-384": ("sha384", 96),
    "SHA-512": ("sha512", 128),
}

_PAIR = re.compile(r"([A-Za-z_][\w.-]*)[ \t]*:(?:[ \t]+(.*))?")
_BEGIN, _END = re.compile(r"-----BEGIN (CMS|PKCS7)-----"), re.compile(r"-----END (CMS|PKCS7)-----")
_METADATA, _NON_MANO = "metadata", "non_mano_artifact_sets"
_FIRST, _ALGORITHM, _HASH, _SIGNATURE, _CERTIFICATE = (
    ("source", "name"),
    "algorithm",
    "hash",
    "signature",
    "certificate",
)
_KNOWN = ("Source", "Algorithm", "Hash", "Signature", "Certificate")
_PROBLEMS_MAX = 100


@dataclass(slots=True)
class Listed:
    """A file as the manifest lists it; `span` is its name there. Other keys, such as a content type, are `metadata`."""

    path: str
    span: Span
    non_mano_set: str = ""
    algorithm: str = ""
    hash: str = ""
    signature: str = ""
    certificate: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    places: dict[str, Span] = field(default_factory=dict)

    def place(self, key: str) -> Span:
        return self.places.get(key, self.span)


@dataclass(frozen=True, slots=True)
class Manifest:
    """`path` is its name in the package, "" when there is none. `signed` is every byte above the signature;
    `signature` the PEM block, empty when there is none."""

    path: str
    metadata: Mapping[str, str]
    files: tuple[Listed, ...]
    signed: bytes = b""
    signature: bytes = b""
    signature_span: Span | None = None


def parse(content: bytes, path: str, name: str) -> tuple[Manifest, list[Diagnostic]]:
    """A manifest, and what cannot be read of it; `name` is what people call it."""
    if len(content) > SIZE_MAX:
        message = f"cannot read a manifest of more than {SIZE_MAX // 2**20} MiB"
        return Manifest(path, {}, ()), [
            Diagnostic(rules.MANIFEST_TOO_LARGE, Span(name), message, "list fewer files, and no contents")
        ]
    reading = _Reading(name)
    signed, signature, span = reading.signature(content)
    reading.lines(_text(signed).split("\n"), 1)
    return Manifest(path, reading.metadata, tuple(reading.files), signed, signature, span), reading.problems


def blocks(content: bytes, name: str) -> tuple[tuple[Listed, ...], list[Diagnostic]]:
    """The blocks of TOSCA.meta after its first: files with their hashes."""
    lines = [line.rstrip("\r") for line in _text(content[:SIZE_MAX]).split("\n")]
    begin = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    begin = next((i for i in range(begin, len(lines)) if not lines[i].strip()), len(lines))
    reading = _Reading(name)
    reading.lines(lines[begin:], begin + 1)
    return tuple(reading.files), reading.problems


class _Reading:
    def __init__(self, name: str) -> None:
        self.name = name
        self.metadata: dict[str, str] = {}
        self.files: list[Listed] = []
        self.problems: list[Diagnostic] = []

    def signature(self, content: bytes) -> tuple[bytes, bytes, Span | None]:
        """What is signed, the block that signs it, and where that begins."""
        begin = content.find(b"-----BEGIN ")
        if begin < 0:
            return content, b"", None
        line = content.count(b"\n", 0, begin) + 1
        span = Span(self.name, line)
        block, after = content[begin:], b""
        end = _END.search(block.decode("latin-1"))
        if not _BEGIN.match(block.decode("latin-1")) or end is None:
            self.say(rules.BAD_SIGNATURE, span, "cannot read the signature", "a block from BEGIN CMS to END CMS")
        else:
            block, after = block[: end.end()], block[end.end() :]
        if after.strip():
            place = Span(self.name, line + block.count(b"\n") + 1)
            help_ = "move it above the signature, and sign again"
            self.say(rules.AFTER_SIGNATURE, place, "cannot accept text after the signature: nobody signed it", help_)
        return content[:begin], block, span

    def lines(self, lines: list[str], first: int) -> None:
        section = ""  # metadata, or the name of a non-MANO set; "-" is the top of these
        for number, text in enumerate(lines, first):
            line = text.strip()
            if not line or line.startswith("#"):
                continue
            pair = _PAIR.fullmatch(line)
            column = len(text) - len(text.lstrip()) + 1
            if len(self.problems) >= _PROBLEMS_MAX:
                return
            if pair is None:
                span = Span(self.name, number, column, len(line))
                self.say(rules.BAD_MANIFEST, span, f"cannot read this line: {line[:60]!a}", "write 'Key: value'")
                continue
            section = self.pair(pair[1], pair[2] or "", Span(self.name, number, column, len(line)), section)

    def pair(self, key: str, value: str, span: Span, section: str) -> str:
        """Takes one line in and returns the section that the next one stands in."""
        word = key.lower()
        if not value and word == _METADATA:
            return _METADATA
        if not value and word == _NON_MANO:
            return "-"
        if word in _FIRST:
            self.files.append(Listed(value, span, "" if section in ("", _METADATA, "-") else section))
            return "" if section in (_METADATA, "-") else section
        if section == _METADATA:
            self.metadata[key] = value
        elif not value and section:
            return key
        elif not self.files:
            help_ = did_you_mean(key, [*_KNOWN, _METADATA, _NON_MANO]) or "begin with 'metadata:' or 'Source: PATH'"
            self.say(rules.BAD_MANIFEST, span, f"cannot tell what {key[:60]!a} belongs to", help_)
        else:
            self.of_file(self.files[-1], word, key, value, span)
        return section

    def of_file(self, file: Listed, word: str, key: str, value: str, span: Span) -> None:
        if word in file.places:
            help_ = "keep one, or begin another file with 'Source:'"
            self.say(rules.BAD_MANIFEST, span, f"cannot have {key} twice for {file.path[:100]!a}", help_)
        file.places[word] = span
        if word == _ALGORITHM:
            file.algorithm = value
        elif word == _HASH:
            file.hash = value
        elif word == _SIGNATURE:
            file.signature = value
        elif word == _CERTIFICATE:
            file.certificate = value
        else:
            file.metadata[key] = value

    def say(self, rule: Rule, span: Span, message: str, help_: str) -> None:
        self.problems.append(Diagnostic(rule, span, message, help_))


def _text(content: bytes) -> str:
    return content.decode("utf-8-sig", "replace")


# what a manifest must not list
def faults(files: tuple[Listed, ...], there: Mapping[str, object]) -> Iterator[Diagnostic]:
    """What is wrong with the list itself, before a file is read."""
    seen: dict[str, Span] = {}
    for file in files:
        before = seen.setdefault(file.path, file.span)
        if before is not file.span and before.file == file.span.file:
            related = ((before, "first listed here"),)
            message = f"cannot list {_shown(file)} twice"
            yield Diagnostic(rules.LISTED_TWICE, file.span, message, "keep one of the two", related)
        yield from _source_faults(file, there)
        yield from _hash_faults(file)


def _source_faults(file: Listed, there: Mapping[str, object]) -> Iterator[Diagnostic]:
    path = file.path
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", path):
        help_ = "put the file into the package"
        message = f"cannot fetch {_shown(file)}: nothing is fetched for a package"
        yield Diagnostic(rules.SOURCE_REMOTE, file.span, message, help_)
    elif path.startswith(("/", "\\", "~")) or ".." in path.replace("\\", "/").split("/"):
        message = f"cannot look for {_shown(file)}: it is not in the package"
        yield Diagnostic(rules.SOURCE_OUTSIDE, file.span, message, "put the file into the package")
    elif path not in there:
        help_ = did_you_mean(path, there) or "put the file into the package, or take it from the list"
        yield Diagnostic(rules.SOURCE_MISSING, file.span, f"cannot find {_shown(file)} in the package", help_)
    for named, key in ((file.signature, _SIGNATURE), (file.certificate, _CERTIFICATE)):
        if named and named not in there:
            message = f"cannot find {named[:100]!a}, the {key} of {_shown(file)}"
            yield Diagnostic(rules.SIGNATURE_MISSING, file.place(key), message, "put it into the package")


def _hash_faults(file: Listed) -> Iterator[Diagnostic]:
    if file.algorithm and file.algorithm not in HASHES:
        message = f"cannot check {_shown(file)} by {file.algorithm[:40]!a}"
        help_ = did_you_mean(file.algorithm, HASHES) or "use one of " + ", ".join(HASHES)
        yield Diagnostic(rules.UNKNOWN_ALGORITHM, file.place(_ALGORITHM), message, help_)
    elif file.algorithm:
        digits = HASHES[file.algorithm][1]
        if not re.fullmatch(r"[0-9a-fA-F]*", file.hash) or len(file.hash) != digits:
            message = f"cannot read the hash of {_shown(file)}: {file.algorithm} has {digits} hexadecimal digits"
            yield Diagnostic(rules.BAD_HASH, file.place(_HASH), message, "write what the digest tool says")
    elif file.hash:
        message = f"cannot check {_shown(file)}: it has a hash and no algorithm"
        yield Diagnostic(rules.UNKNOWN_ALGORITHM, file.place(_HASH), message, "add 'Algorithm: SHA-256' or another")
    else:
        message = f"cannot tell whether {_shown(file)} is the right file: it is listed without a hash"
        yield Diagnostic(rules.NO_HASH, file.span, message, "add 'Algorithm:' and 'Hash:'")


def _shown(file: Listed) -> str:
    return ascii(file.path[:100])
