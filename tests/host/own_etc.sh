#!/bin/sh
# Runs a program that has a folder /etc of its own, and reaches no resolver of the machine.
#
# Usage: sh own_etc.sh ETC PROGRAM...
set -eu
exec unshare --mount sh -eu -c '
mount --bind "$1" /etc
mount -t tmpfs tmpfs /run # where the bus is
for program in /sbin/resolvconf /usr/local/sbin/resolvconf; do
    [ ! -e "$program" ] || mount --bind /dev/null "$program"
done
shift
exec "$@"' own-etc "$@"
