"""Asks an instance whether it serves: by its address, through the gateway's own proxy where it has one.

A subscriber's route may lead to another gateway, so the driver does not take it where it can help it: with the option
`proxy` (an HTTP proxy at the gateway that lets CONNECT through) it is asked from beside the instance.
"""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

ANSWER_S = 1.0


def answers(host: str, port: int, http: str | None, proxy: str | None, *, answer_s: float = ANSWER_S) -> bool:
    """Whether somebody takes a connection there, or with `http` (a path), answers it with 200 to 399."""
    try:
        with _connect(host, port, proxy, answer_s) as there:
            if http is None:
                return True
            there.sendall(f"GET {http} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            status = _line(there).split(b" ")
            return len(status) > 1 and status[1][:1] in (b"2", b"3")
    except (OSError, ValueError):
        return False


def _connect(host: str, port: int, proxy: str | None, answer_s: float) -> socket.socket:
    if not proxy:
        return socket.create_connection((host, port), timeout=answer_s)
    by = urlsplit(proxy)
    there = socket.create_connection((by.hostname or "", by.port or 3128), timeout=answer_s)
    try:
        there.sendall(f"CONNECT {host}:{port} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
        head = _line(there, b"\r\n\r\n")
        if b" 200" not in head.split(b"\r\n")[0]:
            raise ConnectionError(head.decode(errors="replace"))
    except BaseException:
        there.close()
        raise
    return there


def _line(there: socket.socket, end: bytes = b"\r\n") -> bytes:
    """What comes until `end`, byte by byte at its end: nothing of what follows is taken."""
    text = b""
    while not text.endswith(end):
        more = there.recv(1)
        if not more or len(text) > 8192:
            raise ConnectionError("it ended in the middle of a line")
        text += more
    return text
