#!/bin/sh
# Make the database and its user, or give the user its password again. Given: name user password
set -eu
as_postgres() { runuser -u postgres -- psql -v ON_ERROR_STOP=1 -v name="$name" -v user="$user" -v password="$password" "$@"; }
as_postgres <<'SQL'
SELECT format('CREATE ROLE %I LOGIN', :'user') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'user') \gexec
ALTER ROLE :"user" PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'user') WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
SQL
