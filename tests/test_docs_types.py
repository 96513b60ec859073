"""The reference of types says what the files in tosca/ say."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GENERATOR = runpy.run_path(str(ROOT / "docs" / "generate_types.py"))


@pytest.mark.parametrize("page", sorted(GENERATOR["PAGES"]))
def test_page_is_up_to_date(page: str) -> None:
    written = (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
    assert written == GENERATOR["PAGES"][page](), "run `python docs/generate_types.py`"


def test_every_type_and_property_says_what_it_is_for() -> None:
    library = GENERATOR["load"]("meghdwar.yaml")
    types = [(n, t) for section in GENERATOR["SECTIONS"] for n, t in (library.get(section) or {}).items()]
    assert [name for name, type_ in types if not type_.get("description")] == []
    assert [
        f"{name} {key}"
        for name, type_ in types
        for part in ("properties", "attributes")
        for key, schema in type_.get(part, {}).items()
        if not schema.get("description")
    ] == []
