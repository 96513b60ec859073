"""An API in this process, with callers of two projects."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from meghdwar.api import settings
from meghdwar.api.app import application
from meghdwar.driver import database
from meghdwar.driver.control import Driver
from tests.api.csar import csar
from tests.api.served import tokens

TOKENS = {"ann": "reader-of-here-0000", "bob": "operator-of-here-00", "eve": "admin-of-there-0000"}
LINES = (
    f"{TOKENS['ann']} here reader ann",
    f"{TOKENS['bob']} here operator bob",
    f"{TOKENS['eve']} there admin eve",
)
PACKAGES = "/vnfpkgm/v1/vnf_packages"
WAIT_S = 60


class Here:
    """Asks the API as one of the callers: bob, unless somebody else is named."""

    def __init__(self, app: Flask, home: Path) -> None:
        self.app, self.home = app, home
        self.backend = app.extensions["meghdwar"]

    def ask(self, method: str, path: str, *, by: str = "bob", **given: Any) -> TestResponse:
        headers = {**given.pop("headers", {}), **({"X-Auth-Token": TOKENS[by]} if by else {})}
        return self.app.test_client().open(path, method=method, headers=headers, **given)

    def create(self, by: str = "bob", **user_data: Any) -> str:
        answer = self.ask("POST", PACKAGES, by=by, json={"userDefinedData": user_data} if user_data else {})
        assert answer.status_code == 201, answer.text
        return str(answer.json["id"])

    def upload(self, name: str, content: bytes, by: str = "bob", **given: Any) -> TestResponse:
        given.setdefault("content_type", "application/zip")
        return self.ask("PUT", f"{PACKAGES}/{name}/package_content", by=by, data=content, **given)

    def show(self, name: str, by: str = "bob") -> Any:
        return self.ask("GET", f"{PACKAGES}/{name}", by=by).json

    def settled(self, name: str, by: str = "bob") -> Any:
        """The package when nothing goes on with it any more."""
        end = time.monotonic() + WAIT_S
        while (found := self.show(name, by))["onboardingState"] in ("UPLOADING", "PROCESSING"):
            assert time.monotonic() < end, found
            time.sleep(0.02)
        return found

    def onboard(self, content: bytes | None = None, by: str = "bob", **user_data: Any) -> str:
        name = self.create(by, **user_data)
        answer = self.upload(name, csar() if content is None else content, by)
        assert (answer.status_code, answer.data) == (202, b"")
        found = self.settled(name, by)
        assert found["onboardingState"] == "ONBOARDED", found
        return name

    def switch(self, name: str, state: str, by: str = "bob") -> TestResponse:
        body = {"operationalState": state}
        return self.ask("PATCH", f"{PACKAGES}/{name}", by=by, json=body, content_type="application/merge-patch+json")

    def files(self) -> list[str]:
        """What is kept on the disk."""
        store = self.backend.catalogue.store
        with store.publishing():  # nobody is in the middle of it
            return sorted(str(path.relative_to(store.folder)) for path in store.folder.rglob("*") if path.is_file())

    def close(self) -> None:
        self.backend.close()


MakeHere = Callable[..., Here]


@pytest.fixture
def make_here(tmp_path: Path) -> Iterator[MakeHere]:
    """An API with lines of [api] in its settings; all of a test have the same database and folder."""
    opened, made = database.open(str(tmp_path / "mdw.db")), []

    def make(config: str = "") -> Here:
        (tmp_path / "api.conf").write_text(f"[api]\n{config}\n")
        given = {"content": str(tmp_path / "packages"), "tokens": str(tokens(tmp_path, *LINES))}
        app = application(settings.read(str(tmp_path / "api.conf"), **given), Driver(opened))
        made.append(Here(app, tmp_path))
        return made[-1]

    yield make
    for each in made:
        each.close()
    opened.close()


@pytest.fixture
def here(make_here: MakeHere) -> Here:
    return make_here()
