"""The measurement of the driver's own work measures what it says, on a small site."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import move_coordination
from bench.measured import Options, render
from tests import postgresql


def test_it_measures_every_way_to_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise postgresql.MissingError("it is not wanted here")

    monkeypatch.setattr(move_coordination, "SUBSCRIBERS", (3, 6))
    monkeypatch.setattr(move_coordination, "BATCH", 4)
    monkeypatch.setattr(move_coordination, "WATCHED", 20)
    monkeypatch.setattr(postgresql, "running", missing)
    monkeypatch.setattr(move_coordination, "_two_processes", lambda url, subscribers, runs: (1.0,) * runs)
    table, watched = move_coordination.run(Options(runs=2, folder=str(tmp_path)))
    asked = [row.case for row in table.rows]
    assert asked[:3] == [("SQLite", "3", what, "1") for what in ("steps", "mdw move", "sighting")]
    assert asked[3:] == [
        *(("SQLite", "6", what, "1") for what in ("steps", "mdw move", "sighting")),
        ("SQLite", "6", "steps", "4 threads"),
        ("SQLite", "6", "steps", "2 processes"),
    ]
    assert all(len(row.values) == 2 and min(row.values) > 0 for row in table.rows)
    assert [row.p50_min for row in table.rows[:2]] == [100.0, None]
    assert "PostgreSQL was left out: it is not wanted here" in render(table)
    assert [(row.case, len(row.values), min(row.values) > 0) for row in watched.rows] == [(("SQLite", "6"), 2, True)]
    assert list(tmp_path.iterdir()) == []
