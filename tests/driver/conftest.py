"""Databases for the tests of the driver: SQLite always, and a PostgreSQL that is started for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgresql

REAL = pytest.param("postgresql", marks=pytest.mark.real)


@pytest.fixture(scope="session")
def server() -> Iterator[postgresql.Server]:
    try:
        found = postgresql.Server()
    except postgresql.MissingError as error:
        pytest.skip(str(error))
    yield found
    found.close()


@pytest.fixture(params=["sqlite", REAL])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/meghdwar.db"
    started: postgresql.Server = request.getfixturevalue("server")
    return started.database()
