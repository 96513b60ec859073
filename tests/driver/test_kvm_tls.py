"""A gateway with KVM by TLS: its one certificate is trusted and no other, of the same authority neither.

The libvirtd is a real one, in a namespace of its own. A relay on loopback leads to it, or to an impostor who has a
certificate for the same host by the same authority, and writes down what is said to it.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

pytest.importorskip("libvirt", reason="kvm: libvirt-python is not installed; pip install 'meghdwar[kvm]'")

from meghdwar.cli import mdw
from meghdwar.driver.hypervisor import Access, HypervisorError
from meghdwar.driver.kvm import Kvm
from tests.hypervisors import STATE, libvirtd

pytestmark = pytest.mark.real
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
HOSTS = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
Key = ec.EllipticCurvePrivateKey


class Relay:
    """Takes connections on loopback and leads them on; to whom may be said for each, the last for all that follow."""

    def __init__(self, *ways: tuple[str, int]) -> None:
        self._ways = list(ways)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):  # it was closed
            while True:
                here, _ = self._listening.accept()
                self.connections += 1
                there = socket.create_connection(self._ways.pop(0) if len(self._ways) > 1 else self._ways[0])
                for one, other in ((here, there), (there, here)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while piece := one.recv(65536):
                other.sendall(piece)
        with suppress(OSError):
            other.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


class Impostor:
    """Has a good certificate, which is not the one that was pinned. `heard` is what was said to it inside of TLS."""

    def __init__(self, folder: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "other.pem", folder / "other.key")
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listening.getsockname()
        self.heard = b""
        self.ended = threading.Semaphore(0)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                with suppress(OSError), self._context.wrap_socket(client, server_side=True) as tls:
                    tls.sendall(b"\1")  # libvirtd's word that it accepts the client
                    while piece := tls.recv(4096):
                        self.heard += piece
                self.ended.release()

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, and what it has signed: server, another server for the same host, and a client."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = ec.generate_private_key(ec.SECP256R1())
    _certify(folder, "ca", authority, authority)
    for name in ("server", "other", "client"):
        _certify(folder, name, ec.generate_private_key(ec.SECP256R1()), authority)
    return folder


def _certify(folder: Path, name: str, key: Key, authority: Key) -> None:
    is_ca = key is authority
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(HOSTS), critical=False)
        .sign(authority, hashes.SHA256())
    )
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / f"{name}.pem").write_bytes(made.public_bytes(pem))
    (folder / f"{name}.key").write_bytes(key.private_bytes(pem, private, serialization.NoEncryption()))


def fingerprint(folder: Path, name: str) -> str:
    return sha256(ssl.PEM_cert_to_DER_cert((folder / f"{name}.pem").read_text())).hexdigest()


@pytest.fixture(scope="module")
def real(request: pytest.FixtureRequest, certificates: Path) -> Iterator[tuple[str, int]]:
    """The address of the real one."""
    if "kvm" not in request.config.getoption("--real").split(","):
        pytest.skip("kvm: left out by --real")
    if os.geteuid():
        pytest.skip("kvm: a libvirt daemon in a namespace takes root")
    if libvirtd.missing():
        pytest.skip(f"kvm: not installed: {', '.join(libvirtd.missing())}")
    with libvirtd.listening(STATE / os.environ.get("PYTEST_XDIST_WORKER", ""), certificates) as address:
        yield address


@pytest.fixture
def relay(real: tuple[str, int]) -> Iterator[Relay]:
    made = Relay(real)
    yield made
    made.close()


@pytest.fixture
def impostor(certificates: Path) -> Iterator[Impostor]:
    made = Impostor(certificates)
    yield made
    made.close()


def access(folder: Path, relay: Relay, pinned: str = "server") -> Access:
    return Access(
        "edge-9",
        "kvm",
        f"qemu+tls://127.0.0.1:{relay.port}/system",
        certificate=fingerprint(folder, pinned),
        client_certificate=folder / "client.pem",
        client_key=folder / "client.key",
        timeout_s=60,
    )


def test_the_pinned_certificate_is_enough(certificates: Path, relay: Relay) -> None:
    """Nobody was told of the authority: the certificate itself, which is none, is what libvirt is given to believe."""
    gateway = Kvm(access(certificates, relay))
    assert gateway.connection.libvirt_version() > 6_000_000
    assert [(each.check, each.level) for each in gateway.doctor()][:2] == [
        ("reachable", "good"),
        ("certificate", "good"),
    ]
    gateway.close()


def test_another_certificate_is_refused_before_anything_is_said(certificates: Path, relay: Relay) -> None:
    """One look at what it shows, and no connection of libvirt's."""
    gateway = Kvm(access(certificates, relay, pinned="other"))
    with pytest.raises(HypervisorError) as caught:
        gateway.inventory()
    shown, written_down = fingerprint(certificates, "server"), fingerprint(certificates, "other")
    assert f"it shows a certificate with SHA-256 {shown}, not {written_down}" in str(caught.value)
    assert not caught.value.retry
    assert relay.connections == 1
    [finding] = gateway.doctor()
    assert (finding.check, finding.level) == ("reachable", "bad")
    assert shown in finding.message


def test_who_comes_in_between_after_the_look_hears_nothing(
    certificates: Path, real: tuple[str, int], impostor: Impostor
) -> None:
    """The authority that signed both is not what counts: libvirt itself refuses the second one."""
    relay = Relay(real, impostor.address)
    gateway = Kvm(access(certificates, relay))
    try:
        with pytest.raises(HypervisorError, match="certificate"):
            gateway.inventory()
        assert relay.connections == 2
        assert impostor.ended.acquire(timeout=60)
        assert impostor.heard == b""
    finally:
        gateway.close()
        relay.close()


def test_doctor_as_it_is_typed(
    certificates: Path,
    relay: Relay,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MEGHDWAR_DATABASE", f"sqlite:///{tmp_path}/mdw.db")
    files = ["--client-certificate", str(certificates / "client.pem"), "--client-key", str(certificates / "client.key")]
    endpoint = f"qemu+tls://127.0.0.1:{relay.port}/system"
    for name, pinned in (("good", "server"), ("bad", "other")):
        words = ["--hypervisor", "kvm", "--endpoint", endpoint, "--certificate", fingerprint(certificates, pinned)]
        assert mdw.main(["gateway", "add", name, *words, *files]) == 0
    assert mdw.main(["gateway", "doctor", "good"]) == 0
    assert "it shows the certificate that was written down for it" in capsys.readouterr().out
    assert mdw.main(["gateway", "doctor", "bad"]) == 1
    assert f"it shows a certificate with SHA-256 {fingerprint(certificates, 'server')}" in capsys.readouterr().out
