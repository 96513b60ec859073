"""What the names of entries must not be: another file elsewhere, or two files that are one somewhere else."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from meghdwar.archive import rules
from meghdwar.archive.directory import Entry
from meghdwar.archive.fault import Fault
from meghdwar.archive.limits import Limits

_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\.|$)", re.IGNORECASE)
_RELATIVE = "use relative names with / inside"
_PLAIN = "give the file a plain name"


def faults(entries: Sequence[Entry], limits: Limits) -> Iterator[Fault]:
    for entry in entries:
        found = _of_one(entry.path, limits)
        if found is not None:
            rule, why, help_ = found
            yield Fault(rule, f"cannot accept the entry name {entry.path[:100]!a}: {why}", help_)
    yield from _of_pairs(entries)


def _of_one(path: str, limits: Limits) -> Fault | None:
    """What is wrong with a name, the worst only."""
    name = path.removesuffix("/")
    parts = name.split("/")
    if not name:
        return (
            Fault(rules.ABSOLUTE_NAME, "it is absolute", _RELATIVE)
            if path
            else Fault(rules.EMPTY_NAME, "it is empty", _PLAIN)
        )
    if len(path) > limits.name_length:
        return Fault(rules.LONG_NAME, f"it has more than {limits.name_length} characters", "use shorter names")
    if name.startswith("/"):
        return Fault(rules.ABSOLUTE_NAME, "it is absolute", _RELATIVE)
    if ".." in parts:
        return Fault(rules.CLIMBING_NAME, "it leads out of a folder", _RELATIVE)
    if "\0" in name:
        return Fault(rules.NUL, "it has a NUL in it", _PLAIN)
    if "\\" in name:
        return Fault(rules.BACKSLASH, "it has a backslash in it", _RELATIVE)
    if any(len(part) > 1 and part[1] == ":" for part in parts):
        return Fault(rules.DRIVE, "it names a drive", _RELATIVE)
    if any(unicodedata.category(character) == "Cc" for character in name):
        return Fault(rules.CONTROL_CHARACTER, "it has a control character in it", _PLAIN)
    if not name.isprintable():
        return Fault(rules.INVISIBLE, "it has a character in it that cannot be seen", _PLAIN)
    if any(part in ("", ".") for part in parts):
        return Fault(rules.EMPTY_PART, "a part of it is empty or a dot", _RELATIVE)
    if any(_RESERVED.match(part) for part in parts):
        return Fault(rules.RESERVED_NAME, "it is the name of a device on some systems", _PLAIN)
    if any(part[-1] in ". " for part in parts):
        return Fault(rules.TRAILING_DOT, "a part of it ends with a dot or a space, which some systems drop", _PLAIN)
    if len(parts) > limits.folders_deep:
        return Fault(rules.TOO_DEEP, f"it is more than {limits.folders_deep} folders deep", "use fewer folders")
    return None


def _of_pairs(entries: Sequence[Entry]) -> Iterator[Fault]:
    """Names that are the same, here or where letters are compared otherwise."""
    seen: set[str] = set()
    alike: dict[str, str] = {}
    files = {entry.path for entry in entries if not entry.is_folder}
    for entry in entries:
        name = entry.path.removesuffix("/")
        shown = ascii(name[:100])
        if name in seen:
            yield Fault(rules.SAME_NAME, f"cannot have the entry {shown} twice", "pack it again")
            continue
        seen.add(name)
        for rule, key in ((rules.CASE_ALIKE, name.casefold()), (rules.LOOK_ALIKE, _looks(name))):
            other = alike.setdefault(key, name)
            if other != name:
                yield Fault(
                    rule, f"cannot have both {other[:100]!a} and {shown}: some systems take them for one", _PLAIN
                )
                break
        folder = next((folder for folder in _folders(name) if folder in files), None)
        if folder is not None:
            message = f"cannot have {folder[:100]!a} as a file and as the folder of {shown}"
            yield Fault(rules.FILE_AND_FOLDER, message, "rename one of the two")


def _looks(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _folders(name: str) -> Iterator[str]:
    at = name.find("/")
    while at >= 0:
        yield name[:at]
        at = name.find("/", at + 1)
