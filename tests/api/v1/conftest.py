"""A site of two `local` gateways behind `mdw serve`, with callers of two projects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from meghdwar import bundle as bundles
from tests.api.served import PROGRAM, Answer, Served, served, tokens
from tests.contract.pairs import eventually
from tests.hypervisors.local import IMAGES
from tests.site import Site

ADMIN, RED, BLUE, READER = "a" * 20, "r" * 20, "b" * 20, "d" * 20
LINES = (
    f"{ADMIN} default admin root",
    f"{RED} red operator ann",
    f"{BLUE} blue operator bob",
    f"{READER} red reader eve",
)


class Cloud:
    """What the tests say to the server, each time as somebody."""

    def __init__(self, served: Served, site: Site) -> None:
        self.served, self.site = served, site

    def __call__(self, method: str, path: str, body: Any = None, *, by: str = RED, **headers: str) -> Answer:
        return self.served.ask(
            method, path, body, token=by, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    def plan(self, **changes: str) -> dict[str, Any]:
        """The body that brings the arena up."""
        bundle = self.site.bundle(**changes)
        files = {name: data.decode() for name, data in bundles.to_files(bundle).items()}
        return {"plan": bundle.plan_file, "files": files}

    def gateways(self) -> None:
        for name in self.site.gateways:
            body = {"name": name, "hypervisor": "local", "endpoint": str(self.site.home / name), "images": str(IMAGES)}
            made = self("POST", "/v1/gateways", body, by=ADMIN)
            assert made.status == 201, made.body

    def up(self, *, by: str = RED, name: str = "arena", **changes: str) -> str:
        """The id of the application's cloudlet, when it is up."""
        asked = self("POST", "/v1/applications", {**self.plan(**changes), "name": name}, by=by)
        assert asked.status == 202, asked.body
        place = asked.headers["Location"]
        self.until(place, "up", by=by)
        found = self("GET", f"/v1/cloudlets?application={asked.data['id']}", by=by).data["cloudlets"]
        return str(found[0]["id"]) if found else ""

    def until(self, place: str, status: str, *, by: str = RED, within_s: float = 60) -> Any:
        def so() -> Any:
            found = self("GET", place, by=by).data
            return found if found.get("status") == status else None

        return eventually(so, within_s, every_s=0.1)


def events(cloud: Cloud, place: str, *, by: str = RED, last: int | None = None) -> Iterator[tuple[str, str, dict]]:  # type: ignore[type-arg]
    """Each as its id, its kind and its data."""
    sent = {"X-Auth-Token": by} | ({"Last-Event-ID": str(last)} if last is not None else {})
    request = Request(f"{cloud.served.url}{place}/events", headers=sent)  # noqa: S310 - ours
    with build_opener(ProxyHandler({})).open(request, timeout=60) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        found: dict[str, str] = {}
        for line in stream:
            key, _, value = line.decode().rstrip("\n").partition(": ")
            if key == "data":
                yield found.get("id", ""), found["event"], json.loads(value)
                found = {}
            elif key:
                found[key] = value


@contextmanager
def serving(site: Site, *options: str, config: str = "", program: Sequence[str] = PROGRAM) -> Iterator[Cloud]:
    path = tokens(site.home, *LINES)
    words = f"database = {site.url}\ntokens = {path}\n{config}"
    with served(site.home / "served", *options, config=words, program=program) as found:
        yield Cloud(found, site)


@pytest.fixture(scope="module")
def whole_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(Path(tmp_path_factory.mktemp("site")))
    yield site
    site.close()


@pytest.fixture(scope="module")
def cloud(whole_site: Site) -> Iterator[Cloud]:
    """One server for a file of tests, with both gateways known."""
    with serving(whole_site) as found:
        found.gateways()
        yield found
