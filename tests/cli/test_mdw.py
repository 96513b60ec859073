"""mdw as it is typed: what it prints, what it changes, and its exit status, on a whole site of `local` gateways."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from meghdwar.cli import mdw, options
from meghdwar.driver import certificate, database
from meghdwar.driver.control import Driver
from meghdwar.driver.hypervisor import Unbounded
from tests.driver.test_control import moved_without_its_source
from tests.hypervisors.local import IMAGES
from tests.site import Site

DONE, PROBLEMS, CANNOT, WAITS, ELSEWHERE, OURS, INTERRUPTED = 0, 1, 2, 3, 4, 70, 130


class Typed:
    """Types commands; `out` and `err` are what the last one printed."""

    def __init__(self, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
        self.site, self._capsys = site, capsys
        self.out = self.err = ""

    def __call__(self, *words: str) -> int:
        status = mdw.main(list(words))
        self.out, self.err = self._capsys.readouterr()
        assert "Traceback" not in self.err
        return status

    def data(self, *words: str) -> Any:
        """What a command prints as JSON; it has to be done."""
        assert self(*words, "-f", "json") == DONE, self.err
        return json.loads(self.out)

    def gateways(self) -> None:
        for name in self.site.gateways:
            place = str(self.site.home / name)
            assert self("gateway", "add", name, "--hypervisor", "local", "--endpoint", place) == DONE, self.err

    def up(self, **changes: str) -> None:
        self.gateways()
        routes = f"table:{self.site.home}/routes"
        assert self("up", str(self.site.plan(**changes)), "--images", str(IMAGES), "--router", routes) == DONE, self.err


@pytest.fixture
def typed(site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    monkeypatch.setenv("MEGHDWAR_DATABASE", site.url)
    monkeypatch.setenv("HOME", str(site.home))
    monkeypatch.delenv("MEGHDWAR_TRACEBACK", raising=False)
    return Typed(site, capsys)


# the main job
def test_up_move_sight_fsck_and_down(typed: Typed) -> None:
    typed.up()
    assert typed("status") == DONE
    assert typed.out.splitlines() == [
        "INSTANCE  CLOUDLET  SUBSCRIBER  GATEWAY  STATE  OPERATION",
        "arena     arena     -           edge_a   up     -",
    ]
    assert typed("move", "arena", "--to", "edge_b", "--reason", "maintenance") == DONE
    assert typed.out.startswith("arena is at edge_b, gap ")
    assert "pause done" in typed.err
    assert typed("sight", "anna", "--cell", "cell-1") == DONE
    assert typed.out.startswith("arena is at edge_a")
    assert typed("fsck") == DONE
    assert typed.out == "everything is as it should be\n"
    assert typed("down", "arena") == DONE
    assert typed.out.startswith("arena is gone")
    assert typed("status") == DONE
    assert (typed.out, typed.err) == ("", "nothing is up\n")


def test_quiet_says_only_what_it_did(typed: Typed) -> None:
    typed.up()
    assert typed("-q", "move", "arena", "--to", "edge_b") == DONE
    assert typed.err == ""
    assert typed("move", "arena", "--to", "edge_a", "--quiet") == DONE
    assert typed.err == ""


def test_data_for_programs(typed: Typed) -> None:
    typed.up()
    [row] = typed.data("status")
    assert (row["instance"], row["gateway"], row["state"]) == ("arena", "edge_a", "up")
    [moved] = typed.data("move", "arena", "--to", "edge_b")
    assert (moved["status"], moved["from"], moved["to"]) == ("completed", "edge_a", "edge_b")
    assert 0 < moved["gap_s"] < 5
    assert typed.data("history")[0]["operation"] == moved["operation"]
    shown = typed.data("show", moved["operation"])
    assert [step["step"] for step in shown["steps"]][:3] == ["stage", "fence", "pause"]
    assert {step["outcome"] for step in shown["steps"]} == {"done"}
    assert typed.data("fsck") == {"decided": [], "problems": []}
    assert [each["gateway"] for each in typed.data("gateway", "list")] == ["edge_a", "edge_b"]
    assert {each["level"] for each in typed.data("gateway", "doctor")} == {"good"}
    [seen] = typed.data("sight", "anna", "--cell", "cell-3")
    assert (seen["home"], seen["operation"]) == ("edge_b", None)
    assert typed("status", "-f", "yaml") == DONE
    assert yaml.safe_load(typed.out)[0]["gateway"] == "edge_b"


def test_a_plan_of_a_move_changes_nothing(typed: Typed) -> None:
    typed.up()
    before = typed.data("history")
    told = typed.data("plan", "move", "arena", "--to", "edge_b", "--strategy", "cold")
    assert told["strategy"] == "cold"
    assert [step["step"] for step in told["steps"] if step["way_back"] is None] == ["reroute", "settle", "retire"]
    assert {each["strategy"] for each in told["strategies"]} == {"cold", "precopy", "warm", "files"}
    assert typed("plan", "move", "arena", "--to", "edge_b") == DONE
    for words in ("way back", "nothing was changed", "at most 16.8 MB", "at most 500 ms", "names edge_b"):
        assert words in typed.out.lower() or words in typed.out
    assert typed.data("history") == before


@pytest.mark.parametrize("name", ["arena/anna", "arena/arena/anna", "anna", "arena-anna"])
def test_an_instance_may_be_called_short(typed: Typed, name: str) -> None:
    typed.up(instances="per_subscriber")
    assert typed("sight", "anna", "--cell", "cell-1") == DONE
    [own] = typed.data("status")
    typed.data("plan", "move", own["instance"] if name == "arena-anna" else name, "--to", "edge_b")


def test_a_name_that_may_be_several_is_told(typed: Typed) -> None:
    typed.up(instances="per_subscriber")
    for subscriber in ("anna", "ben"):
        assert typed("sight", subscriber, "--cell", "cell-1") == DONE
    assert typed("plan", "move", "arena", "--to", "edge_b") == CANNOT
    assert "cannot find the instance 'arena'" in typed.err
    assert typed("move", "arena/ana", "--to", "edge_b") == CANNOT
    assert "did you mean 'arena/anna'?" in typed.err


# what cannot be done: one line, status 2, nothing changed
def edited(typed: Typed) -> list[str]:
    plan = typed.site.plan()
    plan.write_text(plan.read_text().replace("cell-3", "cell-4"))
    return ["up", str(plan)]


def of_another_compile(typed: Typed) -> list[str]:
    plan = typed.site.plan()
    stack = plan.with_name("arena.hot.yaml")
    stack.write_text(stack.read_text() + "# more\n")
    return ["up", str(plan)]


def with_a_file_missing(typed: Typed) -> list[str]:
    plan = typed.site.plan()
    plan.with_name("arena.env.yaml").unlink()
    return ["up", str(plan)]


def a_descriptor(typed: Typed) -> list[str]:
    typed.site.bundle()
    return ["up", str(typed.site.home / "arena.tosca.yaml")]


def words(*given: str) -> Callable[[Typed], list[str]]:
    return lambda typed: list(given)


def up_with(*given: str) -> Callable[[Typed], list[str]]:
    return lambda typed: ["up", str(typed.site.plan()), *given]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (edited, "it was edited by hand; change the descriptor and compile it again"),
        (of_another_compile, "it was changed after arena.plan.yaml was written; compile the descriptor again"),
        (with_a_file_missing, "arena.env.yaml"),
        (a_descriptor, "it is no plan"),
        (words("up", "nosuch.plan.yaml"), "cannot read nosuch.plan.yaml: there is no such file"),
        (up_with("--images", "nosuch"), "cannot use the images of nosuch"),
        (up_with("--router", "bgp"), "cannot route by 'bgp'"),
        (up_with("--input", "lives"), "cannot read the input 'lives': it has to be NAME=VALUE"),
        (up_with("--input", "live=1"), "did you mean 'lives'?"),
        (words("down", "aren"), "did you mean 'arena'?"),
        (words("status", "aren"), "did you mean 'arena'?"),
        (words("fsck", "aren"), "did you mean 'arena'?"),
        (words("move", "arna", "--to", "edge_b"), "did you mean 'arena'?"),
        (words("move", "arena", "--to", "edge_c"), "cannot find gateway 'edge_c'"),
        (words("move", "arena", "--to", "edge_a"), "it is there already"),
        (words("move", "arena", "--to", "edge_b", "--strategy", "live"), "moves with cold, precopy, warm, files"),
        (words("plan", "move", "arena", "--to", "edge_c"), "cannot find gateway 'edge_c'"),
        (words("show", "m-1"), "cannot find operation 'm-1'"),
        (words("resume", "m-1"), "cannot find operation 'm-1'"),
        (words("rollback", "m-1"), "cannot find operation 'm-1'"),
        (words("resume", "--source-is-fenced"), "name the one operation, and say --because"),
        (words("resume", "m-1", "--by", "kim"), "belong to --source-is-fenced"),
        (words("history", "--instance", "arna"), "did you mean 'arena'?"),
        (words("sight", "anna"), "say --cell C, or --latency"),
        (words("sight", "anna", "--latency", "edge_a=near"), "'near' is no number of milliseconds"),
        (words("sight", "anna", "--cell", "cell-1", "--application", "aren"), "did you mean 'arena'?"),
        (words("gateway", "remove", "edge_a"), "instances are there; move them elsewhere first"),
        (words("gateway", "remove", "edge_c"), "cannot find gateway 'edge_c'"),
        (words("gateway", "doctor", "edge_c"), "cannot find gateway 'edge_c'"),
        (words("gateway", "add", "x", "--hypervisor", "lxc", "--endpoint", "y"), "did you mean 'lxd'?"),
        (words("gateway", "add", "edge_a", "--hypervisor", "local", "--endpoint", "y"), "mdw gateway remove edge_a"),
        (words("fsck", "--discard", "arena@edge_a"), "say --mend as well"),
        (words("fsck", "--mend", "--discard", "arena"), "it has to be INSTANCE@GATEWAY"),
        (words("fsck", "--mend", "--discard", "arena@edge_a"), "that is its home"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_changed(
    standing: Typed, asked: Callable[[Typed], list[str]], says: str
) -> None:
    line = asked(standing)
    before = everything(standing.site)
    assert standing(*line) == CANNOT
    assert says in standing.err
    assert standing.err.startswith("mdw: cannot ")
    assert everything(standing.site) == before
    assert standing("fsck") == DONE


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site for all that changes nothing."""
    site = Site(tmp_path_factory.mktemp("standing"))
    site.up()
    yield site
    site.close()


@pytest.fixture
def standing(shared: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    """The arena is up there."""
    monkeypatch.setenv("MEGHDWAR_DATABASE", shared.url)
    return Typed(shared, capsys)


def everything(site: Site) -> object:
    """What the database says, and what is at the gateways."""
    driver = site.reading()
    inventory = driver.inventory
    return (
        inventory.gateways(),
        inventory.applications(),
        [(record.instance, record.gateway) for record in inventory.instances()],
        driver.journal.operations(),
        [[(seen.name, seen.power, seen.writer) for seen in gateway.inventory()] for gateway in site.gateways.values()],
    )


@pytest.mark.parametrize("line", [[], ["mov"], ["move", "arena"], ["status", "-f", "xml"], ["history", "--limit", "0"]])
def test_what_is_not_understood_has_status_2(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        assert mdw.main(line) == CANNOT
    except SystemExit as end:
        assert end.code == CANNOT  # noqa: PT017 - argparse ends so


# databases
def test_a_database_that_cannot_be_used_is_named(typed: Typed) -> None:
    for url, says in (
        (f"sqlite:///{typed.site.home}", "cannot use the database"),
        ("mysql://here/there", "it has to be sqlite:///PATH or postgresql://HOST/NAME"),
        ("postgresql://kim:hush@127.0.0.1:1/arena", "cannot use the database"),
    ):
        assert typed("--database", url, "status") == CANNOT
        assert says in typed.err
        assert "hush" not in typed.err


def test_a_file_that_is_no_database_is_named(typed: Typed) -> None:
    (typed.site.home / "notes.txt").write_text("this is no database" * 100)
    assert typed("--database", str(typed.site.home / "notes.txt"), "status") == CANNOT
    assert "it is no SQLite database" in typed.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_database_that_may_only_be_read_changes_nothing(typed: Typed) -> None:
    typed.up()
    file = typed.site.home / "meghdwar.db"
    file.chmod(0o444)
    try:
        assert typed("move", "arena", "--to", "edge_b") in (CANNOT, WAITS)
        assert "Permission denied" in typed.err
    finally:
        file.chmod(0o644)
    assert typed("fsck") == DONE


def test_a_database_that_goes_away_in_a_move_loses_nothing(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    typed.up()
    file, away = typed.site.home / "meghdwar.db", typed.site.home / "away.db"
    begin = Driver._run

    def goes(self: Driver, *given: Any) -> None:
        file.rename(away)
        begin(self, *given)

    monkeypatch.setattr(Driver, "_run", goes)
    assert typed("move", "arena", "--to", "edge_b") == WAITS
    assert "put it back" in typed.err
    assert "goes on with: mdw resume m-" in typed.err
    monkeypatch.undo()
    monkeypatch.setenv("MEGHDWAR_DATABASE", typed.site.url)
    away.rename(file)
    release(typed.site)
    assert typed("resume") == DONE
    assert typed("fsck") == DONE


def release(site: Site) -> None:
    """As if the leases had run out."""
    with sqlite3.connect(site.home / "meghdwar.db") as connection:
        connection.execute("UPDATE claims SET owner = NULL, lease_until = NULL")
    connection.close()


# compensated, waiting, elsewhere
def test_a_build_that_is_undone_has_status_1(typed: Typed) -> None:
    typed.gateways()
    assert typed("up", str(typed.site.plan(image="nosuch")), "--images", str(IMAGES)) == PROBLEMS
    assert "the build was undone, nothing is left of it: cannot" in typed.out


def test_what_waits_has_status_3_and_goes_on_or_back(typed: Typed) -> None:
    typed.up()
    table = typed.site.home / "routes"
    for file in table.iterdir():
        file.unlink()
    table.rmdir()
    table.write_text("in the way")  # past reroute there is no way back: it waits
    driver_patience(0.2)
    try:
        assert typed("move", "arena", "--to", "edge_b") == WAITS
        assert "go on: mdw resume m-" in typed.out
        [left] = [each for each in typed.data("history") if each["status"] == "waiting"]
        assert typed("rollback", left["operation"]) == CANNOT
        assert "it can only be finished" in typed.err
        assert typed("resume") == WAITS
        assert typed("fsck") == PROBLEMS
        assert f"mdw resume {left['operation']}" in typed.out
        table.unlink()
        assert typed("resume", left["operation"]) == DONE
    finally:
        driver_patience(15.0)
    assert typed.out.startswith("arena is at edge_b")
    assert typed("resume") == DONE
    assert typed.out == "nothing was left unfinished\n"


def driver_patience(seconds: float) -> None:
    defaults = Driver.__init__.__kwdefaults__
    defaults["patience_s"] = seconds


def test_what_another_driver_works_on_has_status_4(typed: Typed) -> None:
    typed.up()
    typed.site.driver().journal.claim("arena", "another")
    for line in (["move", "arena", "--to", "edge_b"], ["sight", "anna", "--cell", "cell-3"], ["down", "arena"]):
        assert typed(*line) == ELSEWHERE
        assert "another works on it" in typed.out + typed.err


def test_what_a_move_goes_on_with_without_its_source_is_said(typed: Typed) -> None:
    left = moved_without_its_source(typed.site)[2].id
    assert typed("resume", left, "--source-is-fenced", "--because", "power cut") == DONE
    said = "recovered: arena-saves as it was at 20"
    assert said in typed.out
    assert "whatever edge_a wrote after that is lost" in typed.out
    assert typed("status") == DONE
    assert f"up, {said}" in typed.out
    assert typed("show", left) == DONE
    assert said in typed.out
    assert typed("history") == DONE
    assert "RECOVERED" in typed.out
    assert typed.data("history")[0]["recovered"].startswith("arena-saves as it was at 20")
    assert typed("fsck", "--mend") == DONE
    assert typed("move", "arena", "--to", "edge_a") == DONE
    assert typed("status") == DONE
    assert "recovered" not in typed.out


def test_rolling_back_says_so(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    typed.up()
    left = interrupted(typed, monkeypatch)
    assert typed("rollback", left, "--by", "kim", "--because", "wrong gateway") == DONE
    assert "the move was undone, it is at edge_a as before: rolled back by kim: wrong gateway" in typed.out


def interrupted(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> str:
    """Ctrl-C in the middle of a move; the operation."""
    from meghdwar.cli.commands.progress import Progress

    def ctrl_c(self: Progress, event: Any) -> None:
        self.current[event.operation.id] = event.operation
        if event.entry is not None and (event.entry.step, event.entry.phase) == ("transfer", "doing"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Progress, "__call__", ctrl_c)
        assert typed("move", "arena", "--to", "edge_b") == INTERRUPTED
    told = typed.err
    [operation] = [each for each in typed.data("history") if each["status"] == "running"]
    assert f"go on: mdw resume {operation['operation']}" in told
    return str(operation["operation"])


def test_ctrl_c_says_how_to_go_on_and_resume_does(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    typed.up()
    left = interrupted(typed, monkeypatch)
    assert typed("resume", left) == DONE
    assert typed.out.startswith("arena is at edge_b")


# processes
def mdw_process(site: Site, *given: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "meghdwar.cli.mdw", *given],
        env=site.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_two_ups_at_once_build_it_once(typed: Typed) -> None:
    typed.gateways()
    line = ["up", str(typed.site.plan()), "--images", str(IMAGES)]
    both = [mdw_process(typed.site, *line) for _ in range(2)]
    told = [each.communicate(timeout=60) for each in both]
    assert sorted(each.returncode for each in both) in ([DONE, DONE], [DONE, ELSEWHERE]), told
    builds = [each for each in typed.data("history") if each["kind"] == "build"]
    assert [each["status"] for each in builds] == ["completed"]
    assert typed("fsck") == DONE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_a_move_leaves_it_free_to_go_on(typed: Typed, number: int) -> None:
    typed.up()
    moving = mdw_process(typed.site, "move", "arena", "--to", "edge_b")
    assert moving.stderr is not None
    for line in moving.stderr:
        if "stage done" in line:
            moving.send_signal(number)
            break
    moving.communicate(timeout=30)
    assert moving.returncode in (INTERRUPTED, DONE)
    assert typed("resume") == DONE
    assert typed("fsck") == DONE


def test_a_driver_that_was_killed_is_taken_over(typed: Typed) -> None:
    typed.up()
    moving = mdw_process(typed.site, "move", "arena", "--to", "edge_b")
    assert moving.stderr is not None
    for line in moving.stderr:
        if "stage done" in line:
            moving.kill()
            break
    moving.communicate(timeout=30)
    if typed("resume") == DONE and "a driver is at it; if that has died: mdw resume --wait" in typed.err:
        release(typed.site)
        assert typed("resume", "--wait") == DONE
    assert typed("fsck") == DONE


# gateways
def test_a_gateway_that_is_known_already_is_no_mistake(typed: Typed) -> None:
    typed.gateways()
    place = str(typed.site.home / "edge_a")
    assert typed("gateway", "add", "edge_a", "--hypervisor", "local", "--endpoint", place) == DONE
    assert typed.out == "edge_a is known already; nothing was changed\n"
    assert typed("gateway", "remove", "edge_a") == DONE
    assert [each["gateway"] for each in typed.data("gateway", "list")] == ["edge_b"]


def test_a_doctor_that_finds_something_bad_has_status_1(typed: Typed) -> None:
    typed.gateways()
    (typed.site.home / "edge_a").rmdir()
    assert typed("gateway", "doctor") == PROBLEMS
    assert "mkdir -p" in typed.out
    (typed.site.home / "edge_a").mkdir()


SHOWN = "ab" * 32


def test_no_certificate_is_trusted_because_it_came_first(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "shown_at", lambda endpoint, timeout_s: SHOWN)
    line = ["gateway", "add", "far", "--hypervisor", "lxd", "--endpoint", "https://far:8443"]
    assert typed(*line) == CANNOT
    assert f"it shows the SHA-256 fingerprint {SHOWN}" in typed.err
    assert typed.data("gateway", "list") == []
    assert typed(*line, "--certificate", "cd" * 32) == CANNOT
    assert "shows another certificate" in typed.err
    assert typed(*line, "--certificate", "abc") == CANNOT
    assert "a SHA-256 has 64 hexadecimal digits" in typed.err
    assert typed.data("gateway", "list") == []
    assert typed(*line, "--certificate", ":".join(["AB"] * 32)) == DONE
    assert typed.data("gateway", "list")[0]["certificate"] == SHOWN


def test_an_https_gateway_that_does_not_answer_is_known_by_its_certificate(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(endpoint: str, timeout_s: float) -> str:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(certificate, "shown_at", nobody)
    line = ["gateway", "add", "far", "--hypervisor", "lxd", "--endpoint", "https://far:8443"]
    assert typed(*line) == CANNOT
    assert "does not answer" in typed.err
    assert typed(*line, "--certificate", SHOWN) == DONE
    assert "its certificate was not compared" in typed.err


# fsck
def test_fsck_tells_and_mends(typed: Typed) -> None:
    typed.up()
    record = typed.site.driver().inventory.instance("arena")
    typed.site.gateways["edge_a"].stop(record.instance, Unbounded(record.epoch))
    assert typed("fsck") == PROBLEMS
    assert "stopped: arena is stopped at edge_a, its home" in typed.out
    assert "1 problem, 1 of them mended by mdw fsck --mend" in typed.out
    assert typed("fsck", "-f", "json") == PROBLEMS
    assert json.loads(typed.out)["problems"][0]["code"] == "stopped"
    assert typed("fsck", "--mend") == DONE
    assert "mended: started at edge_a" in typed.out
    assert typed("fsck") == DONE


# beside the commands
def test_what_is_a_mistake_of_ours_is_one_line(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database.Database, "close", lambda self: None)
    monkeypatch.setattr("meghdwar.cli.commands.applications.rows", lambda *given: 1 / 0)
    assert typed("status") == OURS
    assert typed.err.startswith("mdw: cannot go on: a mistake of ours (ZeroDivisionError at test_mdw.py:")


def test_without_the_extra_it_says_which() -> None:
    code = "import sys; sys.modules['sqlalchemy'] = None; from meghdwar.cli import mdw; sys.exit(mdw.main(['status']))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert told.returncode == CANNOT
    assert told.stderr == "mdw: cannot start: sqlalchemy is not installed; pip install 'meghdwar[driver]'\n"


def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for line in commands():
        with pytest.raises(SystemExit) as end:
            mdw.main([*line, "--help"])
        assert end.value.code == 0
        told = capsys.readouterr().out
        assert f"example:\n  mdw {' '.join(line)}" in told, line
    with pytest.raises(SystemExit):
        mdw.main(["--help"])
    assert "exit status: 0 done" in capsys.readouterr().out


def commands() -> list[list[str]]:
    return [key.split("_") for key in mdw.COMMANDS]


def test_every_command_of_the_parser_is_in_the_table() -> None:
    for line in commands():
        parsed = options.parser().parse_args([*line, *NEEDS.get(line[-1], [])])
        assert parsed.run in mdw.COMMANDS


NEEDS = {
    "up": ["x.plan.yaml"],
    "down": ["x"],
    "move": ["x", "--to", "y"],
    "stop": ["x"],
    "start": ["x"],
    "heal": ["x"],
    "show": ["x"],
    "rollback": ["x"],
    "add": ["x", "--hypervisor", "local", "--endpoint", "y"],
    "remove": ["x"],
    "sight": ["x"],
    "prune": ["--before", "90d"],
    "onboard": ["x"],
    "adopt": ["x"],
    "pack": ["x"],
    "check": ["x"],
    "enable": ["x"],
    "disable": ["x"],
    "delete": ["x"],
    "download": ["x"],
}


# forgetting
def test_prune_forgets_what_ended_long_ago_and_nothing_else(typed: Typed) -> None:
    typed.up()
    assert typed("move", "arena", "--to", "edge_b") == DONE
    now = datetime.now(UTC)
    assert typed.data("prune", "--before", "1d")["forgotten"] == 0
    assert typed.data("history")[0]["to"] == "edge_b"
    assert typed("prune", "--before", now.isoformat()) == DONE
    assert typed.out.startswith("2 operations that ended before 20")
    assert typed.data("history") == []
    assert typed.data("status")[0]["gateway"] == "edge_b"
    assert typed("move", "arena", "--to", "edge_a") == DONE
    assert [each["to"] for each in typed.data("history")] == ["edge_a"]


@pytest.mark.parametrize("when", ["yesterday", "", "90", "90y", "-1d", "2026-13-01", "0000-00-00", "9" * 6 + "d"])
def test_prune_wants_a_time(when: str, typed: Typed) -> None:
    typed.up()
    with pytest.raises(SystemExit) as ended:
        typed("prune", f"--before={when}")
    assert ended.value.code == CANNOT
    assert len(typed.data("history")) == 1


def test_prune_does_not_reach_into_the_future(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        typed("prune", "--before", (datetime.now(UTC) + timedelta(hours=1)).isoformat())
    assert "it is yet to come" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_scripts(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab", reason="shtab is not installed: pip install 'meghdwar[completion]'")
    with pytest.raises(SystemExit):
        mdw.main(["--completion", shell])
    told = capsys.readouterr().out
    assert "rollback" in told
    assert "prune" in told
    assert "--strategy" in told


def test_help_imports_nothing_of_the_driver() -> None:
    code = "import sys, meghdwar.cli.options as o; o.parser(); print([m for m in sys.modules if 'sqlalchemy' in m])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


def test_a_pipe_that_is_closed_early_is_no_mistake(typed: Typed) -> None:
    typed.up()
    reading = mdw_process(typed.site, "status", "-f", "json")
    assert reading.stdout is not None
    reading.stdout.close()
    assert reading.stderr is not None
    assert reading.stderr.read() == ""
    assert reading.wait(30) == DONE


def test_paths_may_be_relative(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(typed.site.home)
    assert typed("gateway", "add", "edge_a", "--hypervisor", "local", "--endpoint", "edge_a") == DONE
    assert typed.data("gateway", "list")[0]["endpoint"] == str(Path(typed.site.home, "edge_a"))
