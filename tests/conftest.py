"""Options that tests of several folders know."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.contract.gateways import gateways, name, pair

__all__ = ["gateways", "name", "pair"]

if TYPE_CHECKING:
    from tests.site import Site

settings.register_profile(
    "long", max_examples=20_000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

# how long one example takes says nothing on a machine that has other things to do
settings.register_profile("usual", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("usual")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--corpus",
        default=os.environ.get("MEGHDWAR_CORPUS", ""),
        metavar="PATH",
        help="a folder of real templates to try as well (or MEGHDWAR_CORPUS)",
    )
    parser.addoption("--fuzz-seed", type=int, default=0, metavar="N", help="another seed, other mutations")
    parser.addoption("--fuzz-rounds", type=int, default=0, metavar="N", help="mutations of each file (default: few)")
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite what tests/golden expects; then read the difference"
    )
    parser.addoption(
        "--real",
        default="lxd,kvm",
        metavar="KINDS",
        help="the hypervisors, besides local, that the contract and crash suites run on (default: those that are here)",
    )


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """The fast tests run on two workers for each core, since a third of their time is waiting. The real ones run one
    after the other unless somebody says -n: then each worker has hypervisors of its own, and they share a cloud."""
    return 2 * len(os.sched_getaffinity(0)) if config.option.markexpr == "not real" else 0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A whole site in a folder; nothing of it runs when the test is over."""
    from tests.site import Site

    made = Site(tmp_path)
    yield made
    made.close()
