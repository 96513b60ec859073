"""`python -m tests.hypervisors up|down|status [lxd|kvm|network ...]`: real hypervisors for tests and demonstrations."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from tests.hypervisors import STATE

KINDS: Mapping[str, str] = {
    "network": "tests.hypervisors.network",
    "lxd": "tests.hypervisors.lxd",
    "kvm": "tests.hypervisors.libvirtd",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hypervisors", description=__doc__)
    parser.add_argument("act", choices=("up", "down", "status", "packages"), help="packages: those that are missing")
    parser.add_argument("kinds", nargs="*", metavar="kind", help=f"{', '.join(KINDS)}; all when none is named")
    parser.add_argument("--state", type=Path, default=STATE, help="the folder that holds everything (%(default)s)")
    options = parser.parse_args()
    unknown = set(options.kinds) - set(KINDS)
    if unknown:
        parser.error(f"cannot {options.act} {', '.join(sorted(unknown))}: there are {', '.join(KINDS)}")
    kinds = [kind for kind in KINDS if not options.kinds or kind in options.kinds]
    if options.act in ("up", "down") and os.geteuid():
        return _complain("cannot bring up hypervisors: that takes root")
    kept = options.state.resolve()
    workers = sorted(kept.glob("gw*")) if options.act == "down" else []  # those of pytest-xdist leave theirs there
    for state in (kept, *workers):
        for kind in kinds if options.act != "down" else reversed(kinds):
            module = import_module(KINDS[kind])
            if options.act == "packages":
                print(*module.missing(), sep="\n", end="\n" if module.missing() else "")
                continue
            if options.act == "up":
                if module.missing():
                    return _complain(f"cannot bring up {kind}: apt-get install {' '.join(module.missing())}")
                module.up(state)
            elif options.act == "down":
                module.down(state)
            print(*module.status(state), sep="\n")
    return 0


def _complain(why: str) -> int:
    print(why, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
