"""Speaks to the API through the session of the client of OpenStack, whoever vouches for it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from osc_lib import exceptions

LOOK_S = 0.5
STREAM_TRIES = 5  # without anything new in between


class Client:
    def __init__(self, session: Any, endpoint: str | None) -> None:
        if not endpoint:
            raise exceptions.CommandError(
                "cannot find the edge API: the catalogue has no service of the type edge; say where it is with "
                "--os-edge-endpoint"
            )
        self._session = session
        self._endpoint = endpoint.rstrip("/").removesuffix("/v1")

    # requests
    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """What comes back as JSON, or None. Raises CommandError with what the server says."""
        return self.answer(method, path, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def answer(self, method: str, path: str, *, whole: bool = False, **given: Any) -> Any:
        if given.get("json") is None:
            given.pop("json", None)
        response = self._session.request(self._endpoint + path, method, raise_exc=False, **given)
        if response.status_code >= 400:
            raise _refused(response)
        if whole:
            return response
        return response.json() if response.content else None

    def every(self, room: str, **filters: Any) -> Iterator[Mapping[str, Any]]:
        """Everything of a list, page after page."""
        query = urlencode({name: value for name, value in filters.items() if value is not None})
        path = f"/v1/{room}" + (f"?{query}" if query else "")
        while path:
            response = self.answer("GET", path, whole=True)
            yield from response.json()[room]
            following = response.links.get("next", {}).get("url", "")
            there = urlsplit(following)
            path = f"{there.path}?{there.query}" if following else ""

    def one(self, room: str, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.ask("GET", f"/v1/{room}/{quote(name, safe='')}")
        return found

    # by what people call them
    def application(self, name: str) -> str:
        """The id of the application that is called so."""
        found = [each["id"] for each in self.every("applications") if name in (each["id"], each["name"])]
        return _only("application", name, found)

    def cloudlet(self, name: str) -> str:
        """The id of a cloudlet: by itself, CLOUDLET or CLOUDLET/SUBSCRIBER, also with APPLICATION/ before it."""
        applications = {each["id"]: each["name"] for each in self.every("applications")}
        found = []
        for each in self.every("cloudlets"):
            tail = f"{each['cloudlet']}/{each['subscriber']}" if each["subscriber"] else each["cloudlet"]
            called = applications.get(each["application"], each["application"])
            if each["id"] == name:
                return name
            if name in (tail, f"{called}/{tail}", f"{each['application']}/{tail}"):
                found.append(each["id"])
        return _only("cloudlet", name, found)

    # following
    def events(self, room: str, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """What an operation does, each as its kind and data, until it has ended; a stream that breaks off is begun
        again after the last event."""
        last, tries = "0", 0
        while tries < STREAM_TRIES:
            tries += 1
            response = self.answer(
                "GET", f"/v1/{room}/{quote(name, safe='')}/events", whole=True, stream=True,
                headers={"Last-Event-ID": last, "Accept": "text/event-stream"},
            )  # fmt: skip
            found: dict[str, str] = {}
            try:
                for line in response.iter_lines(chunk_size=1, decode_unicode=True):
                    key, _, value = line.partition(": ")
                    if key != "data":
                        found[key] = value
                        continue
                    last, tries = found.get("id", last), 0
                    yield found["event"], json.loads(value)
                    if found["event"] == "ended":
                        return
                    found = {}
            except OSError:  # as requests says it when a connection breaks
                time.sleep(LOOK_S)
            finally:
                response.close()
        raise exceptions.CommandError(f"cannot follow {name}: the stream breaks off again and again")

    def until_gone(self, room: str, name: str) -> None:
        while True:
            try:
                self.one(room, name)
            except exceptions.NotFound:
                return
            time.sleep(LOOK_S)


def edge(command: Any) -> Client:
    """That of a command that is being done."""
    found: Client = command.app.client_manager.edge
    return found


def _only(what: str, name: str, found: list[str]) -> str:
    if len(found) == 1:
        return found[0]
    if found:
        raise exceptions.CommandError(f"cannot tell which {what} {name!r} is: it may be {', '.join(sorted(found))}")
    raise exceptions.CommandError(f"cannot find the {what} {name!r}")


def _refused(response: Any) -> Exception:
    try:
        said = response.json()
        detail = f"{said['detail']} ({said.get('request_id', 'no request id')})"
    except (ValueError, KeyError, TypeError):
        detail = f"the server answered with {response.status_code}"
    if response.status_code == 404:
        return exceptions.NotFound(404, detail)
    return exceptions.CommandError(detail)
