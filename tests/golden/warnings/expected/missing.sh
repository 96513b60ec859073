#!/bin/sh
# missing.sh was not there when this stack was compiled. Put the real script here.
echo 'meghdwar: the script missing.sh is missing' >&2
exit 1
