#!/bin/sh
# Move the data to the volume and listen to the network. Given: port data
set -eu
version=$(ls /etc/postgresql | sort -n | tail -1)
config=/etc/postgresql/$version/main/conf.d/guestbook.conf
if [ ! -d "$data/main" ]; then
    cp -a "/var/lib/postgresql/$version/main" "$data/main"
    chown postgres: "$data"
fi
printf "data_directory = '%s/main'\nport = %s\nlisten_addresses = '*'\n" "$data" "$port" >"$config"
access=/etc/postgresql/$version/main/pg_hba.conf
grep -q '^host all all samenet' "$access" || echo 'host all all samenet scram-sha-256' >>"$access"
