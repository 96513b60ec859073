"""What the documentation shows works: descriptors compile, links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from meghdwar.compiler import compile_file

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "bench/RESULTS.md"])
LINK = re.compile(r"\]\(([^)#\s]+)")


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def without_problems(path: Path) -> None:
    result = compile_file(str(path))
    assert [f"{d.span} {d.message}" for d in result.diagnostics] == []
    assert result.bundle is not None


def test_the_descriptor_of_the_readme_compiles(tmp_path: Path) -> None:
    path = tmp_path / "greenhouse.tosca.yaml"
    path.write_text(blocks(ROOT / "README.md")[0])
    without_problems(path)


def test_the_descriptor_of_the_tutorial_compiles_at_every_step(tmp_path: Path) -> None:
    first, cloudlet, follow = blocks(ROOT / "docs/tutorial/first-descriptor.md")
    path = tmp_path / "game.tosca.yaml"
    path.write_text(first)
    assert [d.message for d in compile_file(str(path)).diagnostics] == [
        "no cloudlet starts in 'town': it serves no application"
    ]
    second = first.replace("\n  groups:", "\n" + cloudlet + "\n  groups:")
    path.write_text(second)
    without_problems(path)
    path.write_text(second + "\n" + follow)
    without_problems(path)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    lost = [link for link in LINK.findall(text) if "://" not in link and not (page.parent / link).exists()]
    assert lost == []
