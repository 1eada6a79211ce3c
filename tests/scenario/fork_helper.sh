#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fork_helper: the session of a program that was killed, or that closed its client, ends at once, even if a forked
# child keeps its descriptors. Its deliveries go to others, and publishers that waited for it go on. With control
# running and stopped.
. "$(dirname "$0")/../support/lib.sh"

sessions_named() { "$millrace" clients --json | jq --arg name "$1" '[.[] | select(.name == $name)] | length'; }
sessions_are() { [ "$(sessions_named "$1")" -eq "$2" ]; }
helper_of() { cat "$dir/$1.out"; }
# forked_start NAME: starts a consumer of jobs with one delivery and a subscriber that blocks; its helper sleeps.
forked_start() {
	start "$1" "$build/tests/support/forked" "$1"
	wait_for "$1 has a job in hand and a helper" has_line "$dir/$1.out" '^[0-9]+$'
	helpers+=("$(helper_of "$1")")
}

held_up() { "$millrace" sessions --slow --json | jq -e 'any(.[]; .blocked_by != null)'; }
# publisher_start: starts one that the subscriber pauses; sets `publisher` to its pid.
publisher_start() {
	# shellcheck disable=SC2016
	start publisher bash -c 'exec "$0" pub orders.a - -n 400 --promise at-least-once <"$1"' "$millrace" "$dir/big"
	publisher=$pid
	wait_for "the publisher is held up" held_up
}

helpers=()
stop_helpers() { kill "${helpers[@]}" 2>/dev/null || true; }
leaving+=(stop_helpers)

bus_start --set channels.down_ring_bytes=262144
head -c 20000 /dev/zero | tr '\0' x >"$dir/big"

say "killed, with control running"
"$millrace" push jobs one
forked_start killed
killed=$pid
publisher_start
kill -KILL "$killed"
wait_child "$publisher" "the publisher"
expect_equal "exit status of the publisher" "$status" 0
wait_for "its session is gone" sessions_are killed 0
alive "$(helper_of killed)" || fail "the helper has ended too: this shows nothing"
expect_status 0 "$millrace" pull jobs -n 1 --raw
expect_equal "its job comes again" "$output" one

say "killed, with control stopped"
"$millrace" push jobs two
forked_start orphan
orphan=$pid
publisher_start
kill -STOP "$(control_pid)"
kill -KILL "$orphan"
wait_child "$publisher" "the publisher"
expect_equal "exit status of the publisher" "$status" 0
kill -CONT "$(control_pid)"
expect_status 0 "$millrace" pull jobs -n 1 --raw
expect_equal "its job comes again" "$output" two

say "closed in order"
"$millrace" push jobs three
forked_start leaver
kill -TERM "$pid"
wait_for "its session is gone" sessions_are leaver 0
alive "$pid" || fail "the program has ended: this shows nothing of close"
alive "$(helper_of leaver)" || fail "the helper has ended too: this shows nothing"
expect_status 0 "$millrace" pull jobs -n 1 --raw
expect_equal "its job comes again" "$output" three
kill -KILL "$pid"
bus_stop
