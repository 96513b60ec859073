"""Every rule has a page in docs/errors and every page a rule, and what the pages show as wrong or right is that.

A page has blocks under `## Wrong` and `## Right`. The first is the descriptor; one with a name on its fence line, such
as ```yaml types.yaml, is a file beside it. The line "It shows when compiling with `--heat 2025.1`." gives options.
"""

from __future__ import annotations

import re
import runpy
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import meghdwar.archive.rules
import meghdwar.compiler.rules
import meghdwar.onboard.rules
from meghdwar.compiler import check_file, compile_file
from meghdwar.diagnostics import Diagnostic, Rule

DOCS = Path(__file__).parents[1] / "docs"
FOLDER = DOCS / "errors"
MODULES = (meghdwar.compiler.rules, meghdwar.archive.rules, meghdwar.onboard.rules)
RULES = {rule.code: rule for module in MODULES for rule in vars(module).values() if isinstance(rule, Rule)}
ELSEWHERE = (
    "compiler/test_location.py", "onboard/hostile_archives.py", "onboard/hostile_packages.py",
    "onboard/hostile_signatures.py", "onboard/test_pack.py", "onboard/test_package.py", "onboard/test_signatures.py",
)  # fmt: skip
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("MDW*.md"))}
ENTRY = "service.yaml"

_BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_OPTION = re.compile(r"^It shows when compiling with `(--[^`]*)`\.$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Example:
    """`options` are those of compile_file; without any, checking may be enough."""

    files: dict[str, str]
    options: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, object] = field(default_factory=dict)

    def checked(self, folder: Path) -> tuple[Diagnostic, ...]:
        return check_file(str(self._written(folder)), inputs=self.inputs).diagnostics

    def compiled(self, folder: Path) -> tuple[Diagnostic, ...]:
        path = str(self._written(folder))
        return compile_file(path, inputs=self.inputs, **self.options).diagnostics  # type: ignore[arg-type]

    def _written(self, folder: Path) -> Path:
        for name, text in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        return folder / ENTRY


def example(code: str, section: str) -> Example | None:
    """The example of a page, or None when it shows a package or a command line instead of a descriptor."""
    page = PAGES[code]
    blocks = _BLOCK.findall(page.partition(f"## {section}\n")[2].partition("\n## ")[0])
    if blocks[0][0] != "yaml":
        return None
    said = _OPTION.search(page)
    words = said[1].split() if said else []
    options = {key.removeprefix("--"): word for key, word in zip(words[::2], words[1::2], strict=True)}
    name, _, value = options.pop("input", "").partition("=")
    return Example({block[1] or ENTRY: block[2] for block in blocks}, options, {name: value} if name else {})


RUN = [code for code in PAGES if example(code, "Wrong") is not None]
PACKAGED = [code for code in PAGES if code not in RUN]


def test_every_rule_has_a_page_and_every_page_a_rule() -> None:
    assert sorted(PAGES) == sorted(RULES)


@pytest.mark.parametrize("code", PAGES)
def test_a_page_has_its_title_why_and_two_examples(code: str) -> None:
    title, _, rest = PAGES[code].partition("\n\n")
    assert title == f"# {code}: {RULES[code].name}"
    assert rest[:1].isupper() or rest[:1] == "`"
    assert [line for line in rest.splitlines() if line.startswith("## ")] == ["## Wrong", "## Right"]


@pytest.mark.parametrize("code", RUN)
def test_examples_show_what_they_say(code: str, tmp_path: Path) -> None:
    """The wrong one gives the code and no other error, the right one neither the code nor any error."""
    wrong, right = example(code, "Wrong"), example(code, "Right")
    assert wrong is not None
    assert right is not None
    (tmp_path / "wrong").mkdir()
    (tmp_path / "right").mkdir()
    stage, found = Example.checked, wrong.checked(tmp_path / "wrong")
    if wrong.options or all(d.rule.code != code for d in found):
        stage, found = Example.compiled, wrong.compiled(tmp_path / "wrong")
    assert code in [d.rule.code for d in found]
    if code > "MDW010":  # of a value that cannot be read there is more to say
        assert [str(d) for d in found if d.is_error and d.rule.code != code] == []
    assert [str(d) for d in stage(right, tmp_path / "right") if d.is_error or d.rule.code == code] == []


@pytest.mark.parametrize("code", PACKAGED)
def test_what_is_no_descriptor_is_shown_in_other_tests(code: str) -> None:
    """Packages that are cut short, encrypted and the like are made in the tests of the location and of packages."""
    assert any(code in (Path(__file__).parent / name).read_text(encoding="utf-8") for name in ELSEWHERE)


def test_the_index_is_up_to_date() -> None:
    generator = runpy.run_path(str(DOCS / "generate_errors.py"))
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == generator["index"](), "run docs/generate_errors.py"
