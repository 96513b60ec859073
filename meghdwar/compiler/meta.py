"""TOSCA.meta: the file in a package that names the service template."""

from __future__ import annotations

import re
from dataclasses import dataclass

from meghdwar.compiler import rules
from meghdwar.diagnostics import Diagnostic, Span, did_you_mean

PATHS = ("TOSCA-Metadata/TOSCA.meta", "TOSCA.meta")
_ENTRY, _OTHER, _VERSION = "Entry-Definitions", "Other-Definitions", "CSAR-Version"
MANIFEST, CERTIFICATE = "ETSI-Entry-Manifest", "ETSI-Entry-Certificate"
_ETSI = ("Change-Log", "Tests", "Licenses")
_KEYS = (
    "TOSCA-Meta-File-Version",
    _VERSION,
    "Created-By",
    _ENTRY,
    _OTHER,
    MANIFEST,
    *(f"ETSI-Entry-{k}" for k in _ETSI),
)
_LINE = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)[ \t]*:[ \t]*(.*)")
_FILE = re.compile(r'"([^"]+)"|([^\s",]+)')
_KNOWN_VERSION = re.compile(r"[12]\.\d+")


@dataclass(frozen=True, slots=True)
class Definitions:
    """A file that TOSCA.meta names, and where."""

    file: str
    key: str
    span: Span


@dataclass(frozen=True, slots=True)
class Meta:
    """What TOSCA.meta says: the keys of its first block, and the definitions with the entry first."""

    keys: dict[str, str]
    definitions: tuple[Definitions, ...]


def parse(content: bytes, file: str) -> tuple[Meta, list[Diagnostic]]:
    """TOSCA.meta read as lines `Key: value`. An empty line ends the first block, which is all that matters here."""
    keys: dict[str, str] = {}
    definitions: list[Definitions] = []
    problems: list[Diagnostic] = []
    lines = content.decode("utf-8-sig", "replace").splitlines()
    for number, line in enumerate(lines, 1):
        if line.startswith("#") or line.strip() == "---":
            continue
        if not line.strip():
            if keys:
                break
            continue
        match = _LINE.fullmatch(line.rstrip())
        if match is None:
            message = "cannot read this line of TOSCA.meta"
            problems.append(_problem(file, number, len(line), message, "write 'Key: value'"))
            continue
        key, value = _known(match[1]), match[2]
        if key in keys:
            message = f"cannot have {key} twice in TOSCA.meta"
            problems.append(_problem(file, number, len(match[1]), message, "remove one of the two"))
            continue
        keys[key] = value
        if key in (_ENTRY, _OTHER):
            definitions += [
                Definitions(
                    found[1] or found[2], key, Span(file, number, match.start(2) + found.start() + 1, len(found[0]))
                )
                for found in _FILE.finditer(value)
            ]
        elif key == _VERSION and not _KNOWN_VERSION.fullmatch(value):
            message = f"cannot read a package of CSAR version {value!r}"
            problems.append(_problem(file, number, len(line), message, "known are 1.0, 1.1 and 2.0"))
    definitions.sort(key=lambda found: found.key != _ENTRY)
    if not problems and (not definitions or definitions[0].key != _ENTRY):
        near = next((did_you_mean(key, [_ENTRY]) for key in keys if did_you_mean(key, [_ENTRY])), "")
        help_ = near or f"add '{_ENTRY}: PATH' with the path of the service template"
        problems.append(_problem(file, 1, 0, f"cannot find {_ENTRY} in TOSCA.meta", help_))
    return Meta(keys, tuple(definitions)), problems


def _known(key: str) -> str:
    """The key as the standard spells it; case does not matter."""
    return next((known for known in _KEYS if known.lower() == key.lower()), key)


def _problem(file: str, line: int, length: int, message: str, help_: str) -> Diagnostic:
    return Diagnostic(rules.BAD_META, Span(file, line, 1 if length else 0, max(length, 1)), message, help_)
