#!/bin/sh
# Records what the collectors read of this host below the directory given, as
# testdata/host was begun. What it held then was trimmed and edited by hand to
# hold interesting cases; see README.md.
set -eu
out=${1:?usage: record.sh DIRECTORY}

copy() { # copy FILE: below $out, with /run/udev/data as udev
	[ -r "$1" ] || return 0
	to=$out/$(printf %s "$1" | sed 's,^/run/udev/data,udev,; s,^/,,')
	mkdir -p "$(dirname "$to")"
	cat "$1" >"$to" 2>/dev/null || rm -f "$to"
}

for f in stat cpuinfo meminfo loadavg diskstats net/dev 1/mountinfo; do
	copy "/proc/$f"
done
for f in isolated online; do
	copy "/sys/devices/system/cpu/$f"
done
for cpu in /sys/devices/system/cpu/cpu[0-9]*; do
	for f in online topology/physical_package_id topology/core_id \
		thermal_throttle/core_throttle_count thermal_throttle/package_throttle_count; do
		copy "$cpu/$f"
	done
done
for source in /sys/devices/system/clocksource/clocksource[0-9]*; do
	copy "$source/available_clocksource"
	copy "$source/current_clocksource"
done
for disk in /sys/block/*; do
	copy "$disk/queue/rotational"
done
for f in /run/udev/data/b*; do
	copy "$f"
done
