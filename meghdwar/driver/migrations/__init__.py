"""How the tables came to be, one file for each change; alembic runs those that a database has not seen yet."""
