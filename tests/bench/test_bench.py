from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from bench import compile as bench
from bench import results


@pytest.mark.parametrize(("size", "nodes"), [("hello", 1), ("10", 10), ("100", 100)])
def test_descriptors_have_the_nodes_that_their_size_says(size: str, nodes: int) -> None:
    templates = yaml.safe_load(bench.descriptor(size))["topology_template"]["node_templates"]
    assert len(templates) == nodes
    assert bench.descriptor(size) == bench.descriptor(size)
    storage = [name for name, template in templates.items() if template["type"] == "tosca.nodes.BlockStorage"]
    assert len(storage) == nodes // 2


def test_time_and_memory_of_a_process_are_measured(tmp_path: Path) -> None:
    busy = bench.measure([sys.executable, "-c", "x = bytearray(b'x') * 2**26; sum(range(2_000_000))"], str(tmp_path))
    idle = bench.measure([sys.executable, "-c", "pass"], str(tmp_path))
    assert busy.cpu_s > idle.cpu_s
    assert busy.peak_mb > idle.peak_mb + 50


def test_a_failure_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="on purpose"):
        bench.measure([sys.executable, "-c", "raise SystemExit('on purpose')"], str(tmp_path))


def test_the_report_says_how_far_ahead() -> None:
    found = {("10", "mdw-compile"): bench.Run(0.1, 20), ("10", "other"): bench.Run(0.45, 30)}
    assert "| 0.10 s / 20 MB | 0.45 s / 30 MB |     4.5 |" in bench.report(found, ["10"], ["mdw-compile", "other"])


def test_a_section_is_replaced_and_the_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path / "RESULTS.md")
    results.write_section("one", "old")
    results.write_section("two", "kept")
    results.write_section("one", "new")
    text = results.RESULTS.read_text()
    assert "new" in text
    assert "kept" in text
    assert "old" not in text
    assert text.index("new") < text.index("kept")
