"""Lists that come in pages (SOL013): the next one is named by a Link header, with a marker that only we read."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import Response, jsonify, request

from meghdwar.api.problems import Problem

MARKER = "nextpage_opaque_marker"
T = TypeVar("T")
Place = tuple[float, str]
Fetch = Callable[[Place | None, int], Sequence[T]]


def every(fetch: Fetch[T], place: Callable[[T], Place], size: int) -> Iterator[T]:
    """All from the marker of the request on, asked for as they are needed."""
    after = _marked()
    while True:
        found = fetch(after, size)
        yield from found
        if len(found) < size:
            return
        after = place(found[-1])


def answer(items: Iterator[T], place: Callable[[T], Place], show: Callable[[T], Any], size: int) -> Response:
    """One page of them, and where the next one is."""
    page = list(islice(items, size + 1))
    made = jsonify([show(item) for item in page[:size]])
    if len(page) > size:
        marker = urlsafe_b64encode(json.dumps(place(page[size - 1])).encode()).decode()
        arguments = [(name, value) for name, value in request.args.items(multi=True) if name != MARKER]
        made.headers["Link"] = f'<{request.base_url}?{urlencode([*arguments, (MARKER, marker)])}>; rel="next"'
    return made


def _marked() -> Place | None:
    marker = request.args.get(MARKER)
    if marker is None:
        return None
    try:
        at, name = json.loads(urlsafe_b64decode(marker))
        return float(at), _plain(name)
    except (ValueError, TypeError, RecursionError):
        raise Problem(400, f"cannot read {MARKER}: take it from the Link of the page before") from None


def _plain(name: Any) -> str:
    if not isinstance(name, str) or "\0" in name:
        raise ValueError
    return name
