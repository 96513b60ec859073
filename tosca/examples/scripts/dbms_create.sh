#!/bin/sh
# Install the database server; it is started once its data has a place.
set -eu
apt-get update -q
apt-get install -yq postgresql
systemctl stop postgresql
