"""The mistakes that people make: each is found, under its own code, at its exact place, with a way out.

The first line of each file in tests/mistakes says what has to be found: `# expect: CODE LINE:COLUMN, ...`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from meghdwar import render
from meghdwar.diagnostics import Diagnostic
from tests.compiler.checking import check_file

FOLDER = Path(__file__).parents[1] / "mistakes"
FILES = sorted(FOLDER.glob("*.yaml"))


def expected(path: Path) -> list[tuple[str, int, int]]:
    head = path.read_text(encoding="utf-8").partition("\n")[0]
    found = re.findall(r"(MDW\d{3}) (\d+):(\d+)", head.removeprefix("# expect: "))
    return [(code, int(line), int(column)) for code, line, column in found]


def found_in(path: Path) -> list[Diagnostic]:
    """The errors, and those warnings that are expected; others are follow-ups."""
    codes = {code for code, _, _ in expected(path)}
    return [d for d in render.ordered(check_file(path)) if d.is_error or d.rule.code in codes]


def test_there_are_as_many_as_promised() -> None:
    assert len(FILES) >= 32
    assert len(expected(FOLDER / "five-at-once.yaml")) == 5


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_mistake_is_found_at_its_place_and_nothing_else_is_said(path: Path) -> None:
    found = found_in(path)
    assert [(d.rule.code, d.span.line, d.span.column) for d in found] == expected(path)
    assert all(d.help for d in found)
    assert all(d.message.startswith("cannot ") and not d.message.endswith(".") for d in found)
