#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pipeline: three stages of a shell pipeline over queues; a worker is killed in the middle of it.
. "$(dirname "$0")/../support/lib.sh"

lines=1000
bus_start --set queues.ack_timeout_ms=5000

say "raw -> two workers -> cooked"
for worker in 1 2; do
	start "worker$worker" "$millrace" pull raw --exec 'sed s/^/cooked-/' --to cooked --prefetch 20
	eval "worker$worker=$pid"
done
start sink "$millrace" pull cooked
seq -f 'message-%g' "$lines" >"$dir/input"
start source sh -c "'$millrace' push raw --stdin-lines <'$dir/input'"
source=$pid
wait_for "something comes out" lines_at_least "$dir/sink.out" 100
# shellcheck disable=SC2154
kill -KILL "$worker1"
say "killed one with $(wc -l <"$dir/sink.out") of $lines done"
wait_child "$source" "the source"
expect_equal "exit status of the source" "$status" 0
patience_s=90
wait_for "all came out" lines_at_least "$dir/sink.out" "$lines"
sort "$dir/sink.out" >"$dir/sorted"
sed 's/^/cooked-/' "$dir/input" | sort >"$dir/expected"
expect_equal "lines lost, doubled or changed" "$(diff "$dir/expected" "$dir/sorted" | wc -l)" 0

say "promised messages are settled"
empty() {
	"$millrace" queues --json | jq -e --arg q "$1" \
		'.[] | select(.name == $q) | .ready + .delayed + .outstanding == 0'
}
wait_for "raw is empty" empty raw
wait_for "cooked is empty" empty cooked
expect_equal "dead letters" "$(counter queue_dead)" 0

say "messages that a worker rejects go to the dead letters, and back"
start refuser "$millrace" pull bad --exec false
refuser=$pid
"$millrace" push bad poison
dead() { [ "$("$millrace" queue dead bad --json | jq length)" -eq "$1" ]; }
wait_for "it is dead" dead 1
expect_match "the reason" "$("$millrace" queue dead bad)" 'max-deliver'
kill -TERM "$refuser"
wait_child "$refuser" "the refuser"
expect_status 0 "$millrace" queue redrive bad
start taker "$millrace" pull bad -n 1
wait_child "$pid" "the taker"
expect_lines "$dir/taker.out" poison

say "purge, pause, resume"
"$millrace" push store --stdin-lines <"$dir/input"
expect_json <("$millrace" queue show store --json) .ready "$lines"
expect_status 0 "$millrace" queue pause store
start waiter "$millrace" pull store -n 1
waiter=$pid
paused() { "$millrace" queue show store --json | jq -e '.paused and .consumers == 1'; }
wait_for "a consumer waits" paused
expect_equal "lines while paused" "$(wc -l <"$dir/waiter.out")" 0
expect_status 0 "$millrace" queue resume store
wait_child "$waiter" "the waiter"
expect_lines "$dir/waiter.out" message-1
expect_status 0 "$millrace" queue purge store
expect_json <("$millrace" queue show store --json) .ready 0
bus_stop
