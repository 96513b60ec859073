#!/bin/sh
# Move the data to the volume and listen to the network. Given: port device data
set -eu
blkid "$device" >/dev/null || mkfs -q -t ext4 "$device"
mkdir -p "$data"
mountpoint -q "$data" || mount "$device" "$data"
grep -q "^$device " /etc/fstab || echo "$device $data ext4 defaults,nofail 0 2" >>/etc/fstab

version=$(ls /etc/postgresql | sort -n | tail -1)
if [ ! -d "$data/main" ]; then
    cp -a "/var/lib/postgresql/$version/main" "$data/main"
fi
config=/etc/postgresql/$version/main
printf "data_directory = '%s/main'\nport = %s\nlisten_addresses = '*'\n" "$data" "$port" >"$config/conf.d/guestbook.conf"
rule='host all all samenet scram-sha-256'
grep -qx "$rule" "$config/pg_hba.conf" || echo "$rule" >>"$config/pg_hba.conf"
