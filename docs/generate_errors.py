"""Writes docs/errors/README.md, the index of the pages there, from the rules and the pages themselves.

Run it from anywhere: `python docs/generate_errors.py`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "errors"
sys.path.insert(0, str(ROOT))

import meghdwar.archive.rules  # noqa: E402
import meghdwar.compiler.rules  # noqa: E402
import meghdwar.onboard.rules  # noqa: E402
from meghdwar.diagnostics import Rule  # noqa: E402

MODULES = (meghdwar.compiler.rules, meghdwar.archive.rules, meghdwar.onboard.rules)

HEAD = """# Errors

Each code has a page that says why, with an example that is wrong and one that is right. A code never changes its
meaning. How to read what the compiler says is in [Read an error](../how-to/read-errors.md).

| Code | Name | Severity | What it says |
|---|---|---|---|
"""


def index() -> str:
    """The index, a line for each rule in the order of the codes."""
    found = sorted(
        (r for module in MODULES for r in vars(module).values() if isinstance(r, Rule)), key=lambda rule: rule.code
    )
    return HEAD + "".join(f"| [{r.code}]({r.code}.md) | {r.name} | {r.severity} | {summary(r.code)} |\n" for r in found)


def summary(code: str) -> str:
    """The first sentence of a page."""
    page = FOLDER / f"{code}.md"
    paragraph = page.read_text(encoding="utf-8").split("\n\n")[1] if page.exists() else ""
    words = " ".join(paragraph.split()).replace("|", "\\|")
    return re.split(r"(?<=[^.][.?!]) (?=[A-Z`<])|$", words, maxsplit=1)[0]


if __name__ == "__main__":
    (FOLDER / "README.md").write_text(index(), encoding="utf-8")
