"""python-tackerclient, unmodified, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.oracle import venvs

WAIT_S = 120


def tackerclient() -> Path:
    """Its `openstack`. Skips the test where it cannot be had."""
    try:
        return venvs.python_of("tacker").parent / "openstack"
    except venvs.CannotMakeError as error:
        pytest.skip(str(error))


class Tacker:
    """`openstack vnf package ...`, typed; `who` says where, and as whom. `clouds` is the clouds.yaml that it finds."""

    def __init__(self, command: Path, *who: str, clouds: Path | None = None) -> None:
        self._words = [str(command), *who, "vnf", "package"]
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
        self._environment["NO_PROXY"] = "127.0.0.1"
        if clouds is not None:
            self._environment["OS_CLIENT_CONFIG_FILE"] = str(clouds)

    def __call__(self, *words: str, fails: bool = False) -> str:
        # the client takes words after `package` first, and so does openstack
        done = subprocess.run(
            [*self._words, *words], capture_output=True, text=True, env=self._environment, timeout=300
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout + (done.stderr if fails else "")

    def data(self, *words: str) -> Any:
        return json.loads(self(*words, "-f", "json"))

    def onboarded(self, name: str) -> Any:
        end = time.monotonic() + WAIT_S
        while (found := self.data("show", name))["Onboarding State"] not in ("ONBOARDED", "CREATED"):
            assert time.monotonic() < end, found
            time.sleep(0.5)
        assert found["Onboarding State"] == "ONBOARDED", found
        return found
