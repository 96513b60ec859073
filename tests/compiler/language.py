"""What the language makes of small descriptors, for tests."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from meghdwar.compiler import Result, check_file, compile_file
from meghdwar.compiler.topology import Topology

V1 = "tosca_definitions_version: tosca_simple_yaml_1_3\n"
V2 = "tosca_definitions_version: tosca_2_0\n"
NOTHING: Mapping[str, object] = {}
ALONE: Mapping[str, str] = {}


def check(text: str, files: Mapping[str, str] = ALONE, inputs: Mapping[str, object] = NOTHING) -> Result:
    """The result of checking a descriptor with files beside it."""
    with tempfile.TemporaryDirectory() as folder:
        return check_file(_written(Path(folder), text, files), inputs=inputs)


def errors(text: str, files: Mapping[str, str] = ALONE, inputs: Mapping[str, object] = NOTHING) -> list[str]:
    """The codes of its errors, in order."""
    return [d.rule.code for d in check(text, files, inputs).diagnostics if d.is_error]


def codes(text: str, files: Mapping[str, str] = ALONE) -> list[str]:
    """The codes of all that is said of the language, also warnings; what is said of stacks is left out."""
    return [d.rule.code for d in check(text, files).diagnostics if d.rule.code < "MDW400"]


def topology(text: str, files: Mapping[str, str] = ALONE, inputs: Mapping[str, object] = NOTHING) -> Topology:
    """The topology of a descriptor that is right."""
    with tempfile.TemporaryDirectory() as folder:
        result = compile_file(_written(Path(folder), text, files), inputs=inputs, skip_unmapped=True)
    assert [str(d) for d in result.diagnostics if d.is_error and d.rule.code < "MDW249"] == []
    assert result.topology is not None
    return result.topology


def _written(folder: Path, text: str, files: Mapping[str, str]) -> str:
    for name, content in {"service.yaml": text, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return str(folder / "service.yaml")
