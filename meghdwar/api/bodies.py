"""JSON that clients send: of the right type, not too large, with nothing in it that nobody reads."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from flask import request

from meghdwar.api.problems import Problem

BYTES_MAX = 2**20
JSON, MERGE_PATCH = "application/json", "application/merge-patch+json"


def document(known: Collection[str], types: Collection[str] = (JSON,)) -> dict[str, Any]:
    """The object that was sent; an empty body is an empty one. Raises Problem 400, 413 or 415."""
    request.max_content_length = BYTES_MAX
    data = request.get_data(cache=False)
    if not data:
        return {}
    if request.mimetype not in types:
        raise Problem(415, f"cannot read {request.mimetype or 'this'}: send {' or '.join(types)}")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"cannot read the body: {error}") from None
    if not isinstance(found, dict):
        raise Problem(400, "cannot read the body: it has to be an object")
    if unknown := sorted(set(found) - set(known)):
        raise Problem(400, f"cannot read {unknown[0]!r}: there are {', '.join(sorted(known))}")
    return found


def merged(data: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON merge patch (RFC 7396): null takes away."""
    made = dict(data)
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        elif isinstance(value, Mapping):
            before = made.get(name)
            made[name] = merged(before if isinstance(before, Mapping) else {}, value)
        else:
            made[name] = value
    return made
