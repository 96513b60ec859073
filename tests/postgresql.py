"""A PostgreSQL of its own for tests and measurements: in a temporary folder, reached by a unix socket, ended by its
number. PostgreSQL refuses to run as root; as root it runs as the user postgres, or else as nobody."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

USER = "meghdwar"


class MissingError(Exception):
    """This machine has no PostgreSQL; the message says what to install."""


class Server:
    """One cluster of databases. `start` and `stop` may be called again and again; the data stays until `close`."""

    def __init__(self) -> None:
        self._programs = _programs()
        self._names = (f"meghdwar{number}" for number in count(1))
        # Not a folder of pytest's: those can only be entered by whom they belong to.
        self._folder = Path(tempfile.mkdtemp(prefix="meghdwar-pg-"))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            if user := _user():
                os.chown(self._folder, user.pw_uid, user.pw_gid)
            arguments = ["--auth=trust", f"--username={USER}", "--encoding=UTF8", "--no-sync", "--pgdata"]
            self._run("initdb", *arguments, str(self._folder / "data"))
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """When this returns it answers."""
        settings = ["listen_addresses=", f"unix_socket_directories={self._folder}", "max_connections=60"]
        command = ["postgres", "-D", str(self._folder / "data")]
        for setting in settings:
            command += ["-c", setting]
        log = open(self._folder / "log", "ab")  # noqa: SIM115 - the server keeps it
        with log:
            self._process = subprocess.Popen(self._as_user(*command), stdout=log, stderr=log, cwd="/")
        end = time.monotonic() + 30
        while subprocess.run(
            [self._programs / "pg_isready", "-q", "-U", USER, "-h", self._folder], check=False
        ).returncode:
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError((self._folder / "log").read_text())
            time.sleep(0.02)

    def stop(self, sent: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: it throws everybody out and ends in order. SIGQUIT: at once, as in a crash."""
        if self._process is not None:
            self._process.send_signal(sent)
            self._process.wait(30)
            self._process = None

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = next(self._names)
        self._run("createdb", "-h", str(self._folder), "-U", USER, name)
        return f"postgresql://{USER}@/{name}?host={self._folder}"

    def close(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, *command: str) -> None:
        subprocess.run(self._as_user(*command), check=True, capture_output=True, cwd="/")

    def _as_user(self, program: str, *arguments: str) -> list[str]:
        prefix = ["setpriv", "--pdeathsig=QUIT"]  # it does not outlive us, however we end
        if user := _user():
            prefix += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        return [*prefix, str(self._programs / program), *arguments]


def _user() -> pwd.struct_passwd | None:
    """Whom to run as: ourselves (None), unless we are root."""
    if os.geteuid():
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _programs() -> Path:
    beside = shutil.which("initdb")
    found = [Path(beside).parent] if beside else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    for folder in found:
        if all((folder / name).exists() for name in ("initdb", "postgres", "createdb", "pg_isready")):
            if shutil.which("setpriv") is None:
                raise MissingError("setpriv is not installed (as root: apt-get install util-linux)")
            return folder
    raise MissingError("PostgreSQL is not installed (as root: apt-get install postgresql)")


@contextmanager
def running() -> Iterator[Server]:
    server = Server()
    try:
        yield server
    finally:
        server.close()
