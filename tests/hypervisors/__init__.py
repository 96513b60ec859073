"""Two gateways of each kind for the tests, benchmarks and the demonstration: processes, LXD and KVM.

A kind that needs more than this process is brought up by `python -m tests.hypervisors`: its module then has
`missing() -> packages`, `up(state)`, `down(state)` and `status(state) -> lines`. Everything of one `state` folder
carries its tag, so that several checkouts can have their own at the same time, and so can the workers of pytest-xdist:
each has a folder in `STATE`.
"""

from pathlib import Path

STATE = Path(__file__).resolve().parents[2] / ".cache" / "hypervisors"
