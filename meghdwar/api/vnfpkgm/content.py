"""What is in a package: it comes in by PUT or from a uri, and goes out whole, as descriptors, or file by file."""

from __future__ import annotations

import io
import mimetypes
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from flask import Response, request, send_file

from meghdwar.api import outbound
from meghdwar.api.backend import backend
from meghdwar.api.bodies import document
from meghdwar.api.problems import Problem
from meghdwar.api.vnfpkgm.blueprint import PACKAGE, blueprint
from meghdwar.api.vnfpkgm.packages import known
from meghdwar.onboard import contents

ZIP, TEXT = "application/zip", "text/plain"
PIECE = 2**18


# in
@blueprint.put(f"{PACKAGE}/package_content")
def upload(package_id: UUID) -> tuple[str, int]:
    record, here = known(package_id), backend()
    if request.mimetype != ZIP:
        raise Problem(415, f"cannot take in {request.mimetype or 'this'}: send {ZIP}")
    if (request.content_length or 0) > here.settings.package_bytes_max:
        raise Problem(413, f"cannot take the package in: it may have {here.settings.package_bytes_max} bytes")
    request.max_content_length = None  # the catalogue counts
    begun = here.catalogue.begin(record)
    try:
        begun.take(_body())
    finally:
        begun.close()
    here.workshop.process(record.id)
    return "", 202


def _body() -> Iterator[bytes]:
    said, size = request.content_length, 0
    while piece := request.stream.read(PIECE):
        size += len(piece)
        yield piece
    if said is not None and size != said:
        raise Problem(400, f"cannot take the package in: {size} of {said} bytes came")


@blueprint.post(f"{PACKAGE}/package_content/upload_from_uri")
def upload_from_uri(package_id: UUID) -> tuple[str, int]:
    record, here = known(package_id), backend()
    body = document(("addressInformation", "userName", "password"))
    for name, value in body.items():
        if not isinstance(value, str):
            raise Problem(400, f"cannot read {name}: it has to be a text")
    url = body.get("addressInformation", "")
    here.hosts.target(url)  # raises Refused: said at once, and again before anything is fetched
    basic = None
    if body.get("userName") is not None:
        basic = outbound.Basic(body["userName"], body.get("password", ""))
    here.workshop.fetch(here.catalogue.begin(record), url, basic)
    return "", 202


# out
@blueprint.get(f"{PACKAGE}/package_content")
def download(package_id: UUID) -> Response:
    record = known(package_id)
    path = backend().catalogue.onboarded(record)
    _accepted(ZIP)
    return send_file(path, mimetype=ZIP, conditional=True, etag=record.digest or "", max_age=None)


@blueprint.get(f"{PACKAGE}/vnfd")
def vnfd(package_id: UUID) -> Response:
    """The descriptor as text where it is one file and that is accepted, or else a zip of all of them."""
    record = known(package_id)
    path, found = backend().catalogue.onboarded(record), record.found
    assert found is not None  # noqa: S101 - it is onboarded
    one = len(found.descriptors) == 1
    kind = _accepted(*((TEXT, ZIP) if one else (ZIP,)))
    if kind == TEXT:
        response = Response(contents.read(path, found.descriptors[0]))
        response.headers["Content-Type"] = TEXT  # bare: clients compare it
        return response
    return Response(contents.zipped(path, found.descriptors), mimetype=ZIP)


@blueprint.get(f"{PACKAGE}/artifacts/<path:artifact>")
def artifact(package_id: UUID, artifact: str) -> Response:
    record = known(package_id)
    found = contents.open_file(backend().catalogue.onboarded(record), artifact)
    if found is None:
        raise Problem(
            404, f"cannot find {artifact!r} in package {record.id}: its additionalArtifacts say what there is"
        )
    stream, size = found
    return _ranged(stream, size, _type(artifact))


def _accepted(*offered: str) -> str:
    """The first of them that the client accepts; one that does not say accepts all."""
    wished = request.accept_mimetypes
    if not wished:
        return offered[0]
    best = max(offered, key=lambda each: float(wished.quality(each)))
    if not wished.quality(best):
        raise Problem(406, f"cannot answer with that: there is {' or '.join(offered)}")
    return best


def _type(name: str) -> str:
    kind, packed = mimetypes.guess_type(name)
    if kind is None or packed is not None:
        return "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def _ranged(stream: io.BufferedIOBase, size: int, kind: str) -> Response:
    """The file, or the one range of it that was asked for. A packed file cannot be jumped in: what comes before is
    read and left out."""
    headers: dict[str, Any] = {"Accept-Ranges": "bytes"}
    first, end, status = 0, size, 200
    if (wished := request.range) is not None and wished.units == "bytes":
        chosen = wished.range_for_length(size)
        if chosen is None:
            raise Problem(416, f"cannot answer with that range: there are {size} bytes",
                          headers={"Content-Range": f"bytes */{size}"})  # fmt: skip
        first, end = chosen
        status = 206
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - first)
    return Response(_between(stream, first, end), status, headers, content_type=kind)


def _between(stream: io.BufferedIOBase, first: int, end: int) -> Iterator[bytes]:
    place = 0
    with stream:
        while place < end and (piece := stream.read(min(PIECE, (first if place < first else end) - place))):
            if place >= first:
                yield piece
            place += len(piece)
