"""Log lines that say what they are about: each one that is written while an operation is worked carries its id, those
of libraries too, and none carries a secret.

    with about(operation="m-20261122-7f3k9q", instance="arena", epoch=7):
        logging.getLogger("anything").warning("slow")
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")
FIELDS = ("operation", "instance", "gateway", "step", "epoch", "subscriber")  # what a line may be about, in this order
LINE_MAX = 8192  # characters of a message: a library may print a whole answer

_ABOUT: ContextVar[Mapping[str, Any]] = ContextVar("meghdwar_about", default={})  # noqa: B039 - never changed in place


@contextmanager
def about(**fields: Any) -> Iterator[None]:
    """What every line is about that this thread writes until it leaves."""
    token = _ABOUT.set({**_ABOUT.get(), **fields})
    try:
        yield
    finally:
        _ABOUT.reset(token)


def now_about(**fields: Any) -> None:
    """The same from here on, until the `about` around it is left."""
    _ABOUT.set({**_ABOUT.get(), **fields})


def set_up(level: str = "warning", format_: str = "text", stream: TextIO | None = None) -> logging.Handler:
    """Sends every line of this process to the stream (standard error). Calling it again replaces what was set up.
    Raises ValueError for a level or a format that there is not."""
    if level.lower() not in LEVELS:
        raise ValueError(f"cannot log {level!r}: it has to be {', '.join(LEVELS)}")
    if format_ not in FORMATS:
        raise ValueError(f"cannot log as {format_!r}: it has to be {' or '.join(FORMATS)}")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Json() if format_ == "json" else Text())
    handler.set_name("meghdwar")
    root = logging.getLogger()
    for old in [old for old in root.handlers if old.get_name() == "meghdwar"]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    return handler


class Json(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, and what it is about."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = hidden(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=True, default=str)


class Text(logging.Formatter):
    """For people: `2026-11-22T14:00:00.123Z WARNING arena m-20261122-7f3k9q pause: the message`."""

    def format(self, record: logging.LogRecord) -> str:
        said = _fields(record)
        head = [str(said.pop(name)) for name in ("instance", "operation", "step") if name in said]
        tail = "".join(f" {name}={value}" for name, value in said.items())
        where = f"{' '.join(head)}: " if head else ""
        line = f"{_time(record)} {record.levelname} {where}{_message(record)}{tail}"
        line = re.sub(
            r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda found: repr(found[0])[1:-1], line
        )  # one line, whoever wrote the text
        if record.exc_info:
            line += "\n" + hidden(self.formatException(record.exc_info))
        return line


def _time(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def _message(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except Exception as error:  # a library's mistake in a log line stops nothing of ours
        text = f"{record.msg} ({type(error).__name__} in its arguments)"
    return hidden(text if len(text) <= LINE_MAX else f"{text[:LINE_MAX]}... ({len(text)} characters)")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What was said with the line itself counts before what is around it."""
    known = {**_ABOUT.get(), **{name: getattr(record, name) for name in FIELDS if hasattr(record, name)}}
    return {name: _plain(known[name]) for name in FIELDS if known.get(name) not in (None, "")}


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float) else hidden(str(value))


# secrets
_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    # the password in a URL, also one with an @ in it
    (re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s/:@]*):[^\s/]*@"), r"\1:***@"),
    (re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(-----END \1-----|$)", re.DOTALL), r"(\1)"),
    (re.compile(r"(?i)\b(authorization['\"]?\s*[:=]\s*['\"]?(?:(?:bearer|basic|digest)\s+)?)[^\s'\",;]+"), r"\1***"),
    (
        re.compile(
            r"(?i)((?:password|passwd|passphrase|secret|token|api[_-]?key|private[_-]?key)['\"]?\s*[:=]\s*)"
            r"(?:\"[^\"]*\"|'[^']*'|[^\s'\",;&}]+)"
        ),
        r"\1***",
    ),
)


def hidden(text: str) -> str:
    """The text without passwords of URLs, private keys, tokens and whatever calls itself a secret."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text
