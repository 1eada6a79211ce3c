#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# queue_retry: failed attempts come back later each time; the last error stays with the message and tells in its dead
# letter why it died.
. "$(dirname "$0")/../support/lib.sh"

show() { "$millrace" queue show "$1" --json | jq -r ".$2"; }
is_dead() { [ "$(show "$1" dead_ready)" -eq "$2" ]; }
letter() { "$millrace" queue dead "$1" --json | jq -r ".[0].$2"; }

bus_start

say "a failed command is repeated after a time that grows, and the dead letter has its last error"
"$millrace" push t.a order --max-deliver 3 --retry-min 100ms --retry-factor 3
expect_equal "the queue's back-off" "$("$millrace" queue show t.a --json |
	jq -c '[.retry_min_ms, .retry_max_ms, .retry_factor, .retry_jitter]')" '[100,3600000,3,0]'
# shellcheck disable=SC2016
expect_status 1 "$millrace" pull t.a -n 1 --exec 'date +%s%3N >>'"$dir/times"'; echo "no such host $MILLRACE_REDELIVERED" >&2; exit 7'
expect_match "errors are shown" "$errors" "no such host 2"
mapfile -t times <"$dir/times"
expect_equal "attempts" "${#times[@]}" 3
[ $((times[1] - times[0])) -ge 100 ] || fail "the second attempt after $((times[1] - times[0])) ms"
[ $((times[2] - times[1])) -ge 300 ] || fail "the third attempt after $((times[2] - times[1])) ms"
wait_for "it is dead" is_dead t.a 1
expect_equal "reason" "$(letter t.a reason)" max-deliver
expect_equal "attempts" "$(letter t.a deliveries)" 3
expect_equal "error" "$(letter t.a error)" 'exit status 7: no such host 2'
age=$(($(date +%s) - $(date -d "$(letter t.a time)" +%s)))
if [ "$age" -lt 0 ] || [ "$age" -gt 60 ]; then fail "the time of death is $(letter t.a time)"; fi
expect_match "for people" "$("$millrace" queue dead t.a)" 'exit status 7'
expect_equal "header" "$("$millrace" pull t.a.dead -n 1 --json | jq -r '.headers."Millrace-Error"')" \
	'exit status 7: no such host 2'

say "the next attempt sees the error of the one before; a producer cannot forge one"
"$millrace" push t.b x -H 'Millrace-Error:forged' -H 'Millrace-Dead-Queue:other' --max-deliver 2
mkfifo "$dir/settle"
start consumer bash -c "exec '$millrace' pull t.b --ack manual --json <'$dir/settle' >'$dir/b.out' 2>'$dir/b.err'"
exec 5>"$dir/settle"
wait_for "it is delivered" grep -q forged "$dir/b.out"
echo "nack $(jq -r .tag <"$dir/b.out") 1ms disk  full" >&5
wait_for "it comes again" grep -q 'disk  full' "$dir/b.out"
expect_equal "its error" "$(sed 1d "$dir/b.out" | jq -r '.headers."Millrace-Error"')" 'disk  full'
echo "reject $(sed 1d "$dir/b.out" | jq -r .tag) still full" >&5
wait_for "it is dead" is_dead t.b 1
exec 5>&-
expect_equal "error" "$(letter t.b error)" 'still full'
expect_equal "queue" "$(letter t.b queue)" t.b

say "a back-off set by edit holds for running consumers; --delay overrides it"
"$millrace" push t.c y --max-deliver 2
expect_status 0 "$millrace" queue edit t.c retry_min=1h retry_max=2h retry_factor=1.5 retry_jitter=20%
expect_equal "what edit says" "$output" \
	$'retry_min=3600000ms, was none\nretry_max=7200000ms, was 3600000ms\nretry_factor=1.5, was 2\nretry_jitter=20%, was 0%'
expect_status 1 timeout $patience_s "$millrace" pull t.c -n 1 --delay 1ms --exec 'exit 1'
expect_equal "dead at once" "$(show t.c dead_ready)" 1

say "dead letters of two queues go to one with limits of its own, and back to where each came from"
for queue in t.d t.e; do
	"$millrace" push "$queue" "of $queue" --max-deliver 1
	expect_status 0 "$millrace" queue edit "$queue" dead_letter=t.errors
	expect_status 1 "$millrace" pull "$queue" -n 1 --exec 'echo broken >&2; exit 1'
done
both_are_there() { [ "$(show t.errors ready)" -eq 2 ]; }
wait_for "both are there" both_are_there
expect_equal "shown" "$(show t.d dead_letter)" t.errors
expect_equal "where they died" "$("$millrace" queue peek t.errors --json |
	jq -r '.[].headers."Millrace-Dead-Queue"' | sort | xargs)" 't.d t.e'
"$millrace" push t.errors other
expect_equal "of one queue" "$("$millrace" queue dead t.d --json | jq -c 'map([.queue, .payload])')" '[["t.d","of t.d"]]'
expect_match "for people" "$("$millrace" queue dead t.e)" 'of t.e'
expect_no_match "not others" "$("$millrace" queue dead t.e)" 'of t.d|other'
expect_equal "counted" "$(show t.d dead_ready)" 3
expect_status 1 "$millrace" queue edit t.errors dead_letter=t.d
expect_match "a circle" "$errors" 'come back to this queue'
expect_status 1 "$millrace" queue delete t.errors --force
expect_match "it is in use" "$errors" 'dead letters of other queues'
expect_equal "redriven" "$("$millrace" queue redrive t.errors)" '3 messages pushed back'
expect_equal "back" "$("$millrace" pull t.e -n 1 --raw)" 'of t.e'
expect_status 0 "$millrace" queue edit t.d dead_letter=none
expect_equal "what edit says" "$output" 'dead_letter=none, was t.errors'
expect_status 0 "$millrace" queue dead t.d
expect_match "where they are" "$errors" 'dead letters are discarded'
expect_status 1 "$millrace" pull t.d -n 1 --exec 'exit 1'
is_discarded() { [ "$(counter drop_dead)" -eq 1 ]; }
wait_for "discarded" is_discarded

say "what is wrong is said"
expect_status 2 "$millrace" queue edit t.c retry_factor=0
expect_match "the range" "$errors" '1 to 100'
expect_status 2 "$millrace" push t.c x --retry-factor 0.5
expect_status 2 "$millrace" service edit t.s retry_min=1s
expect_match "of queues only" "$errors" 'only queues'
