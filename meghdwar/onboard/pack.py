"""Makes a package (SOL004) of a folder. The same folder gives the same bytes, and `read` accepts what comes out.

A manifest lists every file with its hash. One that lies in the folder keeps its metadata, its sets and its other keys;
without one the metadata come from the descriptor. Files are stored, not compressed: what a compressor makes depends on
its version, and images are compressed already.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from meghdwar.compiler import check_location, meta
from meghdwar.compiler.location import Folder, entry
from meghdwar.diagnostics import Diagnostic, Span
from meghdwar.onboard import description, manifest, package, rules
from meghdwar.onboard.manifest import Listed
from meghdwar.onboard.package import Package
from meghdwar.onboard.signing import Signer

_MOMENT = (1980, 1, 1, 0, 0, 0)
_PIECE = 2**20
_ALGORITHM = "SHA-256"


@dataclass(frozen=True, slots=True)
class _Contents:
    """The files of a folder by their names in the package; `written` are those that are made for it."""

    folder: Path
    files: tuple[str, ...]
    written: Mapping[str, bytes]


def pack(
    folder: Path, output: Path, signer: Signer | None = None, released: str = ""
) -> tuple[Package | None, list[Diagnostic]]:
    """Writes the package of a folder, whole or not at all, and says what is in it, or why there is none.

    `released` is the date of the release for a manifest that has none, as ISO 8601. Raises OSError.
    """
    location = Folder(folder)
    found = entry(location, str(folder))
    if isinstance(found, list):
        return None, found
    names, wrong = _files(folder, output)
    checked = check_location(*found)
    problems = [*wrong, *(problem for problem in checked.diagnostics if problem.is_error)]
    if problems:
        return None, problems
    about = description.of(checked.frame or checked.topology) or description.Description()
    metadata = {
        "vnf_product_name": about.product or posixpath.splitext(posixpath.basename(found[1]))[0],
        "vnf_provider_id": about.provider,
        "vnf_package_version": about.version or "1.0",
        "vnf_release_date_time": released,
    }
    contents, problems = _with_manifest(folder, names, found[1], metadata, signer)
    if problems:
        return None, problems
    return _written(contents, output)


def _files(folder: Path, output: Path) -> tuple[list[str], list[Diagnostic]]:
    """All files below a folder, in order; links, devices and the package itself are no part of one."""
    names: list[str] = []
    wrong: list[Diagnostic] = []
    for here, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted([*files, *(inner for inner in folders if os.path.islink(os.path.join(here, inner)))]):
            path = Path(here, name)
            if not stat.S_ISREG(path.lstat().st_mode):
                message = f"cannot pack {path}: it is a link or a device"
                wrong.append(Diagnostic(rules.NOT_A_FILE, Span(str(path)), message, "put the file itself there"))
            elif path.resolve() == output.resolve():
                message = f"cannot pack {path}: it is the package that is to be written"
                wrong.append(Diagnostic(rules.NOT_A_FILE, Span(str(path)), message, "write it out of the folder"))
            else:
                names.append(path.relative_to(folder).as_posix())
    return sorted(names), wrong


# the manifest
def _with_manifest(
    folder: Path, names: list[str], descriptor: str, metadata: Mapping[str, str], signer: Signer | None
) -> tuple[_Contents, list[Diagnostic]]:
    tosca_meta = next((path for path in meta.PATHS if path in names), "")
    keys = (folder / tosca_meta).read_bytes() if tosca_meta else b""
    named = meta.parse(keys, tosca_meta)[0].keys.get(meta.MANIFEST, "")
    path = named or posixpath.splitext(posixpath.basename(descriptor))[0] + ".mf"
    old, problems = manifest.parse(b"", path, path)
    if path in names:
        old, problems = manifest.parse((folder / path).read_bytes(), path, str(folder / path))
    written = {}
    if tosca_meta and not named:
        written[tosca_meta] = _with_key(keys, meta.MANIFEST, path)
    listed = [name for name in names if name not in (path, tosca_meta)]
    text = _text({**metadata, **old.metadata}, old.files, listed, folder).encode()
    written[path] = text + signer.sign(text) if signer is not None else text
    first = [name for name in (tosca_meta, path) if name]
    return _Contents(folder, (*first, *listed), written), [problem for problem in problems if problem.is_error]


def _with_key(keys: bytes, key: str, value: str) -> bytes:
    """TOSCA.meta with one more key at the end of its first block."""
    lines = keys.decode("utf-8-sig").splitlines()
    begin = next(i for i, line in enumerate(lines) if line.strip())
    end = next((i for i in range(begin, len(lines)) if not lines[i].strip()), len(lines))
    return "\n".join([*lines[:end], f"{key}: {value}", *lines[end:], ""]).encode()


def _text(metadata: Mapping[str, str], old: tuple[Listed, ...], names: list[str], folder: Path) -> str:
    known = {file.path: file for file in old}
    sets: dict[str, list[str]] = {}
    for name in names:
        sets.setdefault(known[name].non_mano_set if name in known else "", []).append(name)
    lines = ["metadata:", *(f"  {key}: {value}" for key, value in metadata.items() if value)]
    for name in sets.pop("", []):
        lines += ["", *_block(folder, name, known.get(name))]
    if sets:
        lines += ["", "non_mano_artifact_sets:"]
    for set_, members in sorted(sets.items()):
        lines.append(f"  {set_}:")
        for name in members:
            lines += [f"    {line}" for line in _block(folder, name, known.get(name))]
    return "\n".join([*lines, ""])


def _block(folder: Path, name: str, old: Listed | None) -> Iterator[str]:
    yield f"Source: {name}"
    yield f"Algorithm: {_ALGORITHM}"
    with (folder / name).open("rb") as file:
        yield f"Hash: {hashlib.file_digest(file, manifest.HASHES[_ALGORITHM][0]).hexdigest()}"
    if old is not None:
        named = {"Signature": old.signature, "Certificate": old.certificate, **old.metadata}
        yield from (f"{key}: {value}" for key, value in named.items() if value)


# the archive
def _written(contents: _Contents, output: Path) -> tuple[Package | None, list[Diagnostic]]:
    """Puts the package in its place once it was read and found to be right."""
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as beside:
        made = Path(beside, output.name)
        with ZipFile(made, "w", ZIP_STORED) as archive:
            for path in contents.files:
                _add(archive, contents, path)
        found, problems = package.read(made)
        if found is not None:
            made.replace(output)
        return found, problems


def _add(archive: ZipFile, contents: _Contents, path: str) -> None:
    info = ZipInfo(path, _MOMENT)
    info.create_system = 3  # Unix, wherever this runs
    given = contents.written.get(path)
    if given is not None:
        info.external_attr = (stat.S_IFREG | 0o644) << 16
        archive.writestr(info, given)
        return
    real = contents.folder / path
    runs = real.stat().st_mode & stat.S_IXUSR
    info.external_attr = (stat.S_IFREG | (0o755 if runs else 0o644)) << 16
    info.file_size = real.stat().st_size
    with real.open("rb") as source, archive.open(info, "w") as target:
        while piece := source.read(_PIECE):
            target.write(piece)
