#!/bin/sh
# Start the database server.
set -eu
systemctl enable postgresql
systemctl restart postgresql
