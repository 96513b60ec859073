"""Every rule that a descriptor can break. A code never changes its meaning and is never used twice.

0xx reading and imports · 1xx grammar, names and types · 2xx values and functions · 3xx the topology ·
4xx edge applications · 5xx targets. `docs/errors/CODE.md` explains each one.
"""

from __future__ import annotations

from meghdwar.diagnostics import Rule, Severity

# 0xx reading and imports
BAD_YAML = Rule("MDW001", "bad-yaml")
DUPLICATE_KEY = Rule("MDW002", "duplicate-key")
