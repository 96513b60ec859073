"""Hostile packages are refused, each with its own code, quickly, in little memory, and nothing else happens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.onboard.authorities import root
from tests.onboard.hostile_archives import ARCHIVES
from tests.onboard.hostile_packages import PACKAGES
from tests.onboard.hostile_signatures import SIGNED

KINDS = {**ARCHIVES, **PACKAGES, **SIGNED}
NAMES = {kind: f"{'trusted-' if kind in SIGNED else ''}{number:03}.csar" for number, kind in enumerate(KINDS)}
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process that reads them all says of each."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "root.pem").write_bytes(root().pem)
    for kind, (_, make) in KINDS.items():
        (folder / NAMES[kind]).write_bytes(make())
    command = [sys.executable, "-m", "tests.onboard.judge", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return dict(json.loads(done.stdout))


def test_there_are_enough_kinds() -> None:
    assert len(KINDS) == len(ARCHIVES) + len(PACKAGES) + len(SIGNED)
    assert len({code for code, _ in KINDS.values()}) >= 60


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_package_is_refused(kind: str, verdicts: dict[str, Any]) -> None:
    verdict = verdicts[NAMES[kind]]
    assert KINDS[kind][0] in verdict["codes"], verdict["messages"]
    assert not verdict["accepted"]
    assert all(verdict["helps"])
    assert all(message.startswith("cannot ") and message[-1] != "." for message in verdict["messages"])
    assert verdict["tried"] == []
    assert verdict["cpu_s"] < 1
    assert verdict["memory_mb"] < 100
