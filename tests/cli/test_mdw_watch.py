"""mdw watch as it is typed: sightings from a file and from a pipe, replays, metrics, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.request

import pytest

from tests.cli.test_mdw import CANNOT, DONE, PROBLEMS, Typed, interrupted, mdw_process
from tests.cli.test_mdw import typed as typed


def sightings(typed: Typed, *lines: object) -> str:
    path = typed.site.home / "sightings.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return str(path)


def anna(at: float, cell: str, subscriber: str = "anna") -> dict[str, object]:
    return {"subscriber": subscriber, "at": at, "cell": cell}


def test_a_replay_moves_what_follows_and_ends(typed: Typed) -> None:
    typed.up()
    file = sightings(typed, anna(1, "cell-1"), anna(10, "cell-3"), anna(9, "cell-1"), anna(20, "cell-2"))
    assert typed("watch", file, "--speed", "0") == DONE, typed.err
    assert "3 sightings taken in, 1 dropped, 0 bad lines, 2 operations worked" in typed.err
    assert [line.split(",")[0] for line in typed.out.splitlines() if line.startswith("arena is")] == [
        "arena is at edge_b",
        "arena is at edge_a",
    ]
    assert typed("fsck") == DONE


def test_bad_lines_are_named_and_passed_over_or_end_it(typed: Typed) -> None:
    typed.up()
    file = sightings(typed, anna(1, "cell-1"), "{", anna(10, "cell-3"))
    assert typed("watch", file, "--speed", "0") == DONE
    assert f"cannot take {file}:2 in: it is no JSON" in typed.err
    assert "2 sightings taken in, 0 dropped, 1 bad lines, 1 operations worked" in typed.err
    assert typed("watch", sightings(typed, "{", anna(30, "cell-1")), "--speed", "0", "--strict") == PROBLEMS
    assert typed.data("status")[0]["gateway"] == "edge_b"


def test_lines_for_programs(typed: Typed) -> None:
    typed.up()
    assert typed("watch", sightings(typed, "no", anna(10, "cell-3")), "--speed", "0", "-f", "json") == DONE
    bad, followed = map(json.loads, typed.out.splitlines())
    assert bad["bad"]["place"].endswith("sightings.jsonl:1")
    assert (followed["followed"]["instance"], followed["followed"]["operation"]["status"]) == ("arena", "completed")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nosuch.jsonl"], "cannot read nosuch.jsonl: No such file or directory"),
        (["--speed", "2"], "name the sightings"),
        (["-", "--speed", "-1"], "it has to be 0 or more"),
        (["--application", "aren"], "did you mean 'arena'?"),
        (["--metrics", "99999"], "cannot serve metrics on port 99999"),
    ],
)
def test_what_cannot_be_watched(typed: Typed, words: list[str], says: str) -> None:
    typed.up()
    assert typed("watch", *words) == CANNOT
    assert says in typed.err


def test_what_another_driver_left_is_finished(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    typed.up()
    left = interrupted(typed, monkeypatch)
    assert typed("watch", sightings(typed, anna(1, "cell-3")), "--speed", "0") == DONE
    assert typed.data("show", left)["status"] == "completed"
    assert typed.data("status")[0]["gateway"] == "edge_b"


def follow(typed: Typed, *words: str) -> subprocess.Popen[str]:
    watching = mdw_process(typed.site, "watch", *words, stdin=subprocess.PIPE)
    assert watching.stdin is not None
    return watching


def tell(watching: subprocess.Popen[str], *lines: object) -> None:
    assert watching.stdin is not None
    for line in lines:
        watching.stdin.write(json.dumps(line) + "\n")
    watching.stdin.flush()


def test_a_pipe_is_followed_and_metrics_are_served_until_it_is_told_to_end(typed: Typed) -> None:
    typed.up()
    watching = follow(typed, "-", "--metrics", "0")
    assert watching.stderr is not None
    assert watching.stdout is not None
    where = watching.stderr.readline().split()[-1]
    now = time.time()
    tell(watching, anna(now - 5, "cell-1"), anna(now - 4, "cell-3"))
    while not (line := watching.stdout.readline()).startswith("arena is at edge_b"):
        assert line
    with urllib.request.urlopen(where, timeout=5) as answer:  # noqa: S310 - ours
        text = answer.read().decode()
    assert 'meghdwar_operations_total{kind="move",outcome="completed",strategy="warm"} 1.0' in text
    watching.send_signal(signal.SIGTERM)
    out, err = watching.communicate(timeout=30)
    assert watching.returncode == DONE, out + err
    assert "Traceback" not in err
    assert typed("fsck") == DONE


def test_two_that_watch_share_one_database(typed: Typed) -> None:
    typed.up(instances="per_subscriber")
    both = [follow(typed, "-", "--members", f"file://{typed.site.home}/members") for _ in range(2)]
    now = time.time()
    names = [f"s{number}" for number in range(6)]
    for place, watching in enumerate(both):
        tell(watching, *(anna(now - 9, "cell-1", name) for name in names[place::2]))
        tell(watching, *(anna(now - 5, "cell-3", name) for name in names[place::2]))
    wanted, end = dict.fromkeys(names, "edge_b"), time.monotonic() + 60
    while {row["subscriber"]: row["gateway"] for row in typed.data("status")} != wanted:
        assert time.monotonic() < end
        time.sleep(0.2)
    told = [watching.communicate(timeout=60) for watching in both]
    assert [watching.returncode for watching in both] == [DONE, DONE], told
    assert typed("fsck") == DONE
