"""Subscribers are told what happens to packages of their project, and packages come from where the operator allows."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.api.conftest import PACKAGES, WAIT_S, Here, MakeHere
from tests.api.csar import csar

SUBSCRIPTIONS = "/vnfpkgm/v1/subscriptions"


def until(so: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not so():
        assert time.monotonic() < end
        time.sleep(0.02)


class Peer:
    """A host elsewhere: takes notifications at /told, and has a package at /vnf.csar."""

    def __init__(self) -> None:
        peer = self
        self.told: list[tuple[str, Any]] = []
        self.refuses = 0  # so many notifications
        self.package = csar()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = peer.package if self.path == "/vnf.csar" else b""
                self.send_response(200 if content else 204 if self.path == "/told" else 404)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if peer.refuses:
                    peer.refuses -= 1
                    self.send_response(503)
                else:
                    peer.told.append((self.headers.get("Authorization", ""), body))
                    self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.name = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.name}/told"

    def heard(self, count: int) -> list[Any]:
        until(lambda: len(self.told) >= count)
        return [body for _, body in self.told]


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def here(make_here: MakeHere, peer: Peer) -> Here:
    return make_here(f"hosts = {peer.name}\nprivate_hosts = {peer.name}\nendpoint = https://edge.example/")


def test_subscribers_are_told(here: Here, peer: Peer) -> None:
    basic = {"authType": ["BASIC"], "paramsBasic": {"userName": "kim", "password": "secret"}}
    answer = here.ask("POST", SUBSCRIPTIONS, json={"callbackUri": peer.url, "authentication": basic})
    assert answer.status_code == 201, answer.text
    assert "secret" not in answer.text
    subscription = answer.json["id"]
    assert answer.headers["Location"] == f"https://edge.example{SUBSCRIPTIONS}/{subscription}"
    name = here.onboard()
    here.switch(name, "DISABLED")
    here.ask("DELETE", f"{PACKAGES}/{name}")
    told = peer.heard(3)
    assert [each["notificationType"] for each in told] == [
        "VnfPackageOnboardingNotification", "VnfPackageChangeNotification", "VnfPackageChangeNotification",
    ]  # fmt: skip
    assert [each.get("changeType") for each in told] == [None, "OP_STATE_CHANGE", "PKG_DELETE"]
    assert told[1]["operationalState"] == "DISABLED"
    for each in told:
        assert each["subscriptionId"] == subscription
        assert (each["vnfPkgId"], each["vnfdId"]) == (name, "b1bb0ce7-ebca-4fa7-95ed-4840d70a1177")
        assert each["_links"]["vnfPackage"] == {"href": f"https://edge.example{PACKAGES}/{name}"}
    assert {sent for sent, _ in peer.told} == {"Basic a2ltOnNlY3JldA=="}


def test_what_did_not_arrive_is_told_again(
    here: Here, peer: Peer, make_here: MakeHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meghdwar.api.notifications.WAIT_S", 0.1)
    here.ask("POST", SUBSCRIPTIONS, json={"callbackUri": peer.url})
    peer.refuses = 2
    here.onboard()
    assert len(peer.heard(1)) == 1


@pytest.mark.parametrize(
    ("filter_", "count"),
    [
        ({}, 2),
        ({"notificationTypes": ["VnfPackageChangeNotification"]}, 1),
        ({"operationalState": ["DISABLED"]}, 1),
        ({"vnfdId": ["other"]}, 0),
        ({"vnfProductsFromProviders": [{"vnfProvider": "Acme", "vnfProducts": [{"vnfProductName": "Tiny"}]}]}, 2),
        ({"vnfProductsFromProviders": [{"vnfProvider": "Acme", "vnfProducts": [{"vnfProductName": "Big"}]}]}, 0),
        ({"vnfProductsFromProviders": [{"vnfProvider": "Other"}]}, 0),
    ],
)
def test_subscribers_are_told_what_they_want(here: Here, peer: Peer, filter_: dict[str, Any], count: int) -> None:
    first = here.ask("POST", SUBSCRIPTIONS, json={"callbackUri": peer.url, "filter": filter_}).json["id"]
    here.switch(here.onboard(), "DISABLED")
    last = {"callbackUri": peer.url, "filter": {"vnfdId": ["the-last"]}}
    name = here.ask("POST", SUBSCRIPTIONS, json=last).json["id"]
    here.onboard(csar("the-last"))
    until(lambda: any(body["subscriptionId"] == name for _, body in peer.told))  # they are told in order
    told = [body for _, body in peer.told if body["vnfdId"] != "the-last"]
    assert [each["subscriptionId"] for each in told] == [first] * count


def test_subscriptions_are_listed_shown_and_ended(here: Here, peer: Peer) -> None:
    wanted = {"callbackUri": peer.url, "filter": {"vnfdId": ["a"]}}
    name = here.ask("POST", SUBSCRIPTIONS, json=wanted).json["id"]
    twice = here.ask("POST", SUBSCRIPTIONS, json=wanted)
    assert (twice.status_code, twice.headers["Location"].rpartition("/")[2]) == (303, name)
    assert [each["id"] for each in here.ask("GET", SUBSCRIPTIONS).json] == [name]
    assert here.ask("GET", SUBSCRIPTIONS, query_string={"filter": "(eq,filter/vnfdId,b)"}).json == []
    assert here.ask("GET", SUBSCRIPTIONS, by="eve").json == []
    assert here.ask("GET", f"{SUBSCRIPTIONS}/{name}").json["callbackUri"] == peer.url
    for method in ("GET", "DELETE"):
        assert here.ask(method, f"{SUBSCRIPTIONS}/{name}", by="eve").status_code == 404
    assert here.ask("DELETE", f"{SUBSCRIPTIONS}/{name}").status_code == 204
    assert here.ask("GET", f"{SUBSCRIPTIONS}/{name}").status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"callbackUri": 3}, 400),
        ({"callbackUri": "http://127.0.0.1:1/"}, 422),
        ({"callbackUri": "file:///etc/passwd"}, 422),
        ({"callbackUri": "http://x/", "filter": {"other": []}}, 400),
        ({"callbackUri": "http://x/", "filter": {"vnfdId": "a"}}, 400),
        ({"callbackUri": "http://x/", "filter": {"vnfProductsFromProviders": [3]}}, 400),
        ({"callbackUri": "http://x/", "authentication": {"authType": ["TLS_CERT"]}}, 422),
        ({"callbackUri": "http://x/", "authentication": {"authType": ["BASIC"]}}, 400),
        ({"callbackUri": "http://x/", "more": 1}, 400),
    ],
)
def test_what_cannot_be_subscribed_to(here: Here, body: dict[str, Any], status: int) -> None:
    answer = here.ask("POST", SUBSCRIPTIONS, json=body)
    assert (answer.status_code, answer.json["status"]) == (status, status)


# packages that are fetched
def test_a_package_is_fetched(here: Here, peer: Peer) -> None:
    name = here.create()
    path = f"{PACKAGES}/{name}/package_content/upload_from_uri"
    answer = here.ask("POST", path, json={"addressInformation": f"http://{peer.name}/vnf.csar"})
    assert (answer.status_code, answer.data) == (202, b"")
    assert here.settled(name)["onboardingState"] == "ONBOARDED"
    assert here.ask("GET", f"{PACKAGES}/{name}/package_content").data == peer.package
    assert here.ask("POST", path, json={"addressInformation": f"http://{peer.name}/vnf.csar"}).status_code == 409


def test_what_cannot_be_fetched_is_said(here: Here, peer: Peer) -> None:
    name = here.create()
    path = f"{PACKAGES}/{name}/package_content/upload_from_uri"
    assert here.ask("POST", path, json={"addressInformation": f"http://{peer.name}/nothing"}).status_code == 202
    found = here.settled(name)
    assert found["onboardingState"] == "CREATED"
    assert "it answers 404" in found["onboardingFailureDetails"]["detail"]
    for url in ("http://127.0.0.1:1/", "http://169.254.169.254/", "file:///etc/passwd", "", "http://localhost/"):
        answer = here.ask("POST", path, json={"addressInformation": url})
        assert answer.status_code == 400, url
    for body in ({"addressInformation": 3}, {"addressInformation": "x", "more": 1}, []):
        assert here.ask("POST", path, json=body).status_code == 400
    assert here.show(name)["onboardingState"] == "CREATED"
