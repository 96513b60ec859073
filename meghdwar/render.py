"""Diagnostics for people (text with the source line and a caret) and for tools (JSON, SARIF 2.1.0)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from meghdwar.diagnostics import Diagnostic, Rule, Severity, Span

Sources = Mapping[str, str]

HELP_PAGES = "docs/errors/"
_WIDTH_MAX = 160
_COLORS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.NOTE: "36"}
_SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def ordered(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Each one once, by place; files stay in the order in which they first come."""
    unique = list(dict.fromkeys(diagnostics))
    files = {file: number for number, file in enumerate(dict.fromkeys(d.span.file for d in unique))}
    return sorted(unique, key=lambda d: (files[d.span.file], d.span, d.rule.code, d.message))


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """How many there are, such as "2 errors, 1 warning"; "" when there are none."""
    found = [d.rule.severity for d in ordered(diagnostics)]
    counts = [(severity, found.count(severity)) for severity in Severity]
    return ", ".join(f"{count} {severity}{'s' * (count > 1)}" for severity, count in counts if count)


# for people
def text(diagnostics: Iterable[Diagnostic], sources: Sources, *, color: bool = False) -> str:
    """Each diagnostic with its source line, a caret below what is wrong, a way out and the other places that matter."""
    page = _Page(sources, color)
    return "".join(page.diagnostic(diagnostic) for diagnostic in ordered(diagnostics))


class _Page:
    def __init__(self, sources: Sources, color: bool) -> None:
        self.sources = sources
        self.color = color
        self.lines: dict[str, list[str]] = {}

    def diagnostic(self, diagnostic: Diagnostic) -> str:
        rule, color = diagnostic.rule, _COLORS[diagnostic.rule.severity]
        head = self.paint(f"{rule.severity} {rule.code}", f"1;{color}")
        parts = [f"{self.paint(_clean(str(diagnostic.span)), '1')}: {head} {_clean(diagnostic.message)}\n"]
        parts += self.quote(diagnostic.span, color)
        if diagnostic.help:
            parts.append(f"  {self.paint('help:', '1;32')} {_clean(diagnostic.help)}\n")
        for span, words in diagnostic.related:
            parts.append(f"  {_clean(str(span))}: {_clean(words)}\n")
            parts += self.quote(span, "34")
        return "".join(parts)

    def quote(self, span: Span, color: str) -> list[str]:
        line = self.line(span)
        if line is None:
            return []
        start, length = _reach(span, line)
        skip = max(0, start - _WIDTH_MAX // 2) if len(line) > _WIDTH_MAX else 0
        shown = line[skip : skip + _WIDTH_MAX]
        before = ("..." if skip else "") + _clean(shown[: start - skip])
        marked = _clean(shown[start - skip : start - skip + length])
        after = _clean(shown[start - skip + length :]) + ("..." if len(line) > skip + _WIDTH_MAX else "")
        carets = self.paint("^" * max(_columns(marked), 1), f"1;{color}")
        number = str(span.line)
        return [
            f"  {number} | {before}{marked}{after}".rstrip() + "\n",
            f"  {' ' * len(number)} | {' ' * _columns(before)}{carets}\n",
        ]

    def line(self, span: Span) -> str | None:
        if span.file not in self.lines:
            self.lines[span.file] = _split(self.sources.get(span.file, ""))
        lines = self.lines[span.file]
        line = lines[span.line - 1] if 0 < span.line <= len(lines) else None
        return line if line is None or line.strip() else None

    def paint(self, words: str, code: str) -> str:
        return f"\x1b[{code}m{words}\x1b[0m" if self.color else words


def _reach(span: Span, line: str) -> tuple[int, int]:
    """Where in a line a span starts, from 0, and how much of the line it covers."""
    if span.column < 1:
        start = len(line) - len(line.lstrip())
        return start, len(line.strip())
    start = min(span.column - 1, len(line))
    return start, max(1, min(span.length, len(line) - start))


def _split(source: str) -> list[str]:
    """The lines as YAML counts them."""
    for end in ("\r\n", "\r", "\x85", "\u2028", "\u2029"):
        if end in source:
            source = source.replace(end, "\n")
    return source.removeprefix("\ufeff").split("\n")


def _clean(words: str) -> str:
    """Words that cannot steer a terminal; a tab takes one column, so that carets stay below what they mean."""
    if words.isascii() and words.isprintable():
        return words
    return "".join(c if c.isprintable() else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in words)


def _columns(words: str) -> int:
    """How many columns of a terminal the words take."""
    if words.isascii():
        return len(words)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in words)


# for tools
def as_json(diagnostics: Iterable[Diagnostic]) -> str:
    """A JSON list with one object for each diagnostic; docs/reference/diagnostics.md says what is in it."""
    import json

    items = [
        {
            **_json_place(d.span),
            "severity": str(d.rule.severity),
            "code": d.rule.code,
            "name": d.rule.name,
            "message": d.message,
            "help": d.help,
            "related": [{**_json_place(span), "message": words} for span, words in d.related],
        }
        for d in ordered(diagnostics)
    ]
    return json.dumps(items, indent=2) + "\n"


def _json_place(span: Span) -> dict[str, object]:
    return {"file": span.file, "line": span.line, "column": span.column, "length": span.length}


def as_sarif(diagnostics: Iterable[Diagnostic], tool: str = "mdw-compile", version: str = "") -> str:
    """A SARIF 2.1.0 log with one run, for code scanning and editors."""
    import json

    found = ordered(diagnostics)
    found_rules = sorted({d.rule for d in found}, key=lambda rule: rule.code)
    files = sorted({span.file for d in found for span in (d.span, *(span for span, _ in d.related))})
    driver: dict[str, object] = {"name": tool, "rules": [_sarif_rule(rule) for rule in found_rules]}
    if version:
        driver["version"] = version
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "artifacts": [{"location": {"uri": _uri(file)}, "sourceLanguage": "yaml"} for file in files],
        "results": [_sarif_result(d, found_rules.index(d.rule), files) for d in found],
    }
    return json.dumps({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _sarif_rule(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.code,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": rule.name.replace("-", " ")},
        "helpUri": f"{HELP_PAGES}{rule.code}.md",
        "defaultConfiguration": {"level": str(rule.severity)},
    }


def _sarif_result(diagnostic: Diagnostic, index: int, files: list[str]) -> dict[str, object]:
    words = diagnostic.message + (f"\n{diagnostic.help}" if diagnostic.help else "")
    result: dict[str, object] = {
        "ruleId": diagnostic.rule.code,
        "ruleIndex": index,
        "level": str(diagnostic.rule.severity),
        "message": {"text": words},
        "locations": [_sarif_location(diagnostic.span, files)],
    }
    if diagnostic.related:
        result["relatedLocations"] = [
            {"id": number, **_sarif_location(span, files), "message": {"text": said}}
            for number, (span, said) in enumerate(diagnostic.related, 1)
        ]
    return result


def _sarif_location(span: Span, files: list[str]) -> dict[str, object]:
    region = {"startLine": span.line}
    if span.column:
        region |= {"startColumn": span.column, "endColumn": span.column + span.length}
    artifact = {"uri": _uri(span.file), "index": files.index(span.file)}
    return {"physicalLocation": {"artifactLocation": artifact, "region": region}}


def _uri(file: str) -> str:
    """A relative reference stays one; an absolute path becomes a file: URI."""
    from urllib.parse import quote

    return ("file://" if file.startswith("/") else "") + quote(file, safe="/!$&'()*+,;=@~")
