"""Packages that must be refused because of who signed them, or how, while the root is trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial

from tests.onboard.authorities import YEAR, Identity, cms, identity, provider
from tests.onboard.hostile_packages import MANIFEST, METADATA, RUN, VNFD, Made, listed, package

DAY = timedelta(days=1)
TEXT = MANIFEST.encode()
FILES = {"vnfd.yaml": VNFD, "run.sh": RUN}


def signed(*who: Callable[[], Identity], options: tuple[str, ...] = (), **more: bytes) -> Made:
    """A package whose manifest these have signed (option 1)."""

    def make() -> bytes:
        return package({**FILES, "vnfd.mf": TEXT + cms(TEXT, *(one() for one in who), options=options), **more})

    return make


def with_signature(change: Callable[[bytes], bytes]) -> Made:
    """A package whose manifest and signature were changed afterwards."""
    return lambda: package({**FILES, "vnfd.mf": change(TEXT + cms(TEXT, provider()))})


def wrapped(change: Callable[[dict[str, bytes]], Mapping[str, bytes]]) -> Made:
    """A signed package in a zip (option 2), changed afterwards."""

    def make() -> bytes:
        inner = package({**FILES, "vnfd.mf": TEXT})
        return package(change({"arena.csar": inner, "arena.cms": cms(inner, provider())}))

    return make


def one_file(change: Callable[[bytes], bytes], **named: bytes) -> Made:
    """A file with a signature of its own (beside that of the manifest), changed afterwards."""

    def make() -> bytes:
        run = (
            listed("run.sh", RUN).rstrip()
            + "\nSignature: run.sh.p7s\n"
            + "".join(f"Certificate: {path}\n" for path in named)
        )
        text = (METADATA + listed("vnfd.yaml", VNFD) + run).encode()
        signature = change(cms(RUN, provider(), options=("-nocerts",) if named else ()))
        return package({**FILES, "vnfd.mf": text + cms(text, provider()), "run.sh.p7s": signature, **named})

    return make


def damaged(content: bytes) -> bytes:
    """The same signature with a byte of its last line changed, so that it is still base64."""
    at = content.rindex(b"-----END") - 20
    return content[:at] + (b"A" if content[at : at + 1] != b"A" else b"B") + content[at + 1 :]


SIGNED: dict[str, tuple[str, Made]] = {
    "manifest changed after signing": ("MDW786", with_signature(lambda text: text.replace(b"arena", b"azena"))),
    "signature of another manifest": (
        "MDW786",
        lambda: package({**FILES, "vnfd.mf": TEXT + cms(TEXT + b"\n", provider())}),
    ),
    "signature damaged": ("MDW786", with_signature(damaged)),
    "signature cut short": ("MDW785", with_signature(lambda text: text[:-200] + b"\n-----END CMS-----\n")),
    "signature without end": ("MDW785", with_signature(lambda text: text[:-30])),
    "signature of nothing but base64": (
        "MDW785",
        with_signature(lambda text: TEXT + b"-----BEGIN CMS-----\nAAAA\n-----END CMS-----\n"),
    ),
    "signature nested a thousand times": (
        "MDW785",
        wrapped(lambda files: {**files, "arena.cms": b"\x30\x80" * 2000}),
    ),
    "text after a true signature": ("MDW794", with_signature(lambda text: text + b"Source: run.sh\n")),
    "no certificate": ("MDW787", signed(provider, options=("-nocerts",))),
    "expired": ("MDW788", signed(lambda: identity("expired", "root", ends=-DAY))),
    "issuer expired": ("MDW788", signed(lambda: identity("below old", "old middle"))),
    "not yet valid": ("MDW789", signed(lambda: identity("early", "root", begins=DAY, ends=YEAR))),
    "by nobody known": ("MDW790", signed(lambda: identity("stranger"))),
    "by another authority": ("MDW790", signed(lambda: identity("foreign", "other root"))),
    "by the same name": ("MDW790", signed(lambda: identity("provider", "other root"))),
    "RSA of 1024 bits": ("MDW791", signed(lambda: identity("small", "root", kind="rsa1024"))),
    "SHA-1": ("MDW791", signed(provider, options=("-md", "sha1"))),
    "signed by MD5": ("MDW791", signed(lambda: identity("rsa", "root", kind="rsa2048"), options=("-md", "md5"))),
    "certificate not for signatures": ("MDW792", signed(lambda: identity("keys only", "root", signs=False))),
    "certificate of no authority": ("MDW792", signed(lambda: identity("below none", "no authority"))),
    "two signers": ("MDW793", signed(provider, lambda: identity("second", "root"))),
    "not signed": ("MDW797", partial(package, {**FILES, "vnfd.mf": TEXT})),
    "no manifest to sign": ("MDW797", partial(package, {"vnfd.yaml": VNFD})),
    "only one file signed": (
        "MDW797",
        lambda: package(
            {
                "vnfd.yaml": VNFD,
                "vnfd.mf": METADATA + listed("vnfd.yaml", VNFD).rstrip() + "\nSignature: vnfd.p7s\n",
                "vnfd.p7s": cms(VNFD, provider()),
            }
        ),
    ),
    "signature of another file": ("MDW786", one_file(lambda signature: cms(b"another", provider()))),
    "signature of a file that is none": ("MDW785", one_file(lambda signature: b"hello")),
    "certificate of a file that is none": ("MDW787", one_file(bytes, **{"run.cert": b"hello"})),
    "certificate of a file that is another": (
        "MDW787",
        lambda: one_file(bytes, **{"run.cert": identity("stranger").pem})(),
    ),
    # option 2
    "package changed after signing": (
        "MDW786",
        wrapped(lambda files: {**files, "arena.csar": package({**FILES, "vnfd.mf": TEXT, "more.sh": RUN})}),
    ),
    "package without its signature": ("MDW796", wrapped(lambda files: {"arena.csar": files["arena.csar"]})),
    "package with another file beside it": ("MDW795", wrapped(lambda files: {**files, "arena.sh": RUN})),
    "two packages": ("MDW795", wrapped(lambda files: {**files, "other.csar": files["arena.csar"]})),
    "signature of another name": (
        "MDW795",
        wrapped(lambda files: {"arena.csar": files["arena.csar"], "other.cms": files["arena.cms"]}),
    ),
    "signed package in a signed package": ("MDW766", lambda: _twice()),
    "signed packages without end": ("MDW766", lambda: _wrapped_of(_twice())),
    "hostile package in a signed one": ("MDW700", lambda: _wrapped_of(b"no archive")),
    "bomb in a signed one": ("MDW762", lambda: _wrapped_of(package({"vnfd.yaml": VNFD, "bomb": bytes(2**23)}))),
}


def _wrapped_of(inner: bytes) -> bytes:
    return package({"arena.csar": inner, "arena.cms": cms(inner, provider())})


def _twice() -> bytes:
    return _wrapped_of(_wrapped_of(package({**FILES, "vnfd.mf": TEXT})))
