#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# hostile_memory: clients that damage the memory shared with the bus harm only themselves.
. "$(dirname "$0")/../support/lib.sh"
. "$(dirname "$0")/../support/hostile.sh"

bus_start
sessions() { "$millrace" status --json | jq .clients; }
# The bench may end at any time, so there may be fewer.
sessions_at_most() { [ "$(sessions)" -le "$1" ]; }

honest_start 12
honest_sessions=$(sessions)

attack_counted channel_corrupt garbage-records
attack_counted channel_corrupt tail-jump
attack_counted channel_corrupt tail-misaligned
attack_counted channel_corrupt tail-back
say "each gets a reason; the log may count those without a line"
grep -q 'expelled: .*wrote a message of malformed length' "$dir/attack-garbage-records.out" ||
	fail "who wrote garbage was not told so"
grep -q 'expelled: .*wrote a malformed ring position' "$dir/attack-tail-misaligned.out" ||
	fail "who wrote a bad position was not told so"
has_line "$bus_log" "session closed .*malformed" || fail "nothing of it is logged"
attack_counted sessions_expelled tail-jump 1
attack head-jump
attack_counted drop_bad_message record-changes
attack memory-shrinks
attack bells
attack die-mid-write
wait_for "every hostile and every dead session is closed" sessions_at_most "$honest_sessions"
honest_end

say "a client that stops reading"
honest_start 3
start silent "$hostile" stop-reading "$run/attach.sock"
silent_pid=$pid
wait_for "it is subscribed" has_line "$dir/silent.out" subscribed
wait_for "what it misses is counted" counter_above drop_receiver_full 0
missed() {
	[ "$("$millrace" clients --json | jq '[.[] | select(.name == "stop-reading") | .missed] | add')" -gt 0 ]
}
wait_for "what it misses is in its row" missed
kill -KILL "$silent_pid"
honest_end
wait_for "all are gone" sessions_at_most 0

bus_stop
