"""Every rule that a descriptor can break. A code never changes its meaning and is never used twice.

0xx reading and imports · 1xx grammar, names and types · 2xx values and functions · 3xx the topology ·
4xx edge applications · 5xx targets. `docs/errors/CODE.md` explains each one.
"""

from __future__ import annotations

from meghdwar.diagnostics import Rule, Severity

# 0xx reading and imports
BAD_YAML = Rule("MDW001", "bad-yaml")
DUPLICATE_KEY = Rule("MDW002", "duplicate-key")
EMPTY_DOCUMENT = Rule("MDW003", "empty-document")
SEVERAL_DOCUMENTS = Rule("MDW004", "several-documents")
BAD_KEY = Rule("MDW005", "bad-key")
UNKNOWN_TAG = Rule("MDW006", "unknown-tag")
BAD_ALIAS = Rule("MDW007", "bad-alias")
TOO_MUCH = Rule("MDW008", "too-much")
BAD_ENCODING = Rule("MDW009", "bad-encoding")
BAD_MERGE = Rule("MDW010", "bad-merge")
