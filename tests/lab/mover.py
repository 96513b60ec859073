"""A driver that may be killed: `python -m tests.lab.mover CLOUD PLAN STACK GATEWAY` moves the arena and ends."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from meghdwar import bundle as bundles
from meghdwar.driver import heat
from meghdwar.driver.cloud_api import Cloud, CloudError
from meghdwar.driver.hypervisor import HypervisorError
from meghdwar.driver.instance import Instance
from meghdwar.driver.plan import instance_name

PATIENCE_S = 600.0


def move(cloud: Cloud, plan: Path, stack: str, gateway: str) -> int:
    """How often it had to be tried."""
    picture = heat.Picture(cloud, bundles.read(plan), stack)
    arena = Instance(instance_name("arena", "arena"), "arena", "arena", "vm", "counter")
    end, tries = time.monotonic() + PATIENCE_S, 0
    while True:
        tries += 1
        try:
            picture.place(arena, gateway)
        except (HypervisorError, CloudError) as error:
            print(f"try {tries}: {error}", flush=True)
            if not error.retry or time.monotonic() > end:
                raise
            time.sleep(2)
        else:
            return tries


if __name__ == "__main__":
    print("tries:", move(Cloud.connect(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]))
