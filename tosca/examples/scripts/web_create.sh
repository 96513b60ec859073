#!/bin/sh
# Install the web server.
set -eu
apt-get update -q
apt-get install -yq nginx
