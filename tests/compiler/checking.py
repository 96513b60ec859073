"""What the compiler says of a file, a text or a changed file, for tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from meghdwar import compiler
from meghdwar.compiler.check import check
from meghdwar.compiler.documents import load
from meghdwar.compiler.location import Folder, Location
from meghdwar.compiler.targets import TARGETS
from meghdwar.diagnostics import Diagnostic


@dataclass(frozen=True, slots=True)
class Changed:
    """A location in which one file reads differently."""

    location: Location
    path: str
    content: bytes

    @property
    def root(self) -> str:
        return self.location.root

    def read(self, path: str) -> bytes | None:
        return self.content if path == self.path else self.location.read(path)

    def exists(self, path: str) -> bool:
        return path == self.path or self.location.exists(path)

    def names(self) -> list[str]:
        return self.location.names()

    def shown(self, path: str) -> str:
        return self.location.shown(path)


def check_file(path: Path) -> list[Diagnostic]:
    return check_entry(Folder(path.parent), path.name)


def check_entry(files: Location, entry: str) -> list[Diagnostic]:
    documents, _, problems = load(files, entry)
    return check(documents, files, problems)[1]


def compile_entry(files: Location, entry: str) -> list[Diagnostic]:
    """All problems up to the first stage that has errors; without any, the files of every target are made."""
    result = compiler._understood(files, entry, {}, skip_unmapped=True)
    found = list(result.diagnostics)
    if not result.failed and result.application is not None:
        for target in TARGETS:
            emitted = compiler._emitted(result, result.application, files, target, "2024.1")
            found += emitted.diagnostics[len(result.diagnostics) :]
    return found
