"""The database: it is found, made, upgraded and given up when it cannot be used, with an error that says why."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meghdwar.driver import database
from meghdwar.driver.hypervisor import Access
from meghdwar.driver.instance import Disk, Files, Instance
from meghdwar.driver.inventory import GatewayRecord
from meghdwar.driver.operation import JournalError
from meghdwar.driver.plain import to_access, to_instance, to_text
from meghdwar.model import Ready

# what is stored comes back as it was
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
sizes = st.integers(0, 2**62)
lists = st.lists(words, max_size=3).map(tuple)
readies = st.builds(
    Ready, http=st.none() | words, port=st.none() | sizes, command=lists, within_s=st.floats(0, allow_nan=False)
)
instances = st.builds(
    Instance,
    name=words, application=words, cloudlet=words, kind=words, image=words, subscriber=st.none() | words, cpus=sizes,
    memory_bytes=sizes, disk_bytes=st.none() | sizes, address=st.none() | words,
    ports=st.lists(st.integers(1, 65535), max_size=3).map(tuple), command=lists,
    environment=st.dictionaries(words, words, max_size=3), quiesce=lists, ready=readies,
    disks=st.lists(st.builds(Disk, words, sizes, words, st.none() | words), max_size=3).map(tuple),
    files=st.lists(st.builds(Files, words, lists, st.none() | sizes), max_size=3).map(tuple),
)  # fmt: skip
paths = st.none() | st.lists(st.text("abc/.", min_size=1), min_size=1, max_size=3).map(lambda parts: Path(*parts))
accesses = st.builds(
    Access, gateway=words, hypervisor=words, endpoint=words, certificate=st.none() | words, client_certificate=paths,
    client_key=paths, address=st.none() | words, images=paths, options=st.dictionaries(words, words, max_size=3),
    timeout_s=st.floats(0, allow_nan=False),
)  # fmt: skip


@given(instances)
@settings(deadline=None)
def test_an_instance_comes_back_exactly(instance: Instance) -> None:
    found = to_instance(to_text(instance))
    assert found == instance
    assert repr(found) == repr(instance)


@given(accesses)
@settings(deadline=None)
def test_how_a_gateway_is_reached_comes_back_exactly(access: Access) -> None:
    assert repr(to_access(to_text(access))) == repr(access)


# the file
def test_a_file_that_is_missing_is_made_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "of" / "mine" / "meghdwar.db"
    database.open(f"sqlite:///{path}").close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0
    database.open(str(path)).close()


def test_it_is_durable_at_each_commit(tmp_path: Path) -> None:
    opened = database.open(str(tmp_path / "a.db"))
    with opened.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    opened.close()


def test_the_environment_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("MEGHDWAR_DATABASE", raising=False)
    database.open().close()
    assert (tmp_path / "state" / "meghdwar" / "meghdwar.db").exists()
    monkeypatch.setenv("MEGHDWAR_DATABASE", f"sqlite:///{tmp_path}/other.db")
    database.open().close()
    assert (tmp_path / "other.db").exists()


# the tables
def test_the_migrations_make_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from meghdwar.driver.tables import metadata

    scripts = ScriptDirectory("meghdwar/driver/migrations")
    assert scripts.get_current_head() == database.SCHEMA
    assert {each.revision for each in scripts.walk_revisions()} == {*database.OLDER, database.SCHEMA}
    opened = database.open(str(tmp_path / "a.db"))
    with opened.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "meghdwar_schema"})
        assert compare_metadata(context, metadata) == []
    opened.close()


@pytest.mark.parametrize("older", sorted(database.OLDER))
def test_tables_of_each_older_version_are_upgraded(tmp_path: Path, older: str) -> None:
    from alembic import command
    from alembic.config import Config

    path = tmp_path / "a.db"
    path.touch()
    engine = database.make_engine(database.make_url(f"sqlite:///{path}"), 15)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "meghdwar.driver:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, older)
        connection.exec_driver_sql("INSERT INTO gateways VALUES ('kept', '{}', 1.0)")
    engine.dispose()
    opened = database.open(str(path))
    with opened.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM meghdwar_schema").scalar() == database.SCHEMA
        assert connection.exec_driver_sql("SELECT name FROM gateways").scalar() == "kept"
    opened.close()


def test_tables_of_a_newer_version_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    database.open(str(path)).close()
    raw = sqlite3.connect(path)
    raw.execute("UPDATE meghdwar_schema SET version_num = '9999'")
    raw.commit()
    raw.close()
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"^cannot use the database sqlite:///.*a.db: its tables are of a newer"):
        database.open(str(path))
    assert path.read_bytes() == before


def test_tables_that_may_not_be_made_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="it has no tables; open it once with the right to upgrade it"):
        database.open(str(tmp_path / "a.db"), upgrade=False)


def test_opened_again_in_one_process_nothing_that_another_process_does_is_lost(tmp_path: Path) -> None:
    """Whoever opens the file and closes it again loses the locks of the whole process on it; then the next process that
    ends takes itself for the last one, and removes the log that this one goes on to write to."""
    path = tmp_path / "meghdwar.db"
    first = database.open(str(path))
    first.inventory.gateways()
    database.open(str(path)).close()
    again = "from meghdwar.driver import database; import sys; database.open(sys.argv[1]).close()"
    subprocess.run([sys.executable, "-c", again, str(path)], check=True)
    first.inventory.add_gateway(GatewayRecord(Access("edge_a", "local", "/nowhere")))
    look = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT name FROM gateways').fetchall())"
    seen = subprocess.run([sys.executable, "-c", look, str(path)], check=True, capture_output=True, text=True)
    assert "edge_a" in seen.stdout
    first.close()
