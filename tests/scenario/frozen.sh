#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# frozen: `status` reports that the data plane is stopped or one of its threads makes no rounds. The log names the
# right one, once at the beginning and once at the end.
. "$(dirname "$0")/../support/lib.sh"
command -v python3 >/dev/null || skip "python3 is not installed"

# Stops one thread, as a debugger does, until this program is killed.
cat >"$dir/freeze.py" <<'P'
import ctypes, os, signal, sys
SEIZE, INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
tid = int(sys.argv[1])
for request in SEIZE, INTERRUPT:
    if libc.ptrace(request, tid, 0, 0) < 0:
        sys.exit("ptrace: " + os.strerror(ctypes.get_errno()))
os.waitpid(tid, WALL)
print("frozen", flush=True)
signal.pause()
P
# The thread of the first worker.
worker_tid() {
	local task

	for task in /proc/"$1"/task/*; do
		if grep -q 'lcore.*1$\|rte-worker-1$' "$task/comm"; then
			echo "${task##*/}"
			return
		fi
	done
}

trouble() { "$millrace" status --json | jq -r '[.troubles[].name] | join(" ")'; }
trouble_is() { [ "$(trouble)" = "$1" ]; }
trouble_has() { [[ " $(trouble) " == *" $1 "* ]]; }
# told NAME SINCE: waits until the trouble of that name appears in `status`. tests/unit/control/test_watch.c
# measures the time, with a clock that no busy machine stops.
told() {
	wait_for "status tells of $1" trouble_has "$1"
	figures "$1 is told after $((($(date +%s%N) - $2) / 1000000)) ms"
}
logged() { grep -c -- "$1" "$bus_log" || true; }

bus_start --workers 2 --set workers.poll=adaptive --set queues.messages_max=100
expect_equal "trouble of a bus that is well" "$(trouble)" ""
dataplane=$(dataplane_pid)

say "all of the data plane is stopped"
kill -STOP "$dataplane"
began=$(date +%s%N)
told dataplane_stopped "$began"
expect_status 3 "$millrace" status
expect_match status "$output" 'trouble .*data plane does not run'
expect_status 0 "$millrace" workers
expect_match workers "$output" 'silent for'
kill -CONT "$dataplane"
wait_for "it is over" trouble_is ""
expect_status 0 "$millrace" status
wait_for "its end is logged" has_line "$bus_log" 'data plane runs again'
expect_equal "begin is logged" "$(logged 'data plane does not run')" 1
expect_equal "workers blamed" "$(logged 'worker makes no rounds')" 0

say "a worker is frozen, asleep or not; the rest is well"
start freeze python3 "$dir/freeze.py" "$(worker_tid "$dataplane")"
freezer=$pid
wait_for "a thread is frozen" has_line "$dir/freeze.out" frozen
began=$(date +%s%N)
told worker_silent "$began"
expect_equal "trouble" "$(trouble)" worker_silent
expect_status 3 "$millrace" status
"$millrace" workers --json >"$dir/workers.json"
expect_json "$dir/workers.json" '[.[] | select(.silent_ms > 0) | .worker]' '[0]'
kill "$freezer"
wait_for "it is over" trouble_is ""
expect_equal "begin is logged" "$(logged 'worker makes no rounds')" 1
wait_for "its end is logged" has_line "$bus_log" 'worker makes rounds again'

say "a slow receiver and a full queue"
sub_start slow 'slow.>' --json
slow=$pid
kill -STOP "$slow"
seq 300000 | "$millrace" pub slow.one --stdin-lines
wait_for "status tells of the receiver" trouble_has receiver_slow
kill -CONT "$slow"
wait_for "its end is logged" has_line "$bus_log" 'receivers are no longer slow'
expect_equal "begin is logged" "$(logged 'receivers are slow: ')" 1
expect_match "log" "$(cat "$bus_log")" 'receivers are slow: .* session=0x'
seq 200000 >"$dir/lines"
start push sh -c "exec '$millrace' push jobs --stdin-lines <'$dir/lines'"
wait_for "status tells of the queue" trouble_has queue_full
kill "$pid" 2>/dev/null || true
expect_status 0 "$millrace" status

say "control itself is stopped: it blames no other when it goes on"
kill -STOP "$(control_pid)"
sleep 3 # not a wait: it is stopped for this time
kill -CONT "$(control_pid)"
wait_for "it answers" trouble_is queue_full # no consumer pulls
expect_equal "blamed" "$(logged 'makes no rounds\|does not run')" 2
bus_stop
