#!/bin/sh
# Put up the page, and tell the application where its database is. Given: db_host db_port db_name db_user db_password root
set -eu
install -d -m 750 /etc/guestbook "/var/www/html/$root"
(
    umask 077
    printf '%s:%s:%s:%s:%s\n' "$db_host" "$db_port" "$db_name" "$db_user" "$db_password" >/etc/guestbook/pgpass
)
chmod 755 "/var/www/html/$root"
printf '<h1>%s</h1>\n<p>The book is at %s.</p>\n' "$root" "$db_host" >"/var/www/html/$root/index.html"
systemctl reload nginx
