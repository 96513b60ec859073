"""Who may come in: an endpoint that answers who is calling, behind each way of telling who that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Blueprint, Flask

from meghdwar.api import auth, settings
from meghdwar.api.app import application
from meghdwar.api.area import Area
from meghdwar.driver import database
from meghdwar.driver.control import Driver
from meghdwar.driver.operation import DriverError
from tests.api.served import tokens

READER, OPERATOR, ELSEWHERE = "r" * 20, "o" * 20, "e" * 20
LINES = (f"{READER} here reader ann", f"{OPERATOR} here operator bob", "", f"{ELSEWHERE} there admin eve")


AWAY = """
[keystone_authtoken]
auth_type = password
auth_url = http://127.0.0.1:1/v3
username = meghdwar
password = secret
project_name = service
user_domain_name = Default
project_domain_name = Default
"""


def areas() -> tuple[Area, ...]:
    blueprint = Blueprint("who", __name__)

    @blueprint.get("/who")
    def who() -> dict[str, str]:
        return {"user": auth.caller().user, "project": auth.caller().project}

    @blueprint.post("/who")
    def change() -> dict[str, str]:
        return who()

    @blueprint.get("/forgotten")
    def forgotten() -> dict[str, str]:
        return {}

    rules = {"who": "who:read", "change": "who:write"}
    return (Area(blueprint, rules, {"who:read": "rule:reader", "who:write": "rule:operator"}),)


Make = Callable[..., Flask]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    opened, apps = database.open(str(tmp_path / "a.db")), []

    def made(config: str = "", **given: str) -> Flask:
        path = tmp_path / "api.conf"
        path.write_text(config)
        given = {"content": str(tmp_path / "packages"), "tokens": str(tokens(tmp_path, *LINES)), **given}
        apps.append(application(settings.read(str(path), **given), Driver(opened), areas()))
        return apps[-1]

    yield made
    for app in apps:
        app.extensions["meghdwar"].close()
    opened.close()


@pytest.mark.parametrize(
    ("method", "path", "token", "status"),
    [
        ("GET", "/who", "", 401),
        ("GET", "/who", "x" * 20, 401),
        ("GET", "/who", READER[:-1], 401),
        ("GET", "/who", "\udcff" * 20, 401),
        ("GET", "/who", READER, 200),
        ("POST", "/who", READER, 403),
        ("POST", "/who", OPERATOR, 200),
        ("GET", "/who", ELSEWHERE, 200),
        ("GET", "/forgotten", "", 401),
        ("GET", "/forgotten", ELSEWHERE, 403),
    ],
)
def test_local_tokens(make: Make, method: str, path: str, token: str, status: int) -> None:
    headers = {"X-Auth-Token": token.encode("utf-8", "surrogateescape").decode("latin-1")} if token else {}
    answer = make().test_client().open(path, method=method, headers=headers)
    assert answer.status_code == status
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


def test_a_bearer_token_is_one_too(make: Make) -> None:
    answer = make().test_client().get("/who", headers={"Authorization": f"Bearer {ELSEWHERE}"})
    assert answer.get_json() == {"user": "eve", "project": "there"}


def test_tokens_are_read_again_when_they_change(make: Make, tmp_path: Path) -> None:
    client = make().test_client()
    new = "n" * 20
    assert client.get("/who", headers={"X-Auth-Token": new}).status_code == 401
    tokens(tmp_path, f"{new} here reader new")
    assert client.get("/who", headers={"X-Auth-Token": new}).status_code == 200
    assert client.get("/who", headers={"X-Auth-Token": READER}).status_code == 401


def test_tokens_that_were_spoilt_let_nobody_in_and_tell_clients_nothing(make: Make, tmp_path: Path) -> None:
    client = make().test_client()
    tokens(tmp_path, "nonsense")
    answer = client.get("/who", headers={"X-Auth-Token": READER})
    assert answer.status_code == 503
    assert str(tmp_path) not in answer.text


@pytest.mark.parametrize(
    ("line", "said"), [("short here reader ann", "tokens:1"), (f"{READER} here reader", "tokens:1")]
)
def test_a_token_file_that_cannot_be_used(make: Make, tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(DriverError, match=said):
        make(tokens=str(tokens(tmp_path / "other", line)))


def test_a_token_file_that_others_can_read_is_not_used(make: Make, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    path = tokens(tmp_path / "other", *LINES)
    path.chmod(0o644)
    with pytest.raises(DriverError, match="others may read them; chmod 600"):
        make(tokens=str(path))


def test_nobody_asks(make: Make) -> None:
    assert make(auth="none").test_client().post("/who").get_json() == {"user": "anybody", "project": "default"}


@pytest.mark.parametrize("given", ["token", "none"])
def test_the_headers_of_keystone_count_only_behind_it(make: Make, given: str) -> None:
    forged = {"X-Identity-Status": "Confirmed", "X-Project-Id": "there", "X-Roles": "admin", "X-User-Id": "eve"}
    answer = make(auth=given).test_client().get("/who", headers=forged)
    assert answer.status_code == 401 or answer.get_json()["project"] == "default"


def test_keystone_takes_out_headers_that_a_client_sent(make: Make) -> None:
    config = "[keystone_authtoken]\nwww_authenticate_uri = http://127.0.0.1:1/v3\nauth_type = none\n"
    forged = {"X-Identity-Status": "Confirmed", "X-Project-Id": "there", "X-Roles": "admin", "X-User-Id": "eve"}
    answer = make(config, auth="keystone").test_client().get("/who", headers=forged)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Keystone")


def test_a_keystone_that_does_not_answer_makes_no_token_wrong(make: Make) -> None:
    client = make(AWAY, auth="keystone").test_client()
    answer = client.get("/who", headers={"X-Auth-Token": READER})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "keystone cannot be asked now" in answer.text
    assert client.get("/who").status_code == 401


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("", "does not say how to ask it"),
        ("[keystone_authtoken]\nauth_type = password\n", "auth_url"),
        ("[keystone_authtoken]\nauth_type = passwort\n", "passwort"),
    ],
)
def test_keystone_without_a_way_to_ask_it(make: Make, config: str, said: str) -> None:
    with pytest.raises(DriverError, match=said):
        make(config, auth="keystone")


def test_the_operators_policy_counts(make: Make, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text('"who:read": "role:auditor"\n')
    app = make(f"[oslo_policy]\npolicy_file = {tmp_path}/policy.yaml\n")
    assert app.test_client().get("/who", headers={"X-Auth-Token": READER}).status_code == 403
