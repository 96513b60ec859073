#!/bin/sh
# Start the web server, or let it read its configuration again.
set -eu
systemctl enable nginx
systemctl reload-or-restart nginx
