"""A real OpenStack on one machine, for the tests: Debian 12's own packages in namespaces of their own.

`python -m tests.lab up` brings it up, `down` ends it; README.md says what it is and what it is not.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STATE = Path(os.environ.get("MEGHDWAR_LAB") or ROOT / ".cache" / "lab")
HERE = Path(__file__).resolve().parent
