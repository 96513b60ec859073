"""The command itself, as a user types it: a process of its own for each call, with one memory for all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meghdwar.driver import database
from meghdwar.driver.operation import Operation

WITHIN_S = 900.0


@dataclass(frozen=True, slots=True)
class Mdw:
    """`folder` holds what the driver remembers."""

    folder: Path

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begins a command and does not wait for it; what it says comes through its standard output."""
        command = [sys.executable, "-m", "meghdwar.cli.mdw", "--database", str(self.folder / "mdw.db"), *words]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self._environment()
        )

    def __call__(self, *words: str, status: int = 0) -> str:
        """What a command says. Raises AssertionError when it ends with another status."""
        process = self.start(*words)
        said, _ = process.communicate(timeout=WITHIN_S)
        assert process.returncode == status, f"mdw {' '.join(words)} ended with {process.returncode}: {said}"
        return said

    def ask(self, *words: str) -> Any:
        """What a command finds, read."""
        return json.loads(self(*words, "-q", "-f", "json"))

    def home(self, instance: str) -> str | None:
        """The gateway where the driver says that an instance is."""
        return next((row["gateway"] for row in self.ask("status") if row["cloudlet"] == instance), None)

    def gateways(self) -> dict[str, dict[str, str]]:
        """The gateways that the driver knows, with their options."""
        return {row["gateway"]: row["options"] for row in self.ask("gateway", "list")}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """`mdw watch` goes on beside, and ends in order. Raises AssertionError when it does not."""
        process = self.start("watch")
        try:
            yield
        finally:
            process.terminate()
            said, _ = process.communicate(timeout=WITHIN_S)
            print(said, flush=True)
        assert process.returncode == 0, said

    def newest(self) -> Operation:
        """The operation that was begun last."""
        with closing(self.opened()) as opened:
            return opened.journal.operations(limit=1)[0]

    def opened(self) -> database.Database:
        """What the driver remembers, for whoever closes it again."""
        return database.open(str(self.folder / "mdw.db"))

    def _environment(self) -> dict[str, str]:
        own = {"XDG_STATE_HOME": str(self.folder), "PYTHONWARNINGS": "ignore", "MEGHDWAR_TRACEBACK": "1"}
        return {**os.environ, **own}
