"""The frame of the benchmarks of moves: percentiles, tables, what was promised, and the section that is written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import move, results
from bench.measured import Lacking, Options, Row, Table, missed, percentile, ratio, render
from meghdwar.driver.hypervisor import Capabilities

ROOT = Path(__file__).parents[2]


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 100))
def test_a_percentile_is_a_value_that_was_measured(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= len(values) * percent / 100


def test_percentiles_by_nearest_rank() -> None:
    values = [float(n) for n in range(1, 21)]
    assert (percentile(values, 50), percentile(values, 95), percentile(values, 100)) == (10, 19, 20)
    assert percentile([3.0], 95) == 3.0


def test_a_ratio_says_how_many_times_better() -> None:
    assert ratio(Row((), (0.1, 0.2, 0.3), (2.0,))) == 10
    assert ratio(Row((), (200.0,), (100.0,)), more_is_better=True) == 2
    assert ratio(Row((), (1.0,))) is None


def test_what_was_missed_is_said() -> None:
    good = Row(("a",), (0.1, 0.2), (2.0,), p50_max=0.1, p95_max=0.2, ratio_min=20)
    assert missed(Table("", ("case",), (good,))) == []
    bad = Row(("b",), (0.3, 0.9), p50_max=0.25, p95_max=0.5, ratio_min=5)
    assert missed(Table("", ("case",), (bad,))) == [
        "b: p50 is 0.300 s, and at most 0.25 was promised",
        "b: p95 is 0.900 s, and at most 0.5 was promised",
        "b: the ratio to the naive way is not known, and at least 5 was promised",
    ]
    assert missed(Table("", ("case",), (Row(("c",), (90.0,), p50_min=100),), unit="moves/s")) == [
        "c: p50 is 90.0 moves/s, and at least 100 was promised"
    ]
    assert missed(Table("", ("case",), (Row(("d",), ()),))) == ["d: nothing was measured"]


def test_the_table_has_the_naive_way_beside_ours() -> None:
    found = Table(
        "The gap.", ("state", "strategy"), (Row(("1 GiB", "warm"), (0.2, 0.3), (7.0,), ratio_min=20),), naive="copy"
    )
    sentence, _, head, _, row = render(found).splitlines()
    assert sentence == "The gap. The naive way beside it: copy."
    assert [cell.strip() for cell in head.strip("|").split("|")] == [
        *("state", "strategy", "p50 (s)", "p95", "max", "runs"),
        *("naive p50", "naive p95", "naive runs", "ratio", "promised"),
    ]
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        *("1 GiB", "warm", "0.200", "0.300", "0.300", "2"),
        *("7.00", "7.00", "1", "35.0", "ratio ≥ 20"),
    ]


def test_what_was_missed_stands_below_the_table() -> None:
    found = Table("The gap.", ("case",), (Row(("a",), (1.0,), p50_max=0.1),), notes=("slow disk",))
    assert render(found).endswith("\n\n- slow disk\n- MISSED: a: p50 is 1.00 s, and at most 0.1 was promised")


@pytest.mark.parametrize(("text", "count"), [("100M", 100 * 2**20), ("1G", 2**30), ("4096", 4096), ("2K", 2048)])
def test_sizes(text: str, count: int) -> None:
    assert move.size(text) == count


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5G", "1T", "M", "9" * 30])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="cannot read"):
        move.size(text)


def test_a_scenario_is_asked_and_its_section_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path / "RESULTS.md")
    asked: list[Options] = []

    def run(options: Options) -> Iterator[Table]:
        asked.append(options)
        yield Table("The gap.", ("case",), (Row(("a",), (0.05,), p50_max=0.1),))

    arguments = ["local", "--runs", "3", "--size", "1M", "--size", "1G", "--write"]
    assert move.main(arguments, find=lambda name: run) == move.MET
    assert (asked[0].runs, asked[0].sizes) == (3, (2**20, 2**30))
    written = (tmp_path / "RESULTS.md").read_text()
    assert "<!-- move local -->\n## Moving: processes" in written
    assert "`python bench/move.py local --runs 3 --size 1M --size 1G --write`" in written
    assert "The gap." in capsys.readouterr().out


def test_a_promise_that_was_missed_is_a_status_of_its_own() -> None:
    def run(options: Options) -> list[Table]:
        return [Table("The gap.", ("case",), (Row(("a",), (0.5,), p50_max=0.1),))]

    assert move.main(["local"], find=lambda name: run) == move.MISSED


def test_a_machine_that_lacks_something_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def run(options: Options) -> list[Table]:
        raise Lacking("there is no LXD here (apt-get install lxd)")

    assert move.main(["lxd"], find=lambda name: run) == move.LACKING
    assert capsys.readouterr().err == "cannot measure lxd: there is no LXD here (apt-get install lxd)\n"


@pytest.mark.parametrize("arguments", [["local", "--size", "x"], ["local", "--runs", "0"], ["somewhere"]])
def test_a_wrong_command_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        move.main(arguments)
    assert "cannot" in capsys.readouterr().err or arguments == ["somewhere"]


def test_the_simulator_is_called_by_its_own_command() -> None:
    called: list[list[str]] = []
    assert move.main(["simulator", "--seed", "7", "--write"], call=lambda command: called.append(command) or 3) == 3
    assert called[0][1:] == ["-m", "tests.simulator", "--seconds", "60", "--seed", "7", "--write"]


# what a preview says is what was measured
@pytest.mark.parametrize("kind", ["local", "lxd", "kvm"])
def test_what_strategies_are_said_to_cost_is_what_was_measured(kind: str) -> None:
    able: Capabilities = pytest.importorskip(f"meghdwar.driver.{kind}").CAPABILITIES
    section = (ROOT / "bench/RESULTS.md").read_text().partition(f"<!-- move {kind} -->")[2].partition("<!--")[0]
    measured = re.findall(r"^\| *(\d+) (MiB|GiB) *\| *(\w+) *\| *([\d.]+)", section, re.M)
    assert measured
    for number, unit, strategy, gap in measured:
        cost = able.strategies[strategy]
        said_s = cost.gap_s + cost.gap_s_per_gb * int(number) * {"MiB": 2**20, "GiB": 2**30}[unit] / 10**9
        assert float(gap) / 1.5 < said_s < float(gap) * 1.5, f"{strategy} of {number} {unit}"
