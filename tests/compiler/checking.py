"""What the checker says of a file or a text, for tests."""

from __future__ import annotations

from pathlib import Path

from meghdwar.compiler.check import check
from meghdwar.compiler.documents import load
from meghdwar.compiler.location import Folder, Location
from meghdwar.diagnostics import Diagnostic


def check_file(path: Path) -> list[Diagnostic]:
    return check_entry(Folder(path.parent), path.name)


def check_entry(files: Location, entry: str) -> list[Diagnostic]:
    documents, _, problems = load(files, entry)
    return check(documents, files, problems)[1]
