#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# slow_receiver: a receiver that does not read, or is dead, does not slow others: the rates of others are shown
# with and without it. One that blocks pauses only publishers of messages promised to it, and none of these
# messages is lost when it reads again. Through shared memory, and over UDP where networks can be made.
. "$(dirname "$0")/../support/lib.sh"
. "$top/tests/support/net.sh"

lines=100000
seq -f '%.0f of a row that is long enough to fill rings' 1 $lines >"$dir/lines"

# Prints the session number of the local program with that pid.
session_of() { "$millrace" clients --json | jq -r --argjson pid "$1" '.[] | select(.pid == $pid) | .session'; }
has_session() { [ -n "$(session_of "$1")" ]; }
# state_is SESSION STATE
state_is() {
	"$millrace" sessions --slow --json |
		jq -e --arg session "$1" --arg state "$2" 'any(.[]; .session == $session and .state == $state)'
}
# waits_for PUBLISHER RECEIVER: sessions
waits_for() {
	"$millrace" sessions --slow --json |
		jq -e --arg session "$1" --arg by "$2" 'any(.[]; .session == $session and .blocked_by == $by)'
}
# promise_start NAME SUBJECT [PREFIX...]: promises the lines, in the background.
promise_start() {
	# shellcheck disable=SC2016
	start "$1" "${@:3}" bash -c 'exec "$0" pub "$1" --promise at-least-once --stdin-lines <"$2"' \
		"$millrace" "$2" "$dir/lines"
}

# rate NAME SUBJECT: promises all lines to a subscriber that reads; NAME.rate has messages a second.
rate() {
	local begun

	sub_start "$1" "$2" --raw --promise at-least-once -n $lines
	begun=$(date +%s%N)
	timeout -k 5 $((patience_s * 2)) "$millrace" pub "$2" --promise at-least-once --stdin-lines <"$dir/lines"
	wait_child "$pid" "sub $1"
	expect_equal "exit status of sub $1" "$status" 0
	echo $((lines * 1000 / (($(date +%s%N) - begun) / 1000000 + 1))) >"$dir/$1.rate"
	cmp "$dir/$1.out" "$dir/lines" >&2 || fail "$1: lost or out of order"
}

tell_rates() {
	figures "$1: $(cat "$dir/free.rate") messages/s with nobody slow; beside receivers that do not read" \
		"$(cat "$dir/other.rate") to another subject, $(cat "$dir/same.rate") to the same subject as the dropping one"
}

for workers in 1 2; do
	bus_start --set workers.count=$workers --set channels.down_ring_bytes=262144
	say "$workers workers: nobody is slow"
	expect_equal "slow sessions" "$("$millrace" sessions --slow --json)" '[]'
	rate free same.subject
	rate free same.subject # memory has been touched by now

	say "$workers workers: one blocks and does not read, one drops and does not read, one is killed"
	sub_start blocked 'blocked.>' --raw --promise at-least-once -n $lines
	blocked_pid=$pid
	blocked=$(session_of "$pid")
	sub_start dropping 'same.>' --raw
	dropping_pid=$pid
	dropping=$(session_of "$pid")
	sub_start dead 'blocked.>' --raw --promise at-least-once
	dead_pid=$pid
	dead=$(session_of "$pid")
	kill -STOP "$blocked_pid" "$dropping_pid" "$dead_pid"
	promise_start source blocked.subject
	source_pid=$pid
	wait_for "the publisher has a session" has_session "$source_pid"
	source=$(session_of "$source_pid")
	wait_for "the receiver is full" state_is "$blocked" full
	wait_for "its publisher is held up" state_is "$source" 'held up'
	wait_for "who is to die is full" state_is "$dead" full
	kill -KILL "$dead_pid"
	wait_child "$dead_pid" "the dead one"
	wait_for "the publisher waits for who lives" waits_for "$source" "$blocked"
	"$millrace" sessions --slow

	rate other other.subject
	rate same same.subject
	wait_for "who drops has missed some" state_is "$dropping" missing
	tell_rates "$workers workers"
	wait_for "its publisher is held up still" state_is "$source" 'held up'

	say "$workers workers: it reads again: nothing was lost"
	kill -CONT "$blocked_pid" "$dropping_pid"
	wait_child "$source_pid" "the publisher"
	expect_equal "exit status of the publisher" "$status" 0
	wait_child "$blocked_pid" "the blocked subscriber"
	cmp "$dir/blocked.out" "$dir/lines" >&2 || fail "blocked: lost or out of order"
	wait_for "who drops is told" has_line "$dir/dropping.err" 'missed'
	kill -TERM "$dropping_pid"
	wait_child "$dropping_pid" "the dropping subscriber"
	expect_above "rounds in which a publisher was not read" "$(counter publisher_blocks)" 0
	expect_equal "promised messages that were lost" "$(counter drop_held_full)" 0
	bus_stop
done

net_needs
far=("${net_in[@]}" env "MILLRACE_SERVER=udp://$net_bus4:7400")
one_session() { "$millrace" sessions --json | jq -r '.[0].session // empty'; }

for workers in 1 2; do
	ip link delete "$net_port" 2>/dev/null || true # of the round before
	net_pair $workers
	# A stopped client is silent; it must not be taken for dead meanwhile.
	bus_start --set workers.count=$workers --set workers.poll=adaptive --set sessions.missed_max=50 \
		--port "$(net_af_xdp)"
	say "$workers workers, over UDP: one blocks and does not read"
	rate free same.subject
	rate free same.subject # memory has been touched by now
	start blocked "${far[@]}" "$millrace" sub 'blocked.>' --raw --promise at-least-once -n $lines
	blocked_pid=$pid
	wait_for "it is subscribed" has_line "$dir/blocked.err" subscribed
	blocked=$(one_session)
	sub_start dropping 'same.>' --raw
	dropping_pid=$pid
	kill -STOP "$blocked_pid" "$dropping_pid"
	promise_start source blocked.subject
	source_pid=$pid
	wait_for "the receiver is full" state_is "$blocked" full
	"$millrace" sessions --slow
	rate other other.subject
	rate same same.subject
	tell_rates "$workers workers, over UDP"
	kill -CONT "$blocked_pid" "$dropping_pid"
	wait_child "$source_pid" "the publisher"
	expect_equal "exit status of the publisher" "$status" 0
	wait_child "$blocked_pid" "the blocked subscriber"
	cmp "$dir/blocked.out" "$dir/lines" >&2 || fail "blocked over UDP: lost or out of order"
	kill -TERM "$dropping_pid"
	wait_child "$dropping_pid" "the dropping subscriber"

	say "$workers workers: who publishes over UDP is held up by a local one"
	sub_start near near.subject --raw --promise at-least-once -n $lines
	near_pid=$pid
	near=$(session_of "$pid")
	kill -STOP "$near_pid"
	promise_start source near.subject "${far[@]}"
	source_pid=$pid
	wait_for "the local receiver is full" state_is "$near" full
	wait_for "its publisher is held up" state_is "$(one_session)" 'held up'
	"$millrace" sessions --slow
	kill -CONT "$near_pid"
	wait_child "$source_pid" "the publisher"
	expect_equal "exit status of the publisher" "$status" 0
	wait_child "$near_pid" "the local subscriber"
	cmp "$dir/near.out" "$dir/lines" >&2 || fail "near: lost or out of order"
	expect_equal "promised messages that were lost" "$(counter drop_held_full)" 0
	bus_stop
done
