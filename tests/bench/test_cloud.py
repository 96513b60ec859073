"""The benchmark of stacks on a real cloud, as far as it goes without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import many_gateways, move_cloud
from bench.measured import Lacking, Options
from meghdwar import bundle as bundles
from meghdwar.cli.compile import main as compile_main
from meghdwar.model import Gateway


def test_its_ten_gateways_are_in_one_stack(tmp_path: Path) -> None:
    file = tmp_path / "arena.tosca.yaml"
    file.write_text(many_gateways.many())
    assert compile_main(["--heat", "zed", "-o", str(tmp_path), str(file)]) == 0
    plan = bundles.read(tmp_path / "arena.plan.yaml").plan
    assert [gateway.zone for gateway in plan.each(Gateway)] == ["edge-1", "edge-2"] * 5


def test_without_a_cloud_it_says_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OS_CLOUD", raising=False)
    monkeypatch.setattr(move_cloud, "STATE", tmp_path)
    with pytest.raises(Lacking, match="OS_CLOUD"):
        next(iter(move_cloud.run(Options())))
