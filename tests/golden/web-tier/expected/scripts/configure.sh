#!/bin/sh
echo "$title at $inside, $outside" > /var/www/html/index.html
