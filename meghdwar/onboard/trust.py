"""Whether a signer is somebody whom the trusted certificates vouch for, at a given time. Nothing is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import verification

from meghdwar.archive.fault import Fault, Refused
from meghdwar.onboard import rules

_RSA_BITS_MIN = 2048
_WEAK = (hashes.MD5, hashes.SHA1)
_CHAIN_MAX = 8


@dataclass(frozen=True, slots=True)
class Trust:
    """`roots` vouch for signers; without any a signature is only checked against its own certificate."""

    roots: tuple[x509.Certificate, ...]
    at: datetime

    def check(self, signer: x509.Certificate, others: Sequence[x509.Certificate]) -> None:
        """Raises Refused when the signer is not to be believed."""
        self._dates(signer)
        _strong(signer)
        _for_signing(signer)
        if self.roots and signer not in self.roots:
            self._chain(signer, others)

    def _dates(self, certificate: x509.Certificate) -> None:
        who = name(certificate)
        if self.at > certificate.not_valid_after_utc:
            when = certificate.not_valid_after_utc.date()
            message = f"cannot accept the certificate of {who}: it expired on {when}"
            raise Refused(rules.EXPIRED, message, "ask the provider for a package with a new signature")
        if self.at < certificate.not_valid_before_utc:
            when = certificate.not_valid_before_utc.date()
            message = f"cannot accept the certificate of {who}: it does not count before {when}"
            raise Refused(rules.NOT_YET_VALID, message, "look at the clock of this machine")

    def _chain(self, signer: x509.Certificate, others: Sequence[x509.Certificate]) -> None:
        permit = verification.ExtensionPolicy.permit_all()
        builder = verification.PolicyBuilder().store(verification.Store(list(self.roots))).time(self.at)
        authorities = permit.require_present(x509.BasicConstraints, verification.Criticality.AGNOSTIC, None)
        builder = builder.max_chain_depth(_CHAIN_MAX).extension_policies(ee_policy=permit, ca_policy=authorities)
        try:
            chain = builder.build_client_verifier().verify(signer, [c for c in others if c != signer]).chain
        except verification.VerificationError:
            self._why_not(signer, others)
            message = f"cannot tell who {name(signer)} is: no trusted certificate vouches for it"
            help_ = "trust the certificate of the provider, if it is the right one"
            raise Refused(rules.NOT_TRUSTED, message, help_) from None
        for certificate in chain[1:-1]:
            _strong(certificate)

    def _why_not(self, signer: x509.Certificate, others: Sequence[x509.Certificate]) -> None:
        """Says more where one of those above the signer has no right to vouch, or has expired."""
        below = signer
        for _ in range(_CHAIN_MAX):
            above = next((c for c in (*self.roots, *others) if c != below and _issued(c, below)), None)
            if above is None:
                return
            self._dates(above)
            if not _may_vouch(above):
                message = f"cannot accept {name(below)}: {name(above)} may not vouch for others"
                raise Refused(rules.NOT_FOR_SIGNING, message, "ask the provider for a certificate of an authority")
            below = above


def name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()[:200] or "a signer without a name"


def load(content: bytes) -> list[x509.Certificate]:
    """The certificates of a file, PEM or DER; raises ValueError when there is none."""
    if b"-----BEGIN CERTIFICATE" in content:
        return x509.load_pem_x509_certificates(content)
    return [x509.load_der_x509_certificate(content)]


def load_roots(paths: Sequence[Path]) -> list[x509.Certificate] | Fault:
    """The certificates that are trusted, from files; or which of them cannot be read."""
    found: list[x509.Certificate] = []
    for path in paths:
        try:
            found += load(path.read_bytes())
        except (OSError, ValueError) as error:
            why = (error.strerror or "").lower() if isinstance(error, OSError) else "it has no certificate in it"
            return Fault(rules.NO_CERTIFICATE, f"cannot trust {path}: {why}", "give a file of certificates (PEM)")
    return found


def _strong(certificate: x509.Certificate) -> None:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _RSA_BITS_MIN:
        message = f"cannot accept the key of {name(certificate)}: RSA with {key.key_size} bits can be broken"
        raise Refused(rules.WEAK, message, f"sign with a key of {_RSA_BITS_MIN} bits or more")
    if isinstance(certificate.signature_hash_algorithm, _WEAK):
        algorithm = certificate.signature_hash_algorithm.name
        message = f"cannot accept the certificate of {name(certificate)}: {algorithm} can be forged"
        raise Refused(rules.WEAK, message, "use a certificate that is signed with SHA-256")


def _for_signing(signer: x509.Certificate) -> None:
    usage = _usage(signer)
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        message = f"cannot accept the certificate of {name(signer)}: it is not for signatures"
        raise Refused(rules.NOT_FOR_SIGNING, message, "sign with one that has the key usage digitalSignature")


def _usage(certificate: x509.Certificate) -> x509.KeyUsage | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return None


def _may_vouch(certificate: x509.Certificate) -> bool:
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    usage = _usage(certificate)
    return basic.ca and (usage is None or usage.key_cert_sign)


def _issued(above: x509.Certificate, below: x509.Certificate) -> bool:
    try:
        below.verify_directly_issued_by(above)
    except Exception:  # it raises many kinds, and each means no
        return False
    return True
