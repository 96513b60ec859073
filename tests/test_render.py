"""Diagnostics as text, JSON and SARIF."""

from __future__ import annotations

import json

import jsonschema
import pytest

from meghdwar import render
from meghdwar.compiler import rules
from meghdwar.diagnostics import Diagnostic, Rule, Severity, Span

LOOSE = Rule("MDW998", "loose-words", Severity.WARNING)
SOURCES = {"f.yaml": "a: 1\nb:\n  - in_rage: [1, 4]\n\twide: 中文 x\n", "dir/g h.yaml": "\ufeffx: y\r\nz: w\r\n"}

FIRST = Diagnostic(
    rules.BAD_CONSTRAINT,
    Span("f.yaml", 3, 5, 7),
    "cannot find the constraint operator 'in_rage'",
    "did you mean 'in_range'?",
    ((Span("dir/g h.yaml", 2, 1, 1), "declared here"),),
)
SECOND = Diagnostic(LOOSE, Span("f.yaml", 1, 4), "cannot be sure of 1", "")


def test_text_shows_the_line_a_caret_a_way_out_and_the_other_places() -> None:
    assert render.text([FIRST, SECOND, FIRST], SOURCES) == (
        "f.yaml:1:4: warning MDW998 cannot be sure of 1\n"
        "  1 | a: 1\n"
        "    |    ^\n"
        "f.yaml:3:5: error MDW205 cannot find the constraint operator 'in_rage'\n"
        "  3 |   - in_rage: [1, 4]\n"
        "    |     ^^^^^^^\n"
        "  help: did you mean 'in_range'?\n"
        "  dir/g h.yaml:2:1: declared here\n"
        "  2 | z: w\n"
        "    | ^\n"
    )


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        (Span("f.yaml", 4, 8, 2), "  4 |  wide: 中文 x\n    |        ^^^^\n"),
        (Span("f.yaml", 4, 11), "  4 |  wide: 中文 x\n    |             ^\n"),
        (Span("f.yaml", 3, 0), "  3 |   - in_rage: [1, 4]\n    |   ^^^^^^^^^^^^^^^^^\n"),
        (Span("f.yaml", 1, 3, 500), "  1 | a: 1\n    |   ^^\n"),
        (Span("f.yaml", 1, 50, 5), "  1 | a: 1\n    |     ^\n"),
        (Span("dir/g h.yaml", 1, 1), "  1 | x: y\n    | ^\n"),
        (Span("f.yaml", 99, 1), ""),
        (Span("f.yaml", 5, 1), ""),
        (Span("nowhere.yaml", 1, 1), ""),
    ],
)
def test_the_caret_stands_below_what_is_meant(span: Span, shown: str) -> None:
    head, _, quoted = render.text([Diagnostic(LOOSE, span, "m", "")], SOURCES).partition("\n")
    assert head == f"{span}: warning MDW998 m"
    assert quoted == shown


def test_a_long_line_is_cut_round_the_place() -> None:
    source = "k: [" + "abcdefgh, " * 1000 + "]"
    page = render.text([Diagnostic(LOOSE, Span("f", 1, 5005, 8), "m", "")], {"f": source})
    _, line, carets = page.splitlines()
    assert len(line) < 200
    assert line[carets.index("^") : carets.rindex("^") + 1] == "abcdefgh"


def test_no_source_steers_a_terminal() -> None:
    diagnostic = Diagnostic(LOOSE, Span("f", 1, 1), "cannot \x1b[31m this\n", "\x07 help")
    page = render.text([diagnostic], {"f": "a: \x1b]0;title\x07"})
    assert "\x1b" not in page
    assert "\x07" not in page
    assert len(page.splitlines()) == 4


def test_color_only_when_asked() -> None:
    assert "\x1b" not in render.text([FIRST], SOURCES)
    assert "\x1b[1;31merror MDW205\x1b[0m" in render.text([FIRST], SOURCES, color=True)


def test_files_keep_their_order_and_places_are_sorted() -> None:
    spans = [Span("z", 2), Span("a", 9), Span("z", 1), Span("a", 3, 5), Span("a", 3, 4), Span("z", 2)]
    found = [d.span for d in render.ordered(Diagnostic(LOOSE, span, "m", "h") for span in spans)]
    assert found == [Span("z", 1), Span("z", 2), Span("a", 3, 4), Span("a", 3, 5), Span("a", 9)]


def test_summary() -> None:
    assert render.summary([FIRST, FIRST, SECOND]) == "1 error, 1 warning"
    assert render.summary([]) == ""


def test_json() -> None:
    second, first = json.loads(render.as_json([FIRST, SECOND, FIRST]))
    assert second["severity"] == "warning"
    assert first == {
        "file": "f.yaml",
        "line": 3,
        "column": 5,
        "length": 7,
        "severity": "error",
        "code": "MDW205",
        "name": "bad-constraint",
        "message": "cannot find the constraint operator 'in_rage'",
        "help": "did you mean 'in_range'?",
        "related": [{"file": "dir/g h.yaml", "line": 2, "column": 1, "length": 1, "message": "declared here"}],
    }
    assert json.loads(render.as_json([])) == []


# what the SARIF 2.1.0 schema demands of the parts that we write
TEXT = {"type": "object", "properties": {"text": {"type": "string", "minLength": 1}}, "required": ["text"]}
LOCATION = {
    "type": "object",
    "additionalProperties": False,
    "required": ["physicalLocation"],
    "properties": {
        "id": {"type": "integer", "minimum": -1},
        "message": TEXT,
        "physicalLocation": {
            "type": "object",
            "additionalProperties": False,
            "required": ["artifactLocation", "region"],
            "properties": {
                "artifactLocation": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "uri": {"type": "string", "pattern": "^[!#-;=?-Z_a-z~%]+$"},
                        "index": {"type": "integer", "minimum": -1},
                    },
                },
                "region": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "startLine": {"type": "integer", "minimum": 1},
                        "startColumn": {"type": "integer", "minimum": 1},
                        "endColumn": {"type": "integer", "minimum": 1},
                    },
                },
            },
        },
    },
}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
SARIF = {
    "type": "object",
    "additionalProperties": False,
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["tool", "results"],
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "additionalProperties": False,
                                "required": ["name"],
                                "properties": {
                                    "name": {"type": "string"},
                                    "version": {"type": "string"},
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "additionalProperties": False,
                                            "required": ["id"],
                                            "properties": {
                                                "id": {"type": "string"},
                                                "name": {"type": "string"},
                                                "shortDescription": TEXT,
                                                "helpUri": {"type": "string"},
                                                "defaultConfiguration": {
                                                    "type": "object",
                                                    "properties": {"level": LEVEL},
                                                },
                                            },
                                        },
                                    },
                                },
                            }
                        },
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "artifacts": {"type": "array", "uniqueItems": True},
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["message"],
                            "properties": {
                                "ruleId": {"type": "string"},
                                "ruleIndex": {"type": "integer", "minimum": -1},
                                "level": LEVEL,
                                "message": TEXT,
                                "locations": {"type": "array", "items": LOCATION},
                                "relatedLocations": {"type": "array", "uniqueItems": True, "items": LOCATION},
                            },
                        },
                    },
                },
            },
        },
    },
}


@pytest.mark.parametrize("diagnostics", [[], [FIRST, SECOND], [Diagnostic(LOOSE, Span("/abs/x.yaml"), "m", "")]])
def test_sarif_follows_its_schema(diagnostics: list[Diagnostic]) -> None:
    jsonschema.validate(json.loads(render.as_sarif(diagnostics, version="1")), SARIF)


def test_sarif_points_at_places_rules_and_files() -> None:
    (run,) = json.loads(render.as_sarif([FIRST, SECOND]))["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["MDW205", "MDW998"]
    assert run["tool"]["driver"]["rules"][0]["helpUri"] == "docs/errors/MDW205.md"
    assert [a["location"]["uri"] for a in run["artifacts"]] == ["dir/g%20h.yaml", "f.yaml"]
    warning, error = run["results"]
    assert (warning["level"], warning["ruleIndex"]) == ("warning", 1)
    assert error["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "f.yaml", "index": 1},
        "region": {"startLine": 3, "startColumn": 5, "endColumn": 12},
    }
    assert error["relatedLocations"][0]["message"] == {"text": "declared here"}
