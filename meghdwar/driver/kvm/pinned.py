"""A gateway by TLS is known by its certificate alone, as everywhere in Meghdwar; libvirt knows authorities only.

So the certificate that the gateway shows is compared with the fingerprint that was written down for it, and is then
itself the only authority that libvirt is told to believe: whoever shows another one is not spoken to.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import ssl
import tempfile
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from meghdwar.driver.hypervisor import Access, HypervisorError, Unreachable

TLS_PORT = 16514


def pinned_uri(access: Access) -> str:
    """The endpoint as libvirt takes it. Raises HypervisorError when the gateway shows another certificate."""
    parts = urlsplit(access.endpoint)
    if access.certificate is None or not parts.scheme.endswith("+tls"):
        return access.endpoint
    shown = _shown(access, parts.hostname or "", parts.port or TLS_PORT)
    if hashlib.sha256(shown).hexdigest() != access.certificate.replace(":", "").lower():
        why = (
            f"it shows a certificate with SHA-256 {hashlib.sha256(shown).hexdigest()}, not {access.certificate}; "
            "if it was made anew, add the gateway again with the new fingerprint"
        )
        raise HypervisorError(access.gateway, "trust the certificate", why)
    query = dict(parse_qsl(parts.query)) | {"pkipath": str(_folder(access, shown)), "no_sanity": "1"}
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote, safe="/")))


def _shown(access: Access, host: str, port: int) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the fingerprint is what counts
    if access.client_certificate and access.client_key:
        context.load_cert_chain(access.client_certificate, access.client_key)
    try:
        plain = socket.create_connection((host, port), timeout=access.timeout_s)
        with plain, context.wrap_socket(plain, server_hostname=host) as tls:
            return tls.getpeercert(binary_form=True) or b""
    except OSError as error:
        raise Unreachable(access.gateway, "reach it by TLS", f"{error} ({host}:{port})") from None


def _folder(access: Access, certificate: bytes) -> Path:
    """A folder with the certificates, as libvirt wants it (pkipath); only its owner can read it."""
    name = hashlib.sha256(certificate + str(access.client_certificate).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"meghdwar-{os.getuid()}" / name
    for each in (folder.parent, folder):
        each.mkdir(mode=0o700, exist_ok=True)
        if each.stat().st_uid != os.getuid() or each.stat().st_mode & 0o077:
            raise HypervisorError(access.gateway, "keep its certificate", f"{each} is not this user's alone")
    _write(folder / "cacert.pem", ssl.DER_cert_to_PEM_cert(certificate).encode())
    for file, given in (("clientcert.pem", access.client_certificate), ("clientkey.pem", access.client_key)):
        if given:
            _write(folder / file, given.read_bytes())
    return folder


def _write(file: Path, content: bytes) -> None:
    if file.exists() and file.read_bytes() == content:
        return
    new = tempfile.NamedTemporaryFile(dir=file.parent, delete=False)  # noqa: SIM115 - it is moved, not removed
    with new:
        new.write(content)
    shutil.move(new.name, file)
