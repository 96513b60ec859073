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
class _Parameter:
    name: str
    place: str  # path, query or header
    kind: str
    schema: Draft202012Validator


@dataclass(frozen=True, slots=True)
class Described:
    """One operation of the document. `path` is as Flask has it."""

    name: str
    method: str
    path: str
    parameters: tuple[_Parameter, ...] = ()
    body: Draft202012Validator | None = None
    body_required: bool = False
    answers: Mapping[str, Draft202012Validator] = field(default_factory=dict)

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
            if not each.schema.is_valid(value):
                if each.place == "path":
                    raise Problem(404, "cannot find it: there is nothing of that name")
                error = best_match(each.schema.iter_errors(value))
                raise Problem(400, f"cannot read the request: {each.name}: {_said(error)}")
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
        error = best_match(self.body.iter_errors(body))
        if error is not None:
            where = "".join(f".{part}" for part in error.absolute_path)[:80]
            raise Problem(400, f"cannot read the request: body{where}: {_said(error)}")
        return body

    # answers
    def check(self, response: Response) -> None:
        """Raises ValueError for an answer that the document does not have."""
        if response.mimetype == "application/problem+json" or response.is_streamed:
            return
        schema = self.answers.get(str(response.status_code))
        if schema is None:
            raise ValueError(f"{self.name} answers with {response.status_code}, which the document does not have")
        if response.mimetype == "application/json":
            error = best_match(schema.iter_errors(json.loads(response.get_data())))
            if error is not None:
                raise ValueError(f"{self.name} answers what the document does not have: {error.message}")


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


def _said(error: Any) -> str:
    return error.message if len(error.message) <= SHOWN_MAX else f"it is not as the {error.validator} has it"


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

    def schema(*way: str) -> Draft202012Validator:
        pointer = "/".join(part.replace("~", "~0").replace("/", "~1") for part in way)
        return Draft202012Validator({"$ref": f"{_HERE}#/{pointer}"}, registry=registry)

    return tuple(
        _described(path, method, item, schema)
        for path, item in document()["paths"].items()
        for method in _METHODS
        if method in item
    )


def _described(
    path: str, method: str, item: Mapping[str, Any], schema: Callable[..., Draft202012Validator]
) -> Described:
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
    answers = {}
    for status, each in found["responses"].items():
        way, each = _resolved(("paths", path, method, "responses", status), each)
        if "application/json" in each.get("content", {}):
            answers[status] = schema(*way, "content", "application/json", "schema")
        elif status != "default":
            answers[status] = Draft202012Validator(True)
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
