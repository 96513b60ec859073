"""A pair of gateways for each hypervisor: made once, and swept after every test."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tests.contract.pairs import PAIRS, MissingError, Pair

NAMES = (f"counter-{number:03}" for number in count(1))


@pytest.fixture(
    scope="session",
    params=[kind if kind == "local" else pytest.param(kind, marks=pytest.mark.real) for kind in PAIRS],
)
def gateways(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    kind = request.param
    if kind != "local" and kind not in request.config.getoption("--real").split(","):
        pytest.skip(f"{kind}: left out by --real")
    try:
        pair = PAIRS[kind](tmp_path_factory.mktemp(kind))
    except (MissingError, ModuleNotFoundError) as error:
        pytest.skip(f"{kind}: {error}")
    yield pair
    pair.close()


@pytest.fixture
def pair(gateways: Pair) -> Iterator[Pair]:
    yield gateways
    gateways.clean()


@pytest.fixture
def name() -> str:
    """A name that no other test of this run uses."""
    return next(NAMES)
