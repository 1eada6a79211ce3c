#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kill_control: control may be killed at any time; no message between clients is lost.
. "$(dirname "$0")/../support/lib.sh"

bus_start --set log.json=false
sub_start watcher 'watch.>' --json
subjects() { "$millrace" subjects --json | jq -c '[.[].pattern] | sort'; }
listed=$(subjects)

bench_start bench --seconds 4 --subscribers 2
bench_pid=$pid
dataplane=$(dataplane_pid)
for round in 1 2 3; do
	control=$(control_pid)
	say "round $round: kill -9 of control, $control"
	kill -KILL "$control"
	wait_for "up starts control again" bus_child_is_not millrace-control "$control"
	wait_for "control answers" "$millrace" ping
	expect_equal "pid of the data plane" "$(dataplane_pid)" "$dataplane"
done
alive "$bench_pid" || say "the bench ended before the last kill"
bench_end bench "$bench_pid"

say "control sees clients and subscriptions again"
watcher_is_listed() { [ "$(subjects)" = "$listed" ]; }
wait_for "the subscription is listed" watcher_is_listed
expect_equal "listed clients with a subscription" \
	"$("$millrace" clients --json | jq '[.[] | select(.subscriptions > 0)] | length')" 1
expect_equal "clients that lost something" \
	"$("$millrace" clients --json | jq '[.[] | select(.missed > 0)] | length')" 0

say "the earlier subscription still works, and new ones can be made"
"$millrace" pub watch.this after
wait_for "the watcher gets it" has_line "$dir/watcher.out" after
sub_start fresh 'fresh.>' --json
"$millrace" pub fresh.one hello
wait_for "the new subscriber gets it" has_line "$dir/fresh.out" hello

say "without control, attached clients go on"
# The bench asks control for counters before it measures, and again at its end, for which control goes on.
start idle "$millrace" bench --seconds 5 --warmup 0.1 --json --rate 1000 --progress
idle_pid=$pid
wait_for "the bench measures" lines_at_least "$dir/idle.err" 1
kill -STOP "$(control_pid)"
stopped=$(control_pid)
wait_for "the bench has measured without control" lines_at_least "$dir/idle.err" 2
kill -CONT "$stopped"
bench_end idle "$idle_pid"
wait_for "control answers" "$millrace" ping
bus_stop
