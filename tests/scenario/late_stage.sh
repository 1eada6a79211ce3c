#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# late_stage: a stage of an exactly-once pipeline is stopped with messages that it took. They arrive when their
# publisher is far ahead; the next queue neither refuses them as too old nor takes them twice. One stopped stage
# goes on; the other one is killed, and another stage does its work.
. "$(dirname "$0")/../support/lib.sh"
export LC_ALL=C
patience_s=120 # under sanitizers

load=$build/tests/support/load
ahead=200000 # messages; a publisher's window has a bit for each of 65,536

bus_start --workers 2 --set queues.ack_timeout_ms=600000 --set queues.messages_max=2000
add() { # NAME ARGUMENTS...
	start "$1" "$load" "${@:2}"
	eval "$1=$pid"
}
add drain consume cooked - "$dir/cooked"
add through stage raw cooked
add resumed stage raw cooked
add killed stage raw cooked
add made produce raw alpha "$dir/accepted"
lines() { wc -l <"$1"; }
wait_for "messages pass" test -s "$dir/cooked"
# One that is stopped before it consumes never has messages in hand.
all_consume() { "$millrace" queues --json | jq -e '.[] | select(.name == "raw") | .consumers == 3'; }
wait_for "all stages consume" all_consume

# shellcheck disable=SC2154 # add sets them
kill -STOP "$resumed" "$killed"
outstanding() { "$millrace" queues --json | jq '.[] | select(.name == "raw") | .outstanding'; }
hold_all_they_may() { [ "$(outstanding)" -ge 128 ]; }
wait_for "the stopped ones have 64 messages each in hand" hold_all_they_may
passed=$(lines "$dir/cooked")
far_ahead() { [ "$(lines "$dir/cooked")" -ge $((passed + ahead)) ]; }
wait_for "$ahead younger messages pass" far_ahead
hold_all_they_may || fail "the stopped stages have nothing in hand any more"
say "$ahead messages later one goes on, and one is killed"
kill -CONT "$resumed"
kill -KILL "$killed"
wait "$killed" 2>/dev/null || true

# shellcheck disable=SC2154
kill -TERM "$made"
wait_child "$made" made
expect_equal "exit status of the producer" "$status" 0
nothing_is_left() {
	"$millrace" queues --json | jq -e 'map(.ready + .delayed + .outstanding) | add == 0'
}
wait_for "queues are empty" nothing_is_left
# shellcheck disable=SC2154
for one in "$drain" "$through" "$resumed"; do
	kill -TERM "$one"
	wait_child "$one" "a stage or the last consumer"
	expect_equal "exit status" "$status" 0
done
sort "$dir/accepted" >"$dir/accepted.sorted"
sort "$dir/cooked" >"$dir/cooked.sorted"
missing=$(comm -23 "$dir/accepted.sorted" "$dir/cooked.sorted" | wc -l)
doubled=$(uniq -d "$dir/cooked.sorted" | wc -l)
figures "accepted $(lines "$dir/accepted"), processed $(lines "$dir/cooked"), missing $missing, doubled $doubled"
expect_equal "accepted and not processed" "$missing" 0
expect_equal "processed twice" "$doubled" 0
expect_equal "dead letters" "$(counter queue_dead)" 0
expect_equal "too old" "$(counter refused_push_old)" 0
bus_stop
