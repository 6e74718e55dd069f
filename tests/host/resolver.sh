#!/bin/sh
# Runs systemd-resolved on a bus and in a network of its own, which has a device `overlay`.
#
# Usage: unshare --net --mount --pid --fork --kill-child sh resolver.sh <program> <directory>
# The bus is at <directory>/bus; the number of the device is in <directory>/index once all runs.
set -eu
program=$1 directory=$2

mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/resolve /run/dbus
# It becomes a user that a machine without it may lack.
for file in passwd group; do cp "/etc/$file" "$directory/$file"; done
grep -q ^systemd-resolve: "$directory/passwd" || echo 'systemd-resolve:x:991:991::/:/bin/false' >>"$directory/passwd"
grep -q ^systemd-resolve: "$directory/group" || echo 'systemd-resolve:x:991:' >>"$directory/group"
for file in passwd group; do mount --bind "$directory/$file" "/etc/$file"; done
chown systemd-resolve:systemd-resolve /run/systemd/resolve

ip link set lo up
ip link add overlay type veth peer name beyond
ip address add 10.147.1.2/24 dev overlay
ip link set overlay up
ip link set beyond up

cat >"$directory/bus.conf" <<X
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <listen>unix:path=$directory/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_destination="*"/>
    <allow receive_type="method_call"/> <allow receive_type="method_return"/>
    <allow receive_type="error"/> <allow receive_type="signal"/>
  </policy>
</busconfig>
X
dbus-daemon --config-file="$directory/bus.conf" --nofork --nopidfile &
until busctl --system list >/dev/null 2>&1; do sleep 0.1; done
"$program" &
until busctl --system status org.freedesktop.resolve1 >/dev/null 2>&1; do sleep 0.1; done
ip -o link show overlay | cut -d: -f1 >"$directory/index.new"
mv "$directory/index.new" "$directory/index"
wait
