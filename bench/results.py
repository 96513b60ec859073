"""bench/RESULTS.md: each command owns one section, between its markers, and rewrites only that."""

from __future__ import annotations

import os
import platform
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"
TITLE = "# Results\n\nEach section is written by the command that it names; nothing here is typed by hand.\n"


def write_section(name: str, text: str) -> None:
    """Puts `text` between the markers of `name`, at the end when they are not there yet."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    old = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else TITLE
    section = f"{begin}\n{text.strip()}\n{end}"
    if begin in old:
        before, rest = old.split(begin, 1)
        new = before + section + rest.split(end, 1)[1]
    else:
        new = f"{old.rstrip()}\n\n{section}\n"
    RESULTS.write_text(new, encoding="utf-8")


def machine() -> str:
    """The machine in general words: enough to compare, not enough to find it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {memory} GiB, {system}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, with numbers to the right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [head, ["-" * widths[0], *("-" * (w - 1) + ":" for w in widths[1:])], *rows]
    return "\n".join(
        "| "
        + " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
        + " |"
        for line in lines
    )
