"""`openstack edge` as it is typed, against a real `mdw serve` and real processes."""

from __future__ import annotations

import shlex
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meghdwar.osc import client
from tests.api.served import served
from tests.api.v1.conftest import RED, Cloud, serving
from tests.contract.pairs import eventually
from tests.hypervisors.local import IMAGES
from tests.osc.typed import Typed, shell
from tests.site import DEFAULTS, DESCRIPTOR, Site

META = "TOSCA-Meta-File-Version: 1.0\nCSAR-Version: 1.1\nCreated-By: tests\nEntry-Definitions: arena.yaml\n"

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    site = Site(Path(tmp_path_factory.mktemp("site")))
    with serving(site) as found:
        found.gateways()
        yield found
    site.close()


@pytest.fixture(scope="module")
def typed(cloud: Cloud) -> Typed:
    auth = ("--os-auth-type", "admin_token", "--os-endpoint", cloud.served.url, "--os-token", RED)
    return Typed(*auth)


def test_a_whole_life_as_it_is_typed(cloud: Cloud, typed: Typed) -> None:
    plan = str(cloud.site.plan())
    made = typed.data("application", "create", "--plan", plan, "--input", "lives=5", "--wait", "shop")
    assert (made["name"], made["status"], made["inputs"]) == ("shop", "up", '{"lives": 5}')
    [arena] = typed.data("cloudlet", "list", "--application", "shop")
    assert (arena["Cloudlet"], arena["Gateway"], arena["Status"]) == ("arena", "edge_a", "up")
    moved = typed.data("move", "create", "arena", "--to", "edge_b", "--idempotency-key", "once")
    watched = typed("move", "watch", moved["id"]).splitlines()
    assert [line.split()[1:3] for line in watched if " done" in line][-1] == ["retire", "done"]
    assert "move completed, nobody was served for" in watched[-1]
    assert typed.data("move", "create", "arena", "--to", "edge_b", "--idempotency-key", "once")["status"] == "completed"
    assert typed.data("cloudlet", "show", "shop/arena")["gateway"] == "edge_b"
    for act, kind in (("stop", "stop"), ("start", "start"), ("heal", "heal")):
        assert typed.data("cloudlet", act, "arena", "--wait")["kind"] == kind
    assert len(typed.data("operation", "list")) == 5
    assert [each["Status"] for each in typed.data("move", "list")] == ["completed"]
    typed("application", "delete", "shop", "--wait")
    assert typed.data("application", "list") == []
    assert cloud.site.gateways["edge_b"].inventory() == ()


def test_from_a_package_to_a_move_and_away(cloud: Cloud, typed: Typed, tmp_path: Path) -> None:
    descriptor = DESCRIPTOR.format(**DEFAULTS)
    csar = tmp_path / "arena.csar"
    with zipfile.ZipFile(csar, "w") as made:
        made.writestr("arena.yaml", descriptor)
        made.writestr("TOSCA-Metadata/TOSCA.meta", META)
    package = typed.data("package", "onboard", str(csar))
    assert package["onboarding"] == "ONBOARDED"
    application = typed.data("application", "create", "--package", package["id"], "--wait", "boxed")
    assert application["status"] == "up"
    assert typed.data("package", "show", package["id"])["usage"] == "IN_USE"
    [arena] = typed.data("cloudlet", "list", "--application", "boxed")
    moved = typed.data("move", "create", arena["Id"], "--to", "edge_b", "--wait")
    assert moved["status"] == "completed"
    typed("package", "set", "--disable", package["id"])
    typed("application", "create", "--package", package["id"], "again", status=1)
    assert "it is not enabled" in typed.said
    typed("package", "delete", package["id"], status=1)
    assert "IN_USE" in typed.said
    typed("package", "download", package["id"], "--file", str(tmp_path / "back.csar"))
    assert (tmp_path / "back.csar").read_bytes() == csar.read_bytes()
    typed("application", "delete", "boxed", "--wait")
    eventually(lambda: typed.data("package", "show", package["id"])["usage"] == "NOT_IN_USE", 10, every_s=0.5)
    typed("package", "delete", package["id"])
    assert typed.data("package", "list") == []


def test_what_is_refused_says_why(cloud: Cloud, typed: Typed) -> None:
    typed("move", "create", "nothing", "--to", "edge_b", status=1)
    assert "cannot find the cloudlet 'nothing'" in typed.said
    typed("gateway", "create", "x", "--hypervisor", "local", "--endpoint", "/x", status=1)
    assert "the policy asks for edge:gateways_create (req-" in typed.said
    typed("application", "create", "--plan", "no.plan.yaml", status=1)
    assert "cannot read no.plan.yaml" in typed.said
    wrong = Typed("--os-auth-type", "admin_token", "--os-endpoint", cloud.served.url, "--os-token", "x" * 20)
    wrong("gateway", "list", status=1)
    assert "cannot tell who is calling" in wrong.said


def test_without_a_token_where_nobody_asks_for_one(tmp_path: Path) -> None:
    with served(tmp_path / "served", "--auth", "none") as found:
        typed = Typed("--os-auth-type", "none", "--os-endpoint", found.url)
        (tmp_path / "edge").mkdir()
        typed("gateway", "create", "edge_a", "--hypervisor", "local", "--endpoint", f"{tmp_path}/edge",
              "--images", str(IMAGES))  # fmt: skip
        assert typed.data("gateway", "show", "edge_a")["endpoint"] == f"{tmp_path}/edge"
        assert {each["Level"] for each in typed.data("gateway", "check", "edge_a")} <= {"good", "warning"}
        other = Typed("--os-auth-type", "none", "--os-endpoint", "http://127.0.0.1:9",
                      "--os-edge-endpoint", f"{found.url}/v1")  # fmt: skip
        assert [each["Name"] for each in other.data("gateway", "list")] == ["edge_a"]
        typed("gateway", "delete", "edge_a")
        assert typed.data("gateway", "list") == []


def test_every_command_has_help_and_is_completed() -> None:
    from importlib.metadata import entry_points

    commands = entry_points(group="openstack.edge.v1")
    assert len(commands) > 30
    for command in commands:
        made = command.load()
        parser = made(None, None).get_parser(command.name)
        help_ = " ".join(parser.format_help().split())
        _, example = help_.split("(example: openstack edge ")
        noun, act, *words = shlex.split(example.partition(")")[0])
        assert command.name in (f"edge_{noun}_{act}", f"edge_operation_{act}")
        parser.parse_args(words)


def test_openstack_completes_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.main(["complete"]) == 0
    said = capsys.readouterr().out
    for room, acts in (("edge", "application cloudlet gateway move"), ("edge_move", "create list watch")):
        [line] = [line for line in said.splitlines() if line.strip().startswith(f"cmds_{room}=")]
        assert set(acts.split()) <= set(line.partition("=")[2].strip("'").split())


class Breaks:
    """A session whose streams break off after each event: a real server does not do that when asked to."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def request(self, url: str, method: str, headers: dict[str, str], **_: Any) -> Any:
        self.asked.append(headers["Last-Event-ID"])
        number = int(self.asked[-1]) + 1
        kind = "ended" if number == 3 else "step"
        return Answer([f"id: {number}", f"event: {kind}", f'data: {{"n": {number}}}', ""])


class Answer:
    status_code = 200

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def iter_lines(self, **_: Any) -> Iterator[str]:
        return iter(self._lines)

    def close(self) -> None:
        pass


def test_a_stream_that_breaks_off_goes_on_after_the_last_event() -> None:
    session = Breaks()
    seen = list(client.Client(session, "http://there/v1/").events("moves", "m-1"))
    assert [data["n"] for _, data in seen] == [1, 2, 3]
    assert session.asked == ["0", "1", "2"]
