"""`openstack edge ...` as it is typed, in this process."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest

shell = pytest.importorskip("openstackclient.shell", reason="python-openstackclient is not installed")
from osc_lib.clientmanager import ClientManager  # noqa: E402


class Typed:
    """Types commands as somebody; `said` is what the last one printed on the standard error."""

    def __init__(self, *auth: str) -> None:
        self.auth, self.said = auth, ""

    def __call__(self, *words: str, status: int = 0) -> str:
        said, failed = io.StringIO(), io.StringIO()
        if "edge" in vars(ClientManager):  # a process of its own would not have the client of the last command
            vars(ClientManager)["edge"]._handle = None
        with redirect_stdout(said), redirect_stderr(failed):
            ended = shell.main([*self.auth, "edge", *words])
        self.said = failed.getvalue()
        assert ended == status, said.getvalue() + self.said
        return said.getvalue()

    def data(self, *words: str) -> Any:
        return json.loads(self(*words, "-f", "json"))
