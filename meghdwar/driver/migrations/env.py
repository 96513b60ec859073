"""What alembic runs: the migrations, on the connection and in the transaction that it was given."""

from alembic import context

from meghdwar.driver.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table="meghdwar_schema",
    transactional_ddl=True,  # of SQLite as well: it is we who say BEGIN
)
context.run_migrations()
