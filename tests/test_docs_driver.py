"""What the driver's pages tell people to type works, in the order of the page; and the reference has every option."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest

from meghdwar.cli import mdw, options
from meghdwar.driver import clusters, drift
from meghdwar.driver.fsck import CODES

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs/tutorial/first-move.md"
REFERENCE = ROOT / "docs/reference/mdw.md"


def typed(page: Path) -> str:
    """Every block of commands that is not a transcript of another terminal."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return "\n".join(text for language, text in blocks if not language)


def run(page: Path, folder: str, application: str, tmp_path: Path) -> str:
    """What the page's commands print; everything is in that folder of /tmp, and gone at the end."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in (("mdw", "meghdwar.cli.mdw"), ("mdw-compile", "meghdwar.cli.compile")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        (programs / name).chmod(0o755)
    script = typed(page).replace("/tmp/", f"{tmp_path}/").replace(".venv/bin", str(programs))  # noqa: S108
    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=ROOT, capture_output=True, text=True, env=os.environ | {"HOME": str(tmp_path)}
    )
    database = tmp_path / folder / "meghdwar.db"
    if database.exists():  # it stopped half way: nothing of it goes on running
        subprocess.run([programs / "mdw", "down", application, "--database", database], check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / folder).exists()
    return done.stdout


def test_the_tutorial_of_the_first_move_works(tmp_path: Path) -> None:
    told = run(TUTORIAL, "first-move", "arena-local", tmp_path)
    assert told.count("arena-local-arena is at edge_b, gap ") == 1
    assert told.count("arena-local-arena is at edge_a, gap ") == 1
    assert told.count("everything is as it should be") == 2


def test_a_vnf_moves_from_its_package_on(tmp_path: Path) -> None:
    told = run(ROOT / "docs/how-to/move-a-vnf.md", "a-vnf", "arena-vnf", tmp_path)
    assert told.count("arena-vnf-arena is at edge_b, gap ") == 1


def test_every_problem_of_fsck_is_on_its_page() -> None:
    page = (ROOT / "docs/how-to/fsck.md").read_text(encoding="utf-8")
    codes = [*CODES.items(), *drift.CODES.items(), *clusters.CODES.items()]
    assert re.findall(r"^\| `([a-z-]+)` \| ([^|]*) \|", page, re.MULTILINE) == codes


def test_the_reference_has_every_command_and_every_option() -> None:
    page = REFERENCE.read_text(encoding="utf-8")
    for key in mdw.COMMANDS:
        words = key.replace("_", " ", 1) if key.startswith(("plan_", "gateway_", "package_")) else key
        assert f"`{words}" in page, words
    missing = {option for option in given(options.parser()) if option not in page}
    assert missing <= {"--help", "-h", "--color", "--version"}


def given(parser: ArgumentParser) -> set[str]:
    found = set()
    for action in parser._actions:
        found |= set(action.option_strings)
        for inner in (action.choices or {}).values() if isinstance(action.choices, dict) else ():
            found |= given(inner)
    return found


@pytest.mark.parametrize("name", ["status", "-f", "--database", "exit status"])
def test_help_and_reference_speak_of_the_same(name: str) -> None:
    assert name in options.parser().format_help()
    assert name in REFERENCE.read_text(encoding="utf-8").lower()
