"""Keys and certificates for tests, made once for a run, and signatures as `openssl cms` makes them."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

NOW = datetime.now(UTC).replace(microsecond=0)
YEAR = timedelta(days=365)
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Identity:
    """A key and its certificate; `chain` are certificates above it that are not trusted by themselves."""

    key: Key
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = field(default=())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def written(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Its key and its certificate as files."""
        key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
        key.write_bytes(self.key_pem)
        certificate.write_bytes(self.pem)
        return key, certificate


@cache
def identity(
    name: str,
    issuer: str = "",
    *,
    ca: bool = False,
    kind: str = "ec",
    begins: timedelta = -YEAR,
    ends: timedelta = YEAR,
    signs: bool = True,
    weak_hash: bool = False,
) -> Identity:
    """One of that name, by an issuer made before, or by itself."""
    key: Key
    if kind == "ec":
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = rsa.generate_private_key(65537, int(kind.removeprefix("rsa")))
    above = AUTHORITIES[issuer]() if issuer else None
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(signs, False, not signs, False, False, ca, ca, False, False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above.certificate.subject if above else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + begins)
        .not_valid_after(NOW + ends)
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    by = above.key if above else key
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key())
    certificate = builder.add_extension(authority, critical=False).sign(by, hashes.SHA256())
    chain = (*above.chain, above.certificate) if above and above.certificate.issuer != above.certificate.subject else ()
    return Identity(key, certificate, chain)


def root() -> Identity:
    return identity("root", ca=True)


AUTHORITIES = {
    "root": root,
    "middle": lambda: identity("middle", "root", ca=True),
    "old middle": lambda: identity("old middle", "root", ca=True, ends=-timedelta(days=1)),
    "no authority": lambda: identity("no authority", "root"),
    "other root": lambda: identity("other root", ca=True),
}


def provider() -> Identity:
    return identity("provider", "root")


def cms(content: bytes, *signers: Identity, options: tuple[str, ...] = ()) -> bytes:
    """What `openssl cms -sign` makes of it, PEM; the certificates of the chain go with it."""
    with tempfile.TemporaryDirectory(prefix="cms-") as folder:
        place = Path(folder)
        (place / "content").write_bytes(content)
        command = ["openssl", "cms", "-sign", "-binary", "-in", str(place / "content"), "-outform", "PEM", *options]
        for number, signer in enumerate(signers):
            key, certificate = signer.written(place, str(number))
            command += ["-signer", str(certificate), "-inkey", str(key)]
            for above in signer.chain:
                file = place / "chain.pem"
                file.write_bytes(above.public_bytes(serialization.Encoding.PEM))
                command += ["-certfile", str(file)]
        return subprocess.run(command, check=True, capture_output=True).stdout
