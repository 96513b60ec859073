"""Makes a package (SOL004) of a folder: the same folder gives the same bytes, and what comes out can be read again.

A manifest lists every file with its hash; a key and a certificate sign it. TOSCA.meta is written when there is none.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from meghdwar.compiler import check_location, location, meta
from meghdwar.diagnostics import Diagnostic
from meghdwar.onboard import description
