#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# block_over: publishers wait for a receiver that blocks and does not read, as long as configured. Then it is passed
# over: it misses messages that find no room, and a Gap tells it when it reads again; or it is expelled. A publisher's
# requests to control are answered meanwhile.
. "$(dirname "$0")/../support/lib.sh"

lines=40000
seq -f '%.0f of a row that is long enough to fill rings' 1 $lines >"$dir/lines"

session_of() { "$millrace" clients --json | jq -r --argjson pid "$1" '.[] | select(.pid == $pid) | .session'; }
# state_is SESSION STATE
state_is() {
	"$millrace" sessions --slow --json |
		jq -e --arg session "$1" --arg state "$2" 'any(.[]; .session == $session and .state == $state)'
}
is_closed() { [ -z "$(session_of "$1")" ]; }
# publish_all: promises the lines to a subscriber that does not read.
publish_all() {
	# shellcheck disable=SC2016
	start source bash -c 'exec "$0" pub row.subject --promise at-least-once --stdin-lines <"$1"' \
		"$millrace" "$dir/lines"
	wait_child "$pid" "the publisher"
	expect_equal "exit status of the publisher" "$status" 0
}

for workers in 1 3; do
	bus_start --set workers.count=$workers --set channels.down_ring_bytes=262144 --set sessions.block_ms_max=1000
	say "$workers workers: it is passed over"
	sub_start slow 'row.>' --raw --promise at-least-once
	slow_pid=$pid
	slow=$(session_of "$pid")
	kill -STOP "$slow_pid"
	publish_all
	wait_for "it is passed over" state_is "$slow" 'passed over'
	"$millrace" sessions --slow
	expect_equal "times that a receiver was passed over" "$(counter blocks_over)" 1
	expect_above "messages that it missed" "$(counter drop_block_over)" 0
	kill -CONT "$slow_pid"
	wait_for "it is told" has_line "$dir/slow.err" 'missed'
	kill -TERM "$slow_pid"
	wait_child "$slow_pid" "the slow subscriber"
	expect_equal "what came and what it missed" \
		"$(($(wc -l <"$dir/slow.out") + $(counter drop_block_over)))" $lines
	expect_equal "promised messages that were lost" "$(counter drop_held_full)" 0
	bus_stop
done

say "it is expelled"
bus_start --set channels.down_ring_bytes=262144 --set sessions.block_ms_max=1000 --set sessions.block_over=expel
sub_start slow 'row.>' --raw --promise at-least-once
slow_pid=$pid
kill -STOP "$slow_pid"
publish_all
wait_for "it is expelled" is_closed "$slow_pid"
kill -KILL "$slow_pid"
wait_child "$slow_pid" "the slow subscriber"
bus_stop
