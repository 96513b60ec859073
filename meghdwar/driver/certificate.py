"""What certificate an https endpoint shows, for an operator to compare; nothing is trusted by asking."""

from __future__ import annotations

import re
import socket
import ssl
from hashlib import sha256
from urllib.parse import urlsplit

ANSWER_S = 10.0
HTTPS_PORT = 443


def shown_at(endpoint: str, timeout_s: float = ANSWER_S) -> str:
    """The SHA-256 fingerprint of the certificate that answers there. Raises OSError when nothing does."""
    url = urlsplit(endpoint)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # we only look: the operator compares
    address = (url.hostname or "", url.port or HTTPS_PORT)
    with (
        socket.create_connection(address, timeout_s) as connection,
        context.wrap_socket(connection, server_hostname=url.hostname) as secured,
    ):
        certificate = secured.getpeercert(binary_form=True)
    if not certificate:
        raise OSError("it shows no certificate")
    return sha256(certificate).hexdigest()


def normal(fingerprint: str) -> str:
    """A SHA-256 fingerprint as 64 small hexadecimal digits. Raises ValueError for what is none."""
    digits = re.sub(r"[:\s]", "", fingerprint).lower().removeprefix("sha256")
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ValueError(f"cannot read the fingerprint {fingerprint!r}: a SHA-256 has 64 hexadecimal digits")
    return digits
