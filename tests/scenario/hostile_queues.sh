#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# hostile_queues: misuse of queues, services and promises costs only its client and is counted exactly. It does
# not hinder others; their work goes on after each attack as before.
. "$(dirname "$0")/../support/lib.sh"
. "$(dirname "$0")/../support/hostile.sh"

bus_start --set workers.count=1 --set queues.memory_mib=16 --set queues.per_client_max=100 \
	--set queues.publishers_max=100 --set sessions.held_bytes_max=1048576 --set channels.down_ring_bytes=262144

# attack_counts "COUNTER=N ..." NAME [COUNT]: makes the attack; the counters must rise by exactly that.
attack_counts() {
	local expected=$1 each
	local -A before

	shift
	for each in $expected; do
		counter_exists "${each%=*}" || fail "there is no counter ${each%=*}"
		before[${each%=*}]=$(counter "${each%=*}")
	done
	attack "$@"
	for each in $expected; do
		expect_counted "${each%=*}" "${before[${each%=*}]}" "${each#*=}" "$1"
	done
	work_goes_on
}
# The worker's counters are final when the attack is over; those of a session's end may come later.
expect_counted() {
	wait_for "counter $1 after $4" counter_reaches "$1" $(($2 + $3))
	expect_equal "counter $1 after $4" $(($(counter "$1") - $2)) "$3"
}
counter_reaches() { [ "$(counter "$1")" -ge "$2" ]; }

work=0
work_goes_on() {
	work=$((work + 1))
	expect_status 0 "$millrace" call honest.service "ask $work"
	expect_equal "the answer" "$output" "ask $work"
	expect_status 0 "$millrace" push honest.queue "do $work"
	expect_status 0 "$millrace" pull honest.queue --raw -n 1
	expect_equal "the work" "$output" "do $work"
}
serves() { [ "$("$millrace" call mmi.service honest.service)" = 200 ]; }
resident_kib() { awk '/^VmRSS/ { print $2 }' "/proc/$(dataplane_pid)/status"; }

start serve "$millrace" serve honest.service --exec cat
serve=$pid
wait_for "the service is served" serves
work_goes_on
resident=$(resident_kib)

say "tags: used twice, and by other sessions"
attack_counts "bad_tags=10000 queue_acked=10000" double-acks
attack_counts "bad_tags=4000 queue_acked=1000" stolen-tags
attack_counts "bad_tags=1000" wrong-worker

say "invalid names and numbers"
attack_counts "refused_consumer_again=10 refused_queue_differs=0 bad_tags=0" ready-twice 10
expect_match "what the bus says" "$said" 'refused: -17 .+'
attack_counts "refused_consumer_again=0 bad_tags=0" mmi-worker 10
expect_match "what the bus says" "$said" 'refused: -13 .+'
attack_counted refused_queue_room queues-hoard
expect_match "what the bus says" "$said" 'refused: -28 .+'
expect_match "queues had" "$said" 'got 100$'

say "publishers, memory and deliveries that are shared: four fifths at most"
attack_counts "pushed=76 refused_push_full=9924" publishers-hoard
attack_counted refused_push_memory store-hoard 10000
work_goes_on
"$millrace" queue purge hostile.store
attack_counts "pushed=200000" never-acks
"$millrace" queue purge hostile.taken

say "fragments: never complete, and inconsistent"
attack_counts "drop_bad_fragment=984 pushed=0" half-fragments
attack_counts "drop_bad_message=5000 drop_bad_fragment=3985" lying-fragments

say "options out of range: refused; at their ends: taken"
attack_counts "drop_bad_message=1900 refused_push_full=0 refused_push_memory=0" bad-options
"$millrace" queue delete hostile.options
attack hostile-requests
work_goes_on
# One that had a consumer for a moment was used, and so stays until it is deleted.
queues_of_it() { "$millrace" queues --json | jq -r '.[].name | select(startswith("hostile.requests"))'; }
all_deleted() {
	local name

	for name in $(queues_of_it); do
		"$millrace" queue delete "$name" >/dev/null 2>&1
	done
	[ -z "$(queues_of_it)" ]
}
wait_for "its queues have no consumers and can be deleted" all_deleted

say "answers that nobody reads"
attack_counts "refused_push_unknown=1000000" unread-answers
[ "$(counter drop_held_full)" -gt 0 ] || fail "all answers that nobody reads are held"
attack_counted drop_held_full parts-without-credit
work_goes_on
say "answers that fill the memory of answers pause no publisher"
start answers "$hostile" answers-hoard "$run/attach.sock" 2560000
answers=$pid
wait_for "they are queued" has_line "$dir/answers.out" queued
sub_start promised 'promised.>' --raw --promise at-least-once -n 3
seq 3 | "$millrace" pub promised.subject --promise at-least-once --stdin-lines
wait_child "$pid" "the subscriber"
expect_equal "what came" "$(cat "$dir/promised.out")" $'1\n2\n3'
kill -KILL "$answers"
work_goes_on
attack requests-flood
work_goes_on

say "a receiver that blocks all subjects and does not read pauses only promising publishers, and can be kicked"
sub_start blocking '>' --raw --promise at-least-once
blocking=$pid
kill -STOP "$blocking"
session=$("$millrace" clients --json | jq -r --argjson pid "$blocking" '.[] | select(.pid == $pid) | .session')
seq -f '%.0f of a row that is long enough to fill a ring' 1 50000 >"$dir/lines"
# shellcheck disable=SC2016
start promising bash -c 'exec "$0" pub any.subject --promise at-least-once --stdin-lines <"$1"' \
	"$millrace" "$dir/lines"
promising=$pid
waits() { "$millrace" sessions --slow --json | jq -e --arg by "$session" 'any(.[]; .blocked_by == $by)'; }
wait_for "its publisher waits for it" waits
work_goes_on
sub_start free 'free.>' --raw -n 1
"$millrace" pub free.subject unpromised
wait_child "$pid" "sub free"
"$millrace" kick "$session"
wait_child "$promising" "the publisher"
expect_equal "exit status of the publisher" "$status" 0
kill -KILL "$blocking"

grown=$(($(resident_kib) - resident))
say "the data plane grew by $grown KiB"
[ "$grown" -lt 100000 ] || fail "the data plane grew by $grown KiB"
kill -TERM "$serve"
bus_stop
