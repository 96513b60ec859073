"""`mdw serve` as a process of its own, and requests to it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

START_S = 60
PROGRAM = ("meghdwar.cli.mdw",)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Served:
    """A running server. `token` goes with each request."""

    process: subprocess.Popen[str]
    url: str
    home: Path
    token: str = ""
    said: list[str] = field(default_factory=list)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """`body` is bytes, or else sent as JSON; `token` "" is none."""
        sent = dict(headers or {})
        data = body
        if body is not None and not isinstance(body, bytes):
            data = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        token = self.token if token is None else token
        if token:
            sent["X-Auth-Token"] = token
        request = Request(self.url + path, data=data, headers=sent, method=method)  # noqa: S310 - ours
        opener = build_opener(ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())

    def kill(self) -> None:
        """As a crash would: the server and its workers, at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def tokens(home: Path, *lines: str) -> Path:
    path = home / "tokens"
    path.write_text("".join(f"{line}\n" for line in lines))
    path.chmod(0o600)
    return path


@contextmanager
def served(home: Path, *options: str, config: str = "", program: Sequence[str] = PROGRAM) -> Iterator[Served]:
    """Serves with the state in `home`, at a port of its own; `config` are lines of [api], `program` is what `python -m`
    runs instead of mdw."""
    home.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "XDG_STATE_HOME": str(home / "state"), "HOME": str(home)}
    environment.pop("MEGHDWAR_DATABASE", None)
    words = [sys.executable, "-m", *program, "serve", "--listen", "127.0.0.1:0", *options]
    if config:
        (home / "api.conf").write_text(f"[api]\n{config}\n")
        words += ["--config", str(home / "api.conf")]
    log = open(home / "server.log", "a+")  # noqa: SIM115 - as long as the server
    process = subprocess.Popen(words, stderr=log, text=True, env=environment, start_new_session=True)
    try:
        url = _url(process, home / "server.log", log.tell())
        made = Served(process, url, home, _token(home))
        yield made
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        log.close()


def _url(process: subprocess.Popen[str], log: Path, begin: int) -> str:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        said = log.read_text()[begin:]
        if found := re.search(r"listening at (\S+);", said):
            return found[1]
        assert process.poll() is None, said
        time.sleep(0.02)
    raise AssertionError(f"the server does not listen: {log.read_text()}")


def _token(home: Path) -> str:
    path = home / "state" / "meghdwar" / "tokens"
    if not path.exists():
        return ""
    return path.read_text().splitlines()[1].split()[0]
