"""The OpenAPI document is the contract: it says which urls there are, and requests and answers are held to it."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import yaml
from flask import Request, Response
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from meghdwar.api.problems import Problem

LOG = logging.getLogger(__name__)
BODY_BYTES_MAX = 16 * 2**20
SHOWN_MAX = 300  # letters of what is wrong with a request
_HERE = "urn:meghdwar:openapi"
_METHODS = ("get", "post", "delete")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the document has it: its parameters by name, those in the path too, and its JSON body."""

    given: Mapping[str, Any]
    body: Any = None


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema, judged twice: quickly, and only for what does not fit by who says best why."""

    quick: jsonschema_rs.Draft202012Validator
    slow: Draft202012Validator

    def wrong(self, value: Any) -> _Wrong | None:
        """What is wrong with it; None when nothing is."""
        if self.quick.is_valid(value):
            return None
        best = best_match(self.slow.iter_errors(value))
        if best is not None:
            return _Wrong(best.message, str(best.validator), tuple(best.absolute_path))
        first = next(self.quick.iter_errors(value))  # `$` of Python lets the end of a line pass as well
        return _Wrong(first.message, first.kind.name, tuple(first.instance_path))


@dataclass(frozen=True, slots=True)
class _Wrong:
    message: str
    keyword: str  # of the schema
    path: tuple[str | int, ...]

    def said(self) -> str:
        return self.message if len(self.message) <= SHOWN_MAX else f"it is not as the {self.keyword} has it"


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    place: str  # path, query or header
    kind: str
    schema: Schema


@dataclass(frozen=True, slots=True)
class Described:
    """One operation of the document. `path` is as Flask has it."""

    name: str
    method: str
    path: str
    parameters: tuple[_Parameter, ...] = ()
    body: Schema | None = None
    body_required: bool = False
    answers: Mapping[str, Schema | None] = field(default_factory=dict)

    # requests
    def read(self, request: Request, path: Mapping[str, str]) -> Asked:
        """Raises Problem for what the document does not have."""
        given = dict(self._given(request, path))
        allowed = {each.name for each in self.parameters if each.place == "query"}
        for name in request.args:
            if name not in allowed:
                known = ", ".join(sorted(allowed)) or "none"
                raise Problem(400, f"cannot read the request: there is no parameter {name[:80]!r}; there are: {known}")
            if len(request.args.getlist(name)) > 1:
                raise Problem(400, f"cannot read the request: {name} is given more than once")
        return Asked(given, self._body(request))

    def _given(self, request: Request, path: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
        sources: Mapping[str, Any] = {"path": path, "query": request.args, "header": request.headers}
        for each in self.parameters:
            sent = sources[each.place].get(each.name)
            if sent is None:
                continue
            value = _value(sent, each.kind)
            wrong = each.schema.wrong(value)
            if wrong is not None:
                if each.place == "path":
                    raise Problem(404, "cannot find it: there is nothing of that name")
                raise Problem(400, f"cannot read the request: {each.name}: {wrong.said()}")
            yield each.name, value

    def _body(self, request: Request) -> Any:
        if self.body is None:
            return None
        request.max_content_length = BODY_BYTES_MAX
        data = request.get_data()
        if not data and not self.body_required:
            return {}
        if request.mimetype != "application/json":
            raise Problem(415, "cannot read the request: its body has to be application/json")
        body = _json(data)
        wrong = self.body.wrong(body)
        if wrong is not None:
            where = "".join(f".{part}" for part in wrong.path)[:80]
            raise Problem(400, f"cannot read the request: body{where}: {wrong.said()}")
        return body

    # answers
    def check(self, response: Response) -> None:
        """Raises ValueError for an answer that the document does not have."""
        if response.mimetype == "application/problem+json" or response.is_streamed:
            return
        status = str(response.status_code)
        if status not in self.answers:
            raise ValueError(f"{self.name} answers with {status}, which the document does not have")
        schema = self.answers[status]
        if schema is not None and response.mimetype == "application/json":
            wrong = schema.wrong(json.loads(response.get_data()))
            if wrong is not None:
                raise ValueError(f"{self.name} answers what the document does not have: {wrong.message}")


def _value(text: str, kind: str) -> Any:
    """What a text in a url or header stands for; the text itself when it is no such thing."""
    if kind == "boolean":
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind == "integer" and text.isascii() and text.isdecimal() and len(text) < 20:
        return int(text)
    return text


def _json(data: bytes) -> Any:
    try:
        found = json.loads(data, parse_constant=_no_number, parse_float=_number)
        json.dumps(found, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except RecursionError:
        raise Problem(400, "cannot read the request: its body is nested too deeply") from None
    except ValueError as error:
        raise Problem(400, f"cannot read the request: its body is no JSON: {str(error)[:SHOWN_MAX]}") from None
    return found


def _number(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


# reading the document
@cache
def document() -> Mapping[str, Any]:
    text = (files("meghdwar.api") / "openapi.yaml").read_text(encoding="utf-8")
    found: Mapping[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe
    return found


@cache
def described() -> tuple[Described, ...]:
    """Every operation of the document, in its order."""
    registry: Registry[Any] = Registry().with_resource(_HERE, DRAFT202012.create_resource(document()))
    quick = jsonschema_rs.Registry([(_HERE, dict(document()))])

    def schema(*way: str) -> Schema:
        pointer = "/".join(part.replace("~", "~0").replace("/", "~1") for part in way)
        there = {"$ref": f"{_HERE}#/{quote(pointer)}"}
        return Schema(
            jsonschema_rs.Draft202012Validator(there, registry=quick), Draft202012Validator(there, registry=registry)
        )

    return tuple(
        _described(path, method, item, schema)
        for path, item in document()["paths"].items()
        for method in _METHODS
        if method in item
    )


def _described(path: str, method: str, item: Mapping[str, Any], schema: Callable[..., Schema]) -> Described:
    found = item[method]
    parameters = []
    for way, each in (
        *((("paths", path, "parameters", str(n)), each) for n, each in enumerate(item.get("parameters", ()))),
        *((("paths", path, method, "parameters", str(n)), each) for n, each in enumerate(found.get("parameters", ()))),
    ):
        way, each = _resolved(way, each)
        kind = str(each["schema"].get("type", "string"))
        parameters.append(_Parameter(each["name"], each["in"], kind, schema(*way, "schema")))
    body = found.get("requestBody")
    body_way = ("paths", path, method, "requestBody", "content", "application/json", "schema")
    answers: dict[str, Schema | None] = {}
    for status, each in found["responses"].items():
        way, each = _resolved(("paths", path, method, "responses", status), each)
        if "application/json" in each.get("content", {}):
            answers[status] = schema(*way, "content", "application/json", "schema")
        elif status != "default":
            answers[status] = None
    return Described(
        name=found["operationId"],
        method=method.upper(),
        path=path.replace("{", "<").replace("}", ">"),
        parameters=tuple(parameters),
        body=None if body is None else schema(*body_way),
        body_required=bool(body and body["required"]),
        answers=answers,
    )


def _resolved(way: tuple[str, ...], item: Mapping[str, Any]) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """Where it really stands, and what stands there."""
    if "$ref" not in item:
        return way, item
    way = tuple(item["$ref"].removeprefix("#/").split("/"))
    here: Any = document()
    for part in way:
        here = here[part]
    return way, here
