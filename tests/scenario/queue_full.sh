#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# queue_full: a full queue makes room by its oldest messages, exactly to its limit; a lowered limit is reached while
# others are served.
. "$(dirname "$0")/../support/lib.sh"

show() { "$millrace" queue show "$1" --json | jq -c ".$2"; }
payloads() { "$millrace" queue peek "$1" --json | jq -r '.[].payload' | tr '\n' ' '; }

bus_start

say "drop-oldest: all are accepted, the newest stay"
expect_equal "outcomes" "$(seq 1000 | "$millrace" push t.a --stdin-lines --limit 5 --when-full drop-oldest --json)" \
	'{"pushed":1000,"accepted":1000,"refused":0,"unanswered":0}'
expect_equal "left" "$(payloads t.a)" "996 997 998 999 1000 "
expect_equal "dropped" "$(show t.a dropped)" 995
expect_equal "counted" "$(counter drop_queue_full)" 995
expect_equal "shown" "$(show t.a when_full)" '"drop-oldest"'

say "a low one leaves before an urgent one, also when it is new"
"$millrace" push t.a urgent --priority 9
"$millrace" push t.a low --priority 0
expect_equal "left" "$(payloads t.a)" "urgent 997 998 999 1000 "

say "dead-letter: the oldest become dead letters, and go back when there is room"
seq 4 | "$millrace" push t.b --stdin-lines --limit 2 --when-full dead-letter
expect_equal "left" "$(payloads t.b)" "3 4 "
expect_equal "dead letters" "$("$millrace" queue dead t.b --json | jq -c '[.[] | [.payload, .reason]]')" \
	'[["1","full"],["2","full"]]'
"$millrace" queue edit t.b messages_max=none
"$millrace" queue redrive t.b
dead_are() { [ "$(show t.b dead_ready)" -eq "$1" ]; }
wait_for "they are back" dead_are 0
expect_equal "all are there" "$(show t.b ready)" 4

say "a bound queue keeps to its limit, and its publisher does not wait"
"$millrace" queue bind t.c 'orders.*'
"$millrace" queue edit t.c messages_max=3 when_full=drop-oldest
seq 500 | "$millrace" pub orders.eu --stdin-lines --promise at-least-once
came() { [ "$(show t.c pushed)" -eq 500 ]; }
wait_for "all came" came
expect_equal "left" "$(payloads t.c)" "498 499 500 "

say "a lowered limit of a large queue is reached, and others are served meanwhile"
"$millrace" push t.d x -n 200000
"$millrace" queue edit t.d when_full=drop-oldest messages_max=10
"$millrace" push t.e ping
expect_equal "another queue" "$("$millrace" pull t.e -n 1 --raw)" ping
at_limit() { [ "$(show t.d ready)" -eq 10 ]; }
wait_for "it is reached" at_limit
expect_equal "dropped" "$(show t.d dropped)" 199990

say "what is wrong is said"
expect_status 2 "$millrace" queue edit t.a when_full=drop
expect_match "the choices" "$errors" 'drop-oldest'
start server "$millrace" serve s.echo --echo
wait_for "it serves" grep -q serving "$dir/server.err"
expect_status 1 "$millrace" service edit s.echo when_full=drop-oldest
expect_match "the reason" "$errors" 'a service waits or refuses'
