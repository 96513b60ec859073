"""Signs a manifest (SOL004, option 1) with a key and its certificate."""

from __future__ import annotations

import base64
import textwrap
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from meghdwar.onboard import trust


class CannotSign(Exception):
    """The key or the certificate is not what it should be; the message says why."""


@dataclass(frozen=True, slots=True)
class Signer:
    """`chain` are the certificates that vouch for the signer's; they go into the signature."""

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()

    def sign(self, content: bytes) -> bytes:
        """The block that goes under the content. Without signed attributes, so that the time of signing is not in it:
        with an RSA key the same content gives the same bytes."""
        builder = pkcs7.PKCS7SignatureBuilder().set_data(content)
        builder = builder.add_signer(self.certificate, self.key, hashes.SHA256())
        for above in self.chain:
            builder = builder.add_certificate(above)
        how = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoAttributes]
        made = base64.b64encode(builder.sign(serialization.Encoding.DER, how)).decode()
        return "\n".join(["-----BEGIN CMS-----", *textwrap.wrap(made, 64), "-----END CMS-----", ""]).encode()


def load(key_path: Path, certificate_path: Path) -> Signer:
    """The signer of two files, PEM; raises CannotSign."""
    try:
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    except TypeError:
        raise CannotSign(f"cannot sign with {key_path}: it is encrypted; give one without a password") from None
    except (OSError, ValueError) as error:
        raise CannotSign(f"cannot sign with {key_path}: {_why(error, 'it is no private key in PEM')}") from None
    try:
        certificate, *chain = trust.load(certificate_path.read_bytes())
    except (OSError, ValueError) as error:
        raise CannotSign(f"cannot sign with {certificate_path}: {_why(error, 'it is no certificate')}") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise CannotSign(f"cannot sign with {key_path}: its kind is not known here; give an RSA or EC key")
    if key.public_key() != certificate.public_key():
        raise CannotSign(f"cannot sign with {key_path}: it is not the key of {certificate_path}")
    return Signer(key, certificate, tuple(chain))


def _why(error: Exception, otherwise: str) -> str:
    return (error.strerror or "").lower() if isinstance(error, OSError) else otherwise
