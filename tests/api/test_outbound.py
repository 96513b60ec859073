"""Where we go because somebody asked us to: only where the operator lets us, however it is written."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from meghdwar.api.outbound import Basic, Hosts, Refused, fetch, is_public

PUBLIC = "93.184.216.34"


def at(*addresses: str) -> Callable[[str, int], list[str]]:
    return lambda host, port: list(addresses)


HOSTS = Hosts(("good.example", "other.example:8080", "inner.example"), ("inner.example",))


@pytest.mark.parametrize(
    "url",
    [
        "http://good.example/a", "https://good.example", "https://GOOD.example:443/x", "http://other.example:8080/",
        "http://good.example./a?b=c",
    ],
)  # fmt: skip
def test_a_host_that_is_allowed(url: str) -> None:
    target = HOSTS.target(url, at(PUBLIC))
    assert target.address == PUBLIC


@pytest.mark.parametrize(
    "url",
    [
        "", "good.example", "ftp://good.example/", "file:///etc/passwd", "gopher://good.example/", "http:///a",
        "http://bad.example/", "http://good.example:8080/", "http://other.example/", "http://good.example.evil/",
        "http://good.example@evil.example/", "http://user:pw@good.example/", "http://evil.example#good.example",
        "http://good.example\\@evil.example/", "http://good.example:99999/", "http://good.example:x/",
        "http://127.0.0.1/", "http://[::1]/", "http://localhost/", "http://0x7f000001/", "http://2130706433/",
        "http://good.exam\u0440le/", "http://good.example/\r\nX: y", "http://good.example /", "//good.example/",
        "http://[good.example/", "http://good%2eexample/",
    ],
)  # fmt: skip
def test_everything_else_is_refused_before_a_name_is_looked_up(url: str) -> None:
    def never(host: str, port: int) -> list[str]:
        raise AssertionError(f"{host} was looked up")

    with pytest.raises(Refused, match=r"^cannot "):
        HOSTS.target(url, never)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",  # noqa: S104 - nobody listens there
        "255.255.255.255", "198.18.0.1", "240.0.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "2001:0:7f00:1::", "nonsense",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused_unless_it_is_allowed_by_name(address: str) -> None:
    assert not is_public(address)
    with pytest.raises(Refused, match="is not a public address"):
        HOSTS.target("http://good.example/", at(PUBLIC, address))
    assert HOSTS.target("http://inner.example/", at(address)).address == address


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:220:1:248:1893:25c8:1946", f"::ffff:{PUBLIC}"])
def test_a_public_address(address: str) -> None:
    assert is_public(address)


# real answers
class Handler(BaseHTTPRequestHandler):
    """What is asked for by path; what was sent is kept."""

    seen: list[tuple[str, str]]
    elsewhere: str = ""

    def do_GET(self) -> None:
        type(self).seen.append((self.path, self.headers.get("Authorization", "")))
        if self.path == "/package":
            self.reply(200, b"x" * 1000)
        elif self.path == "/short":
            self.reply(200, b"x" * 10, length=1000)
        elif self.path == "/slow":
            self.reply(200, b"", length=1000)
            while True:
                try:
                    self.wfile.write(b"x")
                    time.sleep(0.05)
                except OSError:
                    return
        elif self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/").replace("|", ":"))
            self.end_headers()
        else:
            self.reply(404, b"")

    def reply(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def server() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    handler = type("Kept", (Handler,), {"seen": []})
    made = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    made.daemon_threads = True
    threading.Thread(target=made.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{made.server_port}", handler.seen
    finally:
        made.shutdown()
        made.server_close()


def got(url: str, hosts: Hosts, basic: Basic | None = None, bytes_max: int = 10_000, seconds: float = 20) -> bytes:
    return b"".join(fetch(url, hosts, basic, bytes_max=bytes_max, seconds=seconds))


def test_what_is_fetched() -> None:
    with server() as (name, seen):
        hosts = Hosts((name,), (name,))
        assert got(f"http://{name}/package", hosts, Basic("kim", "secret")) == b"x" * 1000
        assert seen == [("/package", "Basic a2ltOnNlY3JldA==")]
        assert len(got(f"http://{name}/to//package", hosts)) == 1000


def test_a_redirect_is_looked_at_again_and_gets_no_password() -> None:
    with server() as (name, _), server() as (other, seen):
        basic = Basic("kim", "secret")
        redirect = f"http://{name}/to/http|//{other.replace(':', '|')}/package"
        with pytest.raises(Refused, match="the operator has not allowed it"):
            got(redirect, Hosts((name,), (name,)), basic)
        with pytest.raises(Refused, match="is not a public address"):
            got(redirect, Hosts((name, other), (name,)), basic)
        assert seen == []
        assert len(got(redirect, Hosts((name, other), (name, other)), basic)) == 1000
        assert seen == [("/package", "")]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/nothing", "it answers 404"),
        ("/short", "it sent 10 of 1000 bytes"),
        ("/slow", "it takes too long"),
        ("/to//to//to//to//to//to//to//package", "it redirects more than 5 times"),
        ("/to/file|///etc/passwd", "cannot read the url"),
        ("/to/", "it redirects more than 5 times"),
    ],
)
def test_an_answer_that_is_not_right(path: str, said: str) -> None:
    with server() as (name, _), pytest.raises(Refused, match=said):
        got(f"http://{name}{path}", Hosts((name,), (name,)), seconds=1 if path == "/slow" else 20)


def test_too_much_is_not_taken() -> None:
    with server() as (name, _), pytest.raises(Refused, match="more than 999 bytes"):
        got(f"http://{name}/package", Hosts((name,), (name,)), bytes_max=999)
