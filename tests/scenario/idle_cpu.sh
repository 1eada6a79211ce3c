#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# idle_cpu: an idle bus uses less than 2 % of a core with adaptive polling,
# and causes no I/O pressure.
. "$(dirname "$0")/../support/lib.sh"

bus_start --set workers.poll=adaptive
sub_start waiting 'idle.>' --json
"$millrace" pub idle.once x
wait_for "it has worked" has_line "$dir/waiting.out" idle.once

# User and system time of all its threads, in clock ticks.
ticks() {
	local pid sum=0

	for pid in "$(dataplane_pid)" "$(control_pid)"; do
		# The command's name may have blanks in it.
		read -ra field < <(sed 's/.*) //' "/proc/$pid/stat")
		sum=$((sum + field[11] + field[12]))
	done
	echo "$sum"
}

# A control group for the bus has its own io.pressure; empty if there can be none.
group=''
leave_group() { [ -z "$group" ] || rmdir "$group"; }
leaving+=(leave_group)
join_group() {
	local top pid

	top=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[ -n "$top" ] && mkdir "$top/mr-idle-$$" 2>/dev/null || return 0
	group=$top/mr-idle-$$
	[ -r "$group/io.pressure" ] || return 0
	for pid in $(bus_pids); do
		echo "$pid" >"$group/cgroup.procs"
	done
}
# Microseconds in which some task of the bus waited for I/O.
io_wait_us() { sed -n 's/^some .*total=//p' "$group/io.pressure"; }

worker_sleeps() { [ "$(counter sleeps)" -gt 0 ]; }
wait_for "the worker has gone to sleep" worker_sleeps
join_group
measures_io=$([ -z "$group" ] || [ ! -r "$group/io.pressure" ] || echo yes)
io_before=${measures_io:+$(io_wait_us)}
before=$(ticks)
began=$(date +%s%N)
# A measurement over time, not a wait.
sleep 5
spent=$(($(ticks) - before))
elapsed_ms=$((($(date +%s%N) - began) / 1000000))
if [ -n "$measures_io" ]; then
	io_us=$(($(io_wait_us) - io_before))
	say "I/O pressure: $io_us us in $elapsed_ms ms"
	[ "$io_us" -lt "$((elapsed_ms * 100))" ] ||
		fail "an idle bus counts as waiting for I/O for $io_us us of $elapsed_ms ms"
fi
hz=$(getconf CLK_TCK)
per_mille=$((spent * 1000000 / hz / elapsed_ms))
say "idle: $((per_mille / 10)).$((per_mille % 10)) % of a core over $elapsed_ms ms"
[ "$per_mille" -lt 20 ] || fail "an idle bus takes $((per_mille / 10)).$((per_mille % 10)) % of a core, 2 allowed"

say "and it wakes up"
"$millrace" pub idle.twice x
wait_for "it works again" has_line "$dir/waiting.out" idle.twice
bus_stop
