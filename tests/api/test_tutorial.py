"""What the tutorial of the first package tells people to type works, in the order of the page."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.served import served
from tests.contract.pairs import eventually
from tests.test_docs_driver import ROOT, typed

pytestmark = pytest.mark.real

TUTORIAL = ROOT / "docs/tutorial/first-package.md"
PROGRAMS = {"mdw": "meghdwar.cli.mdw", "python": "", "openstack": "openstackclient.shell"}


def test_the_tutorial_of_the_first_package_works(tmp_path: Path) -> None:
    pytest.importorskip("openstackclient.shell", reason="python-openstackclient is not installed")
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in PROGRAMS.items():
        run = f'"{sys.executable}" -m {module}' if module else f'"{sys.executable}"'
        (programs / name).write_text(f'#!/bin/sh\nexec {run} "$@"\n')
        (programs / name).chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    with served(tmp_path / "home") as server:
        script = typed(TUTORIAL).replace("/tmp/", f"{tmp_path}/").replace(".venv/bin", str(programs))  # noqa: S108
        script = script.replace("http://127.0.0.1:9890", server.url).replace("~/.local/state", f"{server.home}/state")
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script], cwd=ROOT, capture_output=True, text=True,
            env=environment | {"HOME": str(tmp_path), "no_proxy": "*"},
        )  # fmt: skip
        if done.returncode:  # it stopped half way: nothing of it goes on running
            server.ask("DELETE", "/v1/applications/game")
            eventually(lambda: server.ask("GET", "/v1/applications/game").status == 404, 60, every_s=0.2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("event: ended") == 1
    assert "move completed, nobody was served for" in done.stdout
    assert not (tmp_path / "first-package").exists()
