"""A small HTTP proxy (CONNECT only) in the network of a gateway: the driver reaches the cloudlets there through it,
also while the rest of the network still sends, or sends already, their traffic elsewhere."""

from __future__ import annotations

import socket
import sys
import threading
import time


def main(address: str, port: int) -> None:
    server = socket.create_server((address, port), reuse_port=False)
    while True:
        client, _ = server.accept()
        threading.Thread(target=_serve, args=(client,), daemon=True).start()


def _serve(client: socket.socket) -> None:
    with client:
        client.settimeout(30)
        try:
            request = b""
            while b"\r\n\r\n" not in request:
                more = client.recv(4096)
                if not more:
                    return
                request += more
            method, where = request.split(b" ")[:2]
            host, _, port = where.decode().rpartition(":")
            if method != b"CONNECT":
                client.sendall(b"HTTP/1.0 405 Method Not Allowed\r\n\r\n")
                return
            try:
                there = _connected(host, int(port))
            except OSError:
                client.sendall(b"HTTP/1.0 502 Bad Gateway\r\n\r\n")
                return
            with there:
                there.settimeout(30)
                there.sendall(request.partition(b"\r\n\r\n")[2])
                client.sendall(b"HTTP/1.0 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_pass, args=(there, client), daemon=True)
                back.start()
                _pass(client, there)
                back.join(30)
        except (OSError, ValueError):
            return


def _connected(host: str, port: int, within_s: float = 0.4) -> socket.socket:
    """A guest that was not ready for the first packet would get the second one only a second later, so it is asked
    anew; where nobody has the address (no route to host) nobody will answer."""
    end = time.monotonic() + within_s
    while True:
        try:
            return socket.create_connection((host, port), timeout=0.15)
        except TimeoutError:
            if time.monotonic() > end:
                raise


def _pass(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
