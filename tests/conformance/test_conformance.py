"""The conformance run itself: its labels, and that no input can end it. The corpus is no part of this repository."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.conformance.__main__ import problems, read_labels, simple, verdict
from tests.conformance.isolation import Outcome, apart

CORPUS = os.environ.get("MEGHDWAR_CORPUS")


def fail() -> NoReturn:
    raise ValueError("on purpose")


def die() -> None:
    os.kill(os.getpid(), 9)


def recurse(depth: int = 0) -> int:
    sys.setrecursionlimit(10_000)
    return recurse(depth + 1)


def swell() -> list[bytes]:
    return [bytes(2**30) for _ in range(64)]


def test_an_answer_comes_back() -> None:
    assert apart(lambda: {"a": [1, "b"]}) == Outcome({"a": [1, "b"]})


@pytest.mark.parametrize("work", [fail, die, recurse, swell], ids=lambda work: str(work.__name__))
def test_a_crash_is_an_outcome(work: Callable[[], Any]) -> None:
    outcome = apart(work)
    assert outcome.trouble == "crashed"
    assert outcome.detail


def test_a_hang_is_an_outcome() -> None:
    begin = time.monotonic()
    assert apart(lambda: time.sleep(60), limit_s=0.2).trouble == "timed out"
    assert time.monotonic() - begin < 10


def test_a_verdict_says_why(tmp_path: Path) -> None:
    from meghdwar.compiler import check_file

    (tmp_path / "good.yaml").write_text("tosca_definitions_version: tosca_simple_yaml_1_3\n")
    (tmp_path / "bad.yaml").write_text("tosca_definitions_version: tosca_simple_yaml_1_3\nnode_type: {}\n")

    def check(path: Path) -> dict[str, object]:
        return problems(check_file(str(path)))

    assert verdict(tmp_path, "good.yaml", check).accepted
    bad = verdict(tmp_path, "bad.yaml", check)
    assert bad.outcome == "refused"
    assert bad.why.startswith("MDW102 bad.yaml:2:1")
    assert verdict(tmp_path, "bad.yaml", lambda path: fail()).broke


def test_every_label_is_a_judgement_with_a_reason() -> None:
    labels = list(read_labels())
    assert len({path for path, _, _ in labels}) == len(labels)
    assert {label for _, label, _ in labels} == {"right", "wrong"}
    assert all(reason for _, _, reason in labels)


@pytest.mark.skipif(not CORPUS, reason="MEGHDWAR_CORPUS does not name a folder with the corpus")
def test_every_template_of_the_corpus_has_a_label_and_a_verdict() -> None:
    report = simple(Path(CORPUS or ""))
    assert report.broke == 0
    assert not [note for note in report.notes if "has no label" in note]
