#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# idle_cpu: a bus with nothing to do costs next to nothing: under 2 % of a core with adaptive polling.
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

worker_sleeps() { [ "$(counter sleeps)" -gt 0 ]; }
wait_for "the worker has gone to sleep" worker_sleeps
before=$(ticks)
began=$(date +%s%N)
# A measurement over time, not a wait for something.
sleep 5
spent=$(($(ticks) - before))
elapsed_ms=$((($(date +%s%N) - began) / 1000000))
hz=$(getconf CLK_TCK)
per_mille=$((spent * 1000000 / hz / elapsed_ms))
say "idle: $((per_mille / 10)).$((per_mille % 10)) % of a core over $elapsed_ms ms"
[ "$per_mille" -lt 20 ] || fail "an idle bus takes $((per_mille / 10)).$((per_mille % 10)) % of a core, 2 allowed"

say "and it wakes up"
"$millrace" pub idle.twice x
wait_for "it works again" has_line "$dir/waiting.out" idle.twice
bus_stop
