#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# attempts: a message that kills its consumers becomes a dead letter, and no other does. Redelivered messages keep
# their order, and an operator's settings persist.
. "$(dirname "$0")/../support/lib.sh"

bus_start --set queues.idle_ms=1000
push() { expect_status 0 "$millrace" push "$@"; }
shown() { "$millrace" queue show "$1" --json | jq "$2"; }
dead() { "$millrace" queue dead "$1" --json | jq -c '[.[].payload]'; }
lines() { seq "$1" >"$dir/lines"; expect_status 0 sh -c "'$millrace' push $2 --stdin-lines <'$dir/lines'"; }

say "five consumers that take one prefetched delivery each"
lines 20 ahead
for _ in 1 2 3 4 5; do
	expect_status 0 "$millrace" pull ahead -n 1
done
expect_equal "dead letters" "$(dead ahead)" '[]'

say "a spared message still has all its attempts"
lines 6 spared
for _ in 1 2 3 4 5; do
	expect_status 0 "$millrace" pull spared -n 1
done
expect_status 1 "$millrace" pull spared -n 1 --prefetch 1 --exec "cat >>'$dir/tries'; false"
expect_equal "tries" "$(cat "$dir/tries")" 66666
expect_equal "dead letters" "$(dead spared)" '["6"]'

say "a message that kills its consumer"
lines 8 poison
is_dead() { [ "$(dead poison)" = '["3"]' ]; }
in_hand_or_dead() { [ -e "$dir/in-hand.$1" ] || is_dead; }
# The first time it may be behind another delivery, and then it is no attempt.
kills=0
for i in 1 2 3 4 5 6 7; do
	"$millrace" pull poison --exec "read x; [ \$x != 3 ] || touch $dir/in-hand.$i; [ \$x != 3 ] || sleep 60" \
		>>"$dir/done" 2>/dev/null &
	started+=($!)
	victim=$!
	wait_for "the third is in hand, or dead" in_hand_or_dead "$i"
	[ ! -e "$dir/in-hand.$i" ] || kills=$((kills + 1))
	kill -9 "$victim"
	wait "$victim" 2>/dev/null || true
	[ -e "$dir/in-hand.$i" ] || break
done
expect_above "consumers that it killed" "$kills" 4
expect_above "seven, less those" $((7 - kills)) 0
wait_for "it is dead" is_dead
expect_status 0 "$millrace" pull poison --idle-exit 300
expect_equal "what is left was seen by nobody, or comes in order" \
	"$(sort -n <<<"$output" | tr '\n' ' ')" "$(tr '\n' ' ' <<<"$output")"

say "a pause is kept when the queue is idle"
push idle one --limit 5 --when-full refuse
expect_status 0 "$millrace" pull idle -n 1
expect_status 0 "$millrace" queue pause idle
push other x
expect_status 0 "$millrace" pull other -n 1
removed() { ! "$millrace" queue show other >"$dir/shown" 2>&1; }
wait_for "one that was idle for as long is removed" removed
expect_equal "paused" "$(shown idle .paused)" true
push idle two
expect_status 0 "$millrace" pull idle --idle-exit 300
expect_equal "delivered" "$output" ''
