"""The words of the YAML parser, made into a place and a sentence that the writer of a file can act upon."""

from __future__ import annotations

from typing import Any

import yaml

from meghdwar.compiler import rules
from meghdwar.diagnostics import Diagnostic, Span

_INDENT = "indent it like its neighbours, with spaces"
_QUOTE = "put the value in quotes"


def explain(error: yaml.YAMLError, data: bytes, file: str) -> Diagnostic:
    """What is wrong where, for an error that libyaml found in `data`."""
    if isinstance(error, yaml.reader.ReaderError):
        return _unreadable(error, data, file)
    problem_mark = getattr(error, "problem_mark", None)
    mark = problem_mark or getattr(error, "context_mark", None)
    if mark is None:
        return Diagnostic(rules.BAD_YAML, Span(file), f"cannot read this file as YAML: {error}", "check its syntax")
    return _Syntax(error, mark, data, file).diagnostic()


def _unreadable(error: yaml.reader.ReaderError, data: bytes, file: str) -> Diagnostic:
    encoding = "utf-16-le" if data[:2] == b"\xff\xfe" else "utf-16-be" if data[:2] == b"\xfe\xff" else "utf-8-sig"
    position = error.position
    if encoding == "utf-8-sig" and "control" not in error.reason:
        try:
            data.decode()
        except UnicodeDecodeError as cause:
            position = cause.start  # where the character starts, not the byte of it at which libyaml gave up
    lines = _lines(data[:position].decode(encoding, "replace"))
    span = Span(file, len(lines), len(lines[-1]) + 1)
    if "control" in error.reason:
        code = f"U+{error.character:04X}"
        help_ = f'write it as "\\u{error.character:04x}" in double quotes, or remove it'
        return Diagnostic(rules.BAD_ENCODING, span, f"cannot have the control character {code} in YAML", help_)
    what = "UTF-8" if encoding == "utf-8-sig" else "UTF-16"
    byte = f"the byte 0x{data[position]:02x}" if position < len(data) else "the end of the file"
    return Diagnostic(rules.BAD_ENCODING, span, f"cannot read {byte} as {what}", "save the file as UTF-8")


class _Syntax:
    """An error of the scanner or the parser, and the text round it."""

    def __init__(self, error: Any, mark: Any, data: bytes, file: str) -> None:
        self.file = file
        self.problem: str = error.problem or error.context or "this is not YAML"
        self.context: str = error.context or ""
        utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        self.lines = _lines(data.decode("utf-16" if utf16 else "utf-8-sig", "replace"))
        self.span = self.place(mark)
        self.start = self.place(error.context_mark) if error.context_mark is not None else None
        self.line = self.lines[mark.line] if mark.line < len(self.lines) else ""
        self.before, self.char = self.line[: mark.column], self.line[mark.column : mark.column + 1]
        self.at_end = not any(line.strip() for line in [self.line[mark.column :], *self.lines[mark.line + 1 :]])

    def place(self, mark: Any) -> Span:
        return Span(self.file, mark.line + 1, mark.column + 1)

    def diagnostic(self) -> Diagnostic:
        for words, explanation in _EXPLANATIONS:
            if words in self.problem:
                return explanation(self)
        return self.say(f"cannot read this: {self.problem}", "check the syntax of this line and of the one before it")

    def say(self, message: str, help_: str, where: Span | None = None, start: str = "") -> Diagnostic:
        span = where or self.span
        related = ((self.start, start),) if start and self.start is not None and self.start != span else ()
        return Diagnostic(rules.BAD_YAML, span, message, help_, related)

    # one for each kind of problem
    def token(self) -> Diagnostic:
        if self.char == "\t":
            return self.tab()
        return self.say(f"cannot start a value with {self.char!r}", _QUOTE)

    def tab(self) -> Diagnostic:
        return self.say("cannot read a tab used as indentation", "indent with spaces; YAML does not allow tabs there")

    def second_colon(self) -> Diagnostic:
        if ": " in self.before.strip() or self.before.strip().startswith("- "):
            return self.say(
                "cannot have a second ': ' in one line", "put the value in quotes if it holds ': ', or start a new line"
            )
        key = Span(self.file, self.span.line, len(self.line) - len(self.line.lstrip()) + 1)
        message = "cannot have a key here: the line before it is a value already, or the indentation is wrong"
        return self.say(message, _INDENT, key)

    def expected_key(self) -> Diagnostic:
        if self.before.strip().endswith(('"', "'")):
            return self.say("cannot have more text after the closing quote", "put all of the value inside the quotes")
        if self.before.strip():
            return self.say(f"cannot have {self.char!r} here", "put the value in quotes, or remove what is too much")
        return self.say(
            "cannot place this line: its indentation fits no map above it", _INDENT, start="the map starts here"
        )

    def expected_dash(self) -> Diagnostic:
        if self.before.strip():
            return self.say(f"cannot have {self.char!r} here", "put the value in quotes, or remove what is too much")
        message = "cannot place this line: it is no item of the list above it"
        return self.say(message, "start it with '- ', or indent it less", start="the list starts here")

    def unclosed(self) -> Diagnostic:
        bracket = "]" if "]" in self.problem else "}"
        help_ = f"close it with {bracket!r}; items have ',' between them"
        runs_on = self.char == ":" and self.start is not None and self.start.line < self.span.line
        if self.at_end or runs_on or not self.before.strip():
            return self.say(f"cannot find the {bracket!r} that closes this", help_, self.start)
        return self.say(f"cannot find ',' or {bracket!r} here", help_, start="opened here")

    def end_of_stream(self) -> Diagnostic:
        return self.say("cannot find the closing quote", "close the quotes", self.start)

    def missing_colon(self) -> Diagnostic:
        return self.say("cannot find ': ' after this key", "write 'key: value', or '- value' in a list", self.start)

    def escape(self) -> Diagnostic:
        line = self.lines[self.span.line - 1]
        word = line[self.span.column - 1 : self.span.column + 1]
        return self.say(
            f"cannot read the escape {word} in double quotes", "write \\\\ for a backslash, or use single quotes"
        )

    def more(self) -> Diagnostic:
        return self.say("cannot have more after the end of the document", _INDENT)

    def tag(self) -> Diagnostic:
        return self.say(
            "cannot read this tag", "remove it, or put the value in quotes if it starts with '!'", self.start
        )

    def content(self) -> Diagnostic:
        what = f"have {self.char!r} here" if self.char else "find a value here"
        return self.say(
            f"cannot {what}", "put the value in quotes, or remove what is too much", start="in what starts here"
        )


_EXPLANATIONS = (
    ("cannot start any token", _Syntax.token),
    ("found a tab character", _Syntax.tab),
    ("mapping values are not allowed", _Syntax.second_colon),
    ("did not find expected key", _Syntax.expected_key),
    ("did not find expected '-' indicator", _Syntax.expected_dash),
    ("did not find expected ',' or", _Syntax.unclosed),
    ("found unexpected end of stream", _Syntax.end_of_stream),
    ("could not find expected ':'", _Syntax.missing_colon),
    ("unknown escape character", _Syntax.escape),
    ("did not find expected <document start>", _Syntax.more),
    ("undefined tag handle", _Syntax.tag),
    ("did not find expected node content", _Syntax.content),
)


def _lines(text: str) -> list[str]:
    """The lines as libyaml counts them."""
    for end in ("\r\n", "\r", "\x85", "\u2028", "\u2029"):
        text = text.replace(end, "\n")
    return text.split("\n")
