#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kill_dataplane: when the data plane is killed its clients notice, and reconnect by themselves.
. "$(dirname "$0")/../support/lib.sh"

bus_start
sub_start one 'kept.>' --json
sub_start two 'kept.*' --json
bench_start bench --seconds 120
bench_pid=$pid
"$millrace" pub kept.a before
wait_for "delivered before" has_line "$dir/one.out" before

control=$(control_pid)
for round in 1 2; do
	dataplane=$(dataplane_pid)
	say "round $round: kill -9 of the data plane, $dataplane"
	kill -KILL "$dataplane"
	wait_for "up starts the data plane again" bus_child_is_not millrace-dataplane "$dataplane"
	if [ "$round" = 1 ]; then
		wait_child "$bench_pid" "the bench"
		expect_above "exit status of the bench" "$status" 0
		expect_match "what the bench says" "$(cat "$dir/bench.err")" 'millrace bench: .*(gone|lost|away|connect)'
	fi
	resubscribed() { [ "$("$millrace" subjects --json | jq length)" -eq 2 ]; }
	wait_for "both subscribers have subscribed again" resubscribed
	"$millrace" pub kept.a "after $round"
	wait_for "delivered to the first" has_line "$dir/one.out" "after $round"
	wait_for "delivered to the second" has_line "$dir/two.out" "after $round"
	wait_for "the subscriber says that it was away" has_line "$dir/one.err" 'connect|gone|lost|away'
	expect_equal "pid of control" "$(control_pid)" "$control"
done
expect_equal "deliveries, each once" "$(jq -r .payload "$dir/one.out" | tr '\n' ' ')" \
	"before after 1 after 2 "

say "while there is no data plane, status and attach say so"
kill -STOP "$bus" # so that it does not start another
kill -KILL "$(dataplane_pid)"
status_says_so() {
	local got=0
	"$millrace" status >"$dir/status.out" 2>&1 || got=$?
	[ "$got" -eq 3 ]
}
wait_for "status tells" status_says_so
expect_status 3 "$millrace" pub a.b c
expect_match "what pub says" "$errors" 'data plane'
kill -CONT "$bus"
wait_for "the bus is back" "$millrace" pub a.b c

bus_stop
