"""Something that speaks https as an LXD does and answers what a test tells it to, lies included."""

from __future__ import annotations

import datetime
import hashlib
import json
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from meghdwar.driver.hypervisor import Access

SERVER = {
    "auth": "trusted",
    "environment": {"server_version": "5.0.2", "addresses": ["192.0.2.1:8443"], "certificate": "PEM"},
    "api_extensions": [
        "storage_volume_state",
        "custom_volume_refresh",
        "container_nic_routed",
        "container_exec_recording",
    ],
}
Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]


def sync(metadata: Any, **headers: str) -> Answer:
    return 200, {"type": "sync", "metadata": metadata}, headers


def error(status: int, text: str) -> Answer:
    return status, {"type": "error", "error": text, "error_code": status}


def operation(id_: str = "1") -> Answer:
    return 202, {"type": "async", "operation": f"/1.0/operations/{id_}", "metadata": {"id": id_}}


class FakeLxd:
    """`answers` holds what it says to "METHOD path below /1.0": an answer, a list of them in turn, or a function of
    the body. What is not in it is not found. `asked` is what was asked, with the bodies."""

    def __init__(self, folder: Path, name: str = "fake") -> None:
        self.answers: dict[str, Answer | list[Answer] | Callable[[Any], Answer]] = {"GET ": sync(SERVER)}
        self.asked: list[tuple[str, Any]] = []
        self.tags: list[str] = []  # of what was to be changed only if it had not been changed
        self.delay_s = 0.0
        self.clock_off_s = 0.0
        self.certificate, self.key, self.fingerprint = make_certificate(folder, name)
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                raw = self.rfile.read(length)
                body = json.loads(raw) if raw and self.headers["Content-Type"] == "application/json" else raw
                path = self.path.partition("?")[0].removeprefix("/1.0").strip("/")
                fake.asked.append((f"{self.command} {path}", body))
                fake.tags += [self.headers["If-Match"]] if "If-Match" in self.headers else []
                time.sleep(fake.delay_s)
                status, content, headers = fake._answer(f"{self.command} {path}", body)
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

            def date_time_string(self, timestamp: float | None = None) -> str:
                return super().date_time_string(time.time() + fake.clock_off_s)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def _answer(self, what: str, body: Any) -> tuple[int, Any, dict[str, str]]:
        found = self.answers.get(what, error(404, "not found"))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if callable(found):
            found = found(body)
        return (*found, {}) if len(found) == 2 else found  # type: ignore[return-value]

    @property
    def endpoint(self) -> str:
        return f"https://127.0.0.1:{self._server.server_address[1]}"

    def access(self, **changes: Any) -> Access:
        given = {"certificate": self.fingerprint, "timeout_s": 5.0, **changes}
        return Access("edge", "lxd", self.endpoint, **given)

    def count(self, what: str) -> int:
        return sum(asked == what for asked, _ in self.asked)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def make_certificate(folder: Path, name: str) -> tuple[Path, Path, str]:
    """Files of a certificate and its key, and the SHA-256 of the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / f"{name}.crt", folder / f"{name}.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key_file.write_bytes(private)
    digest = hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()
    return certificate_file, key_file, digest
