"""Every way in which a package can be refused that is a sound archive. A code never changes its meaning."""

from __future__ import annotations

from meghdwar.diagnostics import Rule, Severity

WARNING = Severity.WARNING

# the manifest
NO_MANIFEST = Rule("MDW771", "no-manifest", WARNING)
MANIFEST_MISSING = Rule("MDW772", "manifest-missing")
BAD_MANIFEST = Rule("MDW773", "bad-manifest-line")
NO_METADATA = Rule("MDW774", "manifest-without-metadata", WARNING)
SOURCE_REMOTE = Rule("MDW775", "source-over-the-network")
SOURCE_OUTSIDE = Rule("MDW776", "source-out-of-the-package")
SOURCE_MISSING = Rule("MDW777", "source-missing")
NOT_LISTED = Rule("MDW778", "file-not-in-manifest")
WRONG_HASH = Rule("MDW779", "wrong-hash")
UNKNOWN_ALGORITHM = Rule("MDW780", "unknown-hash-algorithm")
BAD_HASH = Rule("MDW781", "bad-hash")
LISTED_TWICE = Rule("MDW782", "file-listed-twice")
NO_HASH = Rule("MDW783", "file-without-hash", WARNING)
MANIFEST_TOO_LARGE = Rule("MDW784", "manifest-too-large")
NOT_A_FILE = Rule("MDW748", "no-file-to-pack")
NESTED = Rule("MDW766", "archive-in-archive")

# signatures
BAD_SIGNATURE = Rule("MDW785", "bad-signature-data")
WRONG_SIGNATURE = Rule("MDW786", "wrong-signature")
NO_CERTIFICATE = Rule("MDW787", "signer-without-certificate")
EXPIRED = Rule("MDW788", "certificate-expired")
NOT_YET_VALID = Rule("MDW789", "certificate-not-yet-valid")
NOT_TRUSTED = Rule("MDW790", "signer-not-trusted")
WEAK = Rule("MDW791", "weak-signature")
NOT_FOR_SIGNING = Rule("MDW792", "certificate-not-for-signing")
NOT_ONE_SIGNER = Rule("MDW793", "not-one-signer")
AFTER_SIGNATURE = Rule("MDW794", "text-after-signature")
BAD_WRAPPER = Rule("MDW795", "bad-signed-package")
SIGNATURE_MISSING = Rule("MDW796", "signature-missing")
NOT_SIGNED = Rule("MDW797", "package-not-signed")
NOBODY_TRUSTED = Rule("MDW798", "signer-not-checked", WARNING)
TOO_SLOW = Rule("MDW799", "reading-took-too-long")
