"""How the commands of mdw print what they found: a table for people, JSON or YAML for programs."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

FORMATS = ("table", "json", "yaml")
Rows = Sequence[Mapping[str, Any]]


def show(options: Namespace, rows: Rows, *, columns: Sequence[str] = (), nothing: str = "") -> None:
    """Prints rows: every key of them for programs, these columns for people (all, when none are named). Where there
    are no rows, people read the sentence `nothing`."""
    if options.format != "table":
        dump(options, list(rows))
    elif not rows:
        print(nothing, file=sys.stderr)
    elif fancy(options, sys.stdout):
        _rich_table(rows, list(columns or rows[0]))
    else:
        _plain_table(rows, list(columns or rows[0]))


def dump(options: Namespace, data: Any) -> None:
    """Prints plain data for programs."""
    if options.format == "json":
        import json

        print(json.dumps(data, indent=2, ensure_ascii=False))
        return
    import yaml

    sys.stdout.write(yaml.dump(data, Dumper=yaml.SafeDumper, sort_keys=False, allow_unicode=True))


def fancy(options: Namespace, stream: TextIO) -> bool:
    """Whether it may be coloured, and drawn over again."""
    if options.colour != "auto":
        return bool(options.colour == "always")
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def _plain_table(rows: Rows, columns: Sequence[str]) -> None:
    """Columns of the same width and two spaces between, nothing cut off: good for grep and awk too."""
    lines = [[name.upper().replace("_", " ") for name in columns]]
    lines += [[_cell(row.get(name)) for name in columns] for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _rich_table(rows: Rows, columns: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name.upper().replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row.get(name)), style=STYLES.get(str(row.get(name)), "")) for name in columns))
    Console().print(table)


# words that matter -> how they look
STYLES = {
    "good": "green", "completed": "green", "running": "green", "warning": "yellow", "waiting": "yellow",
    "compensated": "yellow", "bad": "red", "failed": "red",
}  # fmt: skip


def size(count: int | None) -> str:
    """Bytes for people, in the units that disks are sold in: 12.3 MB."""
    if count is None:
        return "-"
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{count} B" if unit == "B" else f"{amount:.3g} {unit}"


def seconds(amount: float | None) -> str:
    """Seconds for people: 84 ms, 1.2 s, 3 min."""
    if amount is None:
        return "-"
    if amount < 1:
        return f"{amount * 1000:.0f} ms"
    return f"{amount:.3g} s" if amount < 120 else f"{amount / 60:.0f} min"


def moment(at: float | None) -> str | None:
    """A time as people and programs read it, in UTC: 2026-11-22T14:03:07.123Z."""
    if at is None:
        return None
    import datetime

    made = datetime.datetime.fromtimestamp(at, datetime.UTC)
    return made.isoformat(timespec="milliseconds").replace("+00:00", "Z")
