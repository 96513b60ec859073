"""Signatures of packages: CMS (RFC 5652), beside what they sign, by one signer."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from meghdwar.archive.fault import Refused
from meghdwar.onboard import der, rules, trust
from meghdwar.onboard.der import NotDer, Value
from meghdwar.onboard.trust import Trust

_SIGNED_DATA, _CONTENT_TYPE, _MESSAGE_DIGEST = "1.2.840.113549.1.7.2", "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
_PSS = "1.2.840.113549.1.1.10"
_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "2.16.840.1.101.3.4.2.4": hashes.SHA224(),
    "2.16.840.1.101.3.4.2.1": hashes.SHA256(),
    "2.16.840.1.101.3.4.2.2": hashes.SHA384(),
    "2.16.840.1.101.3.4.2.3": hashes.SHA512(),
}
_WEAK = {"1.2.840.113549.2.5": "MD5", "1.3.14.3.2.26": "SHA-1"}
_PEM = re.compile(rb"-----BEGIN (?:CMS|PKCS7)-----\s(.*?)-----END (?:CMS|PKCS7)-----", re.DOTALL)

Digests = Callable[[str], Sequence[bytes]]
"""The digests that what is signed may have, by hashlib's name of the algorithm."""


@dataclass(frozen=True, slots=True)
class _Signature:
    """A signature taken apart. `attributes` are the signed ones, as they were signed, with their values by name."""

    certificates: tuple[x509.Certificate, ...]
    issuer: bytes
    serial: int
    key_identifier: bytes
    hash_identifier: str
    attributes: bytes
    values: Mapping[str, Value]
    algorithm: Value
    signature: bytes


def verify(cms: bytes, digests: Digests, given: Sequence[x509.Certificate], whom: Trust) -> str:
    """Who signed, once everything was found to be right; raises Refused.

    `given` are certificates that came another way, for signatures that have none in them.
    """
    try:
        found = _take_apart(_binary(cms))
    except (NotDer, ValueError, IndexError):
        raise Refused(rules.BAD_SIGNATURE, "cannot read the signature: it is no CMS", "sign it again") from None
    certificates = (*found.certificates, *given)
    signer = next((c for c in certificates if _is_of(found, c)), None)
    if signer is None:
        help_ = "sign with the certificate in the signature, or put it into the package"
        raise Refused(rules.NO_CERTIFICATE, "cannot find the certificate of the signer", help_)
    if found.hash_identifier in _WEAK:
        message = f"cannot accept the signature of {trust.name(signer)}: {_WEAK[found.hash_identifier]} can be forged"
        raise Refused(rules.WEAK, message, "sign with SHA-256")
    if not _is_right(found, signer, digests):
        message = f"cannot accept the signature of {trust.name(signer)}: it is of other bytes"
        raise Refused(
            rules.WRONG_SIGNATURE, message, "what was signed was changed since: get it again from its provider"
        )
    whom.check(signer, certificates)
    return trust.name(signer)


def _binary(cms: bytes) -> bytes:
    match = _PEM.search(cms)
    if match is None:
        return cms
    try:
        return base64.b64decode(b"".join(match[1].split()), validate=True)
    except binascii.Error as error:
        raise NotDer from error


# taking it apart
def _take_apart(data: bytes) -> _Signature:
    outer = der.read(data)
    if outer.part(0).object != _SIGNED_DATA:
        raise NotDer
    signed = outer.part(1, 0xA0).part(0, der.SEQUENCE)
    signers = signed.parts[-1]
    if signers.tag != der.SET:
        raise NotDer
    if len(signers.parts) != 1:
        message = f"cannot accept a signature with {len(signers.parts)} signers"
        raise Refused(rules.NOT_ONE_SIGNER, message, "sign with one certificate")
    certificates = tuple(_certificates(signed))
    info = list(signers.part(0, der.SEQUENCE).parts)
    _, who, hash_, *rest = info
    attributes = rest.pop(0) if rest and rest[0].tag == 0xA0 else None
    by_issuer = who.tag == der.SEQUENCE
    return _Signature(
        certificates=certificates,
        issuer=who.part(0).whole if by_issuer else b"",
        serial=who.part(1, der.INTEGER).number if by_issuer else -1,
        key_identifier=b"" if by_issuer else who.content,
        hash_identifier=hash_.part(0).object,
        attributes=bytes([der.SET]) + attributes.whole[1:] if attributes is not None else b"",
        values={a.part(0).object: a.part(1, der.SET).part(0) for a in attributes.parts}
        if attributes is not None
        else {},
        algorithm=rest[0],
        signature=rest[1].octets(),
    )


def _certificates(signed: Value) -> Iterator[x509.Certificate]:
    for part in signed.parts[3:-1]:
        if part.tag == 0xA0:
            for certificate in part.parts:
                yield x509.load_der_x509_certificate(certificate.whole)


def _is_of(found: _Signature, certificate: x509.Certificate) -> bool:
    if not found.key_identifier:
        return certificate.serial_number == found.serial and certificate.issuer.public_bytes() == found.issuer
    try:
        known = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (x509.ExtensionNotFound, ValueError):
        return False
    return known == found.key_identifier


# checking it
def _is_right(found: _Signature, signer: x509.Certificate, digests: Digests) -> bool:
    algorithm = _HASHES.get(found.hash_identifier)
    if algorithm is None:
        raise Refused(rules.BAD_SIGNATURE, "cannot check the signature: its hash is not known", "sign with SHA-256")
    known = digests(algorithm.name)
    if not found.attributes:
        return any(_verifies(found, signer, algorithm, digest) for digest in known)
    said = found.values.get(_MESSAGE_DIGEST)
    if said is None or _CONTENT_TYPE not in found.values or said.octets() not in known:
        return False
    hash_ = hashes.Hash(algorithm)
    hash_.update(found.attributes)
    return _verifies(found, signer, algorithm, hash_.finalize())


def _verifies(found: _Signature, signer: x509.Certificate, algorithm: hashes.HashAlgorithm, digest: bytes) -> bool:
    """Whether the key of the signer signed these bytes, of which the digest is known."""
    key, prehashed = signer.public_key(), utils.Prehashed(algorithm)
    try:
        if isinstance(key, rsa.RSAPublicKey) and found.algorithm.part(0).object == _PSS:
            pss = padding.PSS(padding.MGF1(algorithm), padding.PSS.AUTO)
            key.verify(found.signature, digest, pss, prehashed)
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(found.signature, digest, padding.PKCS1v15(), prehashed)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(found.signature, digest, ec.ECDSA(prehashed))
        elif isinstance(key, ed25519.Ed25519PublicKey) and found.attributes:
            key.verify(found.signature, found.attributes)
        else:
            raise Refused(
                rules.BAD_SIGNATURE, "cannot check the signature: its kind of key is not known", "use RSA or EC"
            )
    except (InvalidSignature, NotDer):
        return False
    return True
