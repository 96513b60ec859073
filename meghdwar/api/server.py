"""mdw serve: the API on gunicorn, with TLS where that is asked for. Each worker opens the database for itself."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from meghdwar.api import auth
from meghdwar.api.app import application
from meghdwar.api.backend import backend
from meghdwar.api.settings import Settings
from meghdwar.api.v1 import work
from meghdwar.driver import database
from meghdwar.driver.control import Driver
from meghdwar.driver.operation import DriverError

IDLE_S = 60  # the longest that a client may be silent in the middle of a request or answer
STOP_S = 10  # what is being answered may take so long when the server is ended


@dataclass(frozen=True, slots=True)
class Listening:
    """Where and how it listens. `certificate` and `key` are files (PEM); both, or none for plain HTTP."""

    host: str = "127.0.0.1"
    port: int = 9890
    certificate: Path | None = None
    key: Path | None = None
    workers: int = 1
    threads: int = 16


def listening(listen: str, certificate: str, key: str, workers: int, threads: int) -> Listening:
    """As it was typed: HOST:PORT or [HOST]:PORT; an empty host is every address. Raises DriverError."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise DriverError(f"cannot listen at {listen!r}: it has to be HOST:PORT, such as 127.0.0.1:9890")
    if bool(certificate) != bool(key):
        raise DriverError("cannot use TLS: give both --tls-cert and --tls-key")
    made = Listening(host.strip("[]"), int(port), _file(certificate), _file(key), workers, threads)
    if made.certificate is not None:
        _try_certificate(made)
    return made


def _file(path: str) -> Path | None:
    return Path(path) if path else None


def _try_certificate(listening: Listening) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(str(listening.certificate), str(listening.key))
    except (OSError, ValueError) as error:
        both = f"{listening.certificate} and {listening.key}"
        why = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        raise DriverError(f"cannot use TLS with {both}: {why}; they have to be a certificate and its key") from None


def opened(settings: Settings) -> Flask:
    """The application over a database of its own, for one process."""
    driver = Driver(database.open(settings.database))
    app = application(settings, driver)
    with app.app_context():
        work.begin(app, driver, settings.work, backend().catalogue.records.unuse)
    return app


def serve(settings: Settings, listening: Listening, say: Callable[[str], None]) -> None:
    """Answers until it is ended by a signal. Raises DriverError or JournalError when it cannot begin."""
    if settings.auth == "none" and not _only_here(listening.host):
        raise DriverError(
            f"cannot serve {listening.host or 'every address'} with auth none: whoever reaches it could do everything; "
            "listen at 127.0.0.1, or use auth token or keystone"
        )
    if settings.auth == "token":
        made = auth.make_tokens(settings.tokens)
        say(f"the tokens are in {settings.tokens}{', with a first one' if made else ''}")
    if settings.auth == "keystone":
        from meghdwar.api import keystone

        keystone.middleware(settings)
    database.open(settings.database).close()  # what is wrong with it is said before anything listens
    bound = _bound(listening)
    url = f"{'https' if listening.certificate else 'http'}://{_shown(bound)}"
    ready = partial(say, f"listening at {url}; SIGTERM or Ctrl-C ends it")
    Server(settings, listening, bound.detach(), ready).run()


def _bound(listening: Listening) -> socket.socket:
    family = socket.AF_INET6 if ":" in listening.host else socket.AF_INET
    try:
        return socket.create_server((listening.host, listening.port), family=family, backlog=1024)
    except OSError as error:
        why = error.strerror or error
        raise DriverError(f"cannot listen at {listening.host}:{listening.port}: {why}; give another --listen") from None


def _shown(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _only_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with threads, on a socket that is bound already. Bodies come in as they are read, of any size."""

    def __init__(self, settings: Settings, listening: Listening, socket_number: int, ready: Callable[[], None]) -> None:
        self._settings = settings
        self._given: dict[str, Any] = {
            "bind": [f"fd://{socket_number}"],
            "worker_class": "gthread",
            "workers": listening.workers,
            "threads": listening.threads,
            "keepalive": 30,
            "graceful_timeout": STOP_S,
            "proc_name": "mdw serve",
            "loglevel": "warning",
            "control_socket_disable": True,
            "keyfile": listening.key and str(listening.key),
            "certfile": listening.certificate and str(listening.certificate),
            "do_handshake_on_connect": False,
            "when_ready": lambda arbiter: ready(),
        }
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._given.items():
            if value is not None:
                self.cfg.set(name, value)

    def load(self) -> Callable[..., Any]:
        app = opened(self._settings)

        def patient(environ: dict[str, Any], start_response: Any) -> Any:
            """A client that falls silent gives its thread back."""
            environ["gunicorn.socket"].settimeout(IDLE_S)
            return app(environ, start_response)

        return patient


def from_environment() -> Flask:
    """For a WSGI server of one's own: gunicorn 'meghdwar.api.server:from_environment()'. The settings are the file
    that $MEGHDWAR_API_CONFIG names."""
    from meghdwar.api.settings import read

    return opened(read(os.environ.get("MEGHDWAR_API_CONFIG", "")))
