"""Waiting for an application whose cloud refuses it for a while."""

from __future__ import annotations

from typing import Any

import pytest

from meghdwar.osc.client import Client
from meghdwar.osc.v1 import application


class Looks(Client):
    """Answers each look with the next state."""

    def __init__(self, *states: tuple[str, str]) -> None:
        self._states = iter(states)

    def one(self, room: str, name: str) -> dict[str, Any]:
        return state(*next(self._states))


def state(status: str, error: str = "") -> dict[str, Any]:
    return {"id": "shop", "status": status, "error": error}


def test_what_keeps_it_from_coming_up_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(application, "LOOK_S", 0.0)
    full = ("building", "cannot create stack shop: the quota is used up")
    made = application._built(Looks(full, full, ("building", ""), full, ("up", "")), state("building"))
    assert made["status"] == "up"
    assert capsys.readouterr().err.splitlines() == [f"tried again: {full[1]}"] * 2
