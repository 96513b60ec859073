#!/bin/busybox sh
case $1 in bound | renew) ;; *) exit 0 ;; esac
busybox ip addr flush dev "$interface"
busybox ip addr add "$ip/${mask:-24}" dev "$interface"
[ -z "$router" ] || busybox ip route add default via "$router"
echo "LAB has $ip on $interface"
