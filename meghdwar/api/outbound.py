"""Requests that we send because somebody asked us to: only to hosts that the operator allows, at the address that was
looked at, and never further than allowed in size or time."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Timer
from typing import Any
from urllib.parse import urljoin, urlsplit

from meghdwar.driver.operation import DriverError

SILENT_S = 20.0  # the longest that a host may say nothing
REDIRECTS_MAX = 5
PIECE = 2**16
PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Resolve = Callable[[str, int], Sequence[str]]


class Refused(DriverError):
    """A url that must not be asked, or a host that did not answer as it should; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A url that may be asked, and the address where."""

    scheme: str
    host: str
    port: int
    path: str
    address: str

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port


@dataclass(frozen=True, slots=True)
class Hosts:
    """`allowed` are NAME (at the usual port) or NAME:PORT; those in `private` may be at addresses that are not public,
    such as 10.0.0.7 or ::1."""

    allowed: tuple[str, ...]
    private: tuple[str, ...] = ()

    def target(self, url: str, resolve: Resolve | None = None) -> Target:
        """Raises Refused; nothing was asked then but the name server, and that only of hosts that are allowed."""
        scheme, host, port, path = _parts(url)
        if not _named(self.allowed, scheme, host, port):
            raise Refused(f"cannot ask {host}:{port}: the operator has not allowed it")
        try:
            addresses = (resolve or _resolved)(host, port)
        except OSError:
            raise Refused(f"cannot find the address of {host}") from None
        if not _named(self.private, scheme, host, port):
            for address in addresses:
                if not is_public(address):
                    raise Refused(f"cannot ask {host}: {address} is not a public address")
        if not addresses:
            raise Refused(f"cannot find the address of {host}")
        return Target(scheme, host, port, path, addresses[0])


def _parts(url: str) -> tuple[str, str, int, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").rstrip(".").lower()
        host.encode("ascii")
    except ValueError:
        raise Refused("cannot read the url: it has to be http://HOST/PATH or https://HOST/PATH") from None
    if parts.scheme not in PORTS or not host or any(letter <= " " or letter > "~" for letter in url):
        raise Refused("cannot read the url: it has to be http://HOST/PATH or https://HOST/PATH")
    if parts.username is not None or parts.password is not None:
        raise Refused("cannot take a password in the url: give userName and password")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, host, PORTS[parts.scheme] if port is None else port, path


def _named(hosts: Sequence[str], scheme: str, host: str, port: int) -> bool:
    shown = f"[{host}]" if ":" in host else host
    names = {f"{shown}:{port}", *([shown, host] if port == PORTS[scheme] else [])}
    return any(each.strip().lower() in names for each in hosts)


def _resolved(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def is_public(address: str) -> bool:
    """Whether it is anybody's on the internet; an IPv4 address inside of an IPv6 one counts as itself."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # with a scope, such as fe80::1%eth0
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return is_public(str(found.ipv4_mapped))
        if found.sixtofour is not None or found.teredo is not None or found in _NAT64:
            return False
    return found.is_global and not found.is_multicast and not found.is_reserved


@dataclass(frozen=True, slots=True)
class Basic:
    user: str
    password: str

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Basic {b64encode(f'{self.user}:{self.password}'.encode()).decode()}"}


def fetch(url: str, hosts: Hosts, basic: Basic | None, *, bytes_max: int, seconds: float) -> Iterator[bytes]:
    """What is at the url, piece by piece; redirects are followed where `hosts` lets them go, without the password
    when they lead elsewhere. Raises Refused."""
    end = time.monotonic() + seconds
    target = first = hosts.target(url)
    for _ in range(REDIRECTS_MAX + 1):
        headers = basic.headers() if basic is not None and target.origin == first.origin else {}
        with _asked("GET", target, None, headers, end) as answer:
            if answer.status not in (301, 302, 303, 307, 308):
                yield from _pieces(answer, target, bytes_max, end)
                return
            url = urljoin(url, answer.getheader("Location", ""))
        target = hosts.target(url)
    raise Refused(f"cannot fetch from {first.host}: it redirects more than {REDIRECTS_MAX} times")


def _pieces(answer: http.client.HTTPResponse, target: Target, bytes_max: int, end: float) -> Iterator[bytes]:
    if answer.status != 200:
        raise Refused(f"cannot fetch from {target.host}: it answers {answer.status}")
    said, size = answer.length, 0
    while piece := answer.read1(PIECE):
        size += len(piece)
        if size > bytes_max:
            raise Refused(f"cannot fetch from {target.host}: it sends more than {bytes_max} bytes")
        if time.monotonic() > end:
            raise Refused(f"cannot fetch from {target.host}: it takes too long")
        yield piece
    if said is not None and size != said:
        raise Refused(f"cannot fetch from {target.host}: it sent {size} of {said} bytes")


def send(
    method: str, url: str, hosts: Hosts, body: bytes | None, headers: Mapping[str, str], seconds: float = 10
) -> int:
    """The status of the answer; redirects are not followed. Raises Refused."""
    with _asked(method, hosts.target(url), body, headers, time.monotonic() + seconds) as answer:
        return answer.status


@contextmanager
def _asked(
    method: str, target: Target, body: bytes | None, headers: Mapping[str, str], end: float
) -> Iterator[http.client.HTTPResponse]:
    """The answer, until `end`: then the connection is closed, whatever it is at."""
    connection = _Pinned(target, min(SILENT_S, max(0.1, end - time.monotonic())))
    timer = Timer(max(0.1, end - time.monotonic()), connection.cut)
    timer.daemon = True
    timer.start()
    try:
        connection.request(method, target.path, body, {"User-Agent": "meghdwar", "Accept": "*/*", **headers})
        yield connection.getresponse()
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = "it takes too long" if connection.is_cut or isinstance(error, TimeoutError) else _words(error)
        raise Refused(f"cannot ask {target.host}: {why}") from None
    finally:
        timer.cancel()
        connection.close()


def _words(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return said or type(error).__name__


class _Pinned(http.client.HTTPConnection):
    """Goes to the address that was looked at, whatever the name server says by now; TLS still asks for the name."""

    def __init__(self, target: Target, timeout_s: float) -> None:
        super().__init__(target.host, target.port, timeout=timeout_s)
        self._target = target
        self.is_cut = False

    def connect(self) -> None:
        made: Any = socket.create_connection((self._target.address, self._target.port), self.timeout)
        self.sock = made
        if self._target.scheme == "https":
            self.sock = ssl.create_default_context().wrap_socket(made, server_hostname=self._target.host)

    def cut(self) -> None:
        self.is_cut = True
        made = self.sock
        if made is not None:
            try:
                made.shutdown(socket.SHUT_RDWR)
            except OSError:
                made.close()
