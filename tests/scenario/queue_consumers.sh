#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# queue_consumers: consumers with tags are listed, paused and resumed; one active consumer, whose place another takes
# when it is killed or frozen; limits by rate and by bytes; batches.
# shellcheck disable=SC2016 # variables in commands are theirs
. "$(dirname "$0")/../support/lib.sh"

show() { "$millrace" queue show "$1" --json | jq -r ".$2"; }
# consumer QUEUE TAG KEY: a field of the consumer with that tag
consumer() { "$millrace" queue consumers "$1" --json | jq -r --arg tag "$2" '.[] | select(.tag == $tag) | .'"$3"; }
is_in_state() { [ "$(consumer "$1" "$2" state)" = "$3" ]; }
# pull_start NAME QUEUE ARGUMENT...: a consumer that is in the list, as NAME
pull_start() {
	local name=$1 queue=$2

	shift 2
	start "$name" "$millrace" pull "$queue" --tag "$name" "$@"
	wait_for "$name pulls" has_line "$dir/$name.err" pulling
}
pull_end() {
	kill -TERM "$1"
	wait_child "$1" "pull"
}
# A command that prints a message behind the time, in ms.
stamp='printf "%s " "$(date +%s%3N)"; cat; echo'
now_ms() { date +%s%3N; }

bus_start

say "consumers are listed with tag, name, user and state"
pull_start left q.a --raw --prefetch 5 --rate 2.5 --prefetch-bytes 1KiB
left=$pid
pull_start right q.a --raw
right=$pid
"$millrace" queue consumers q.a --json >"$dir/list.out"
expect_json "$dir/list.out" '[.[] | .tag]' '["left","right"]'
expect_json "$dir/list.out" '.[0] | [.prefetch, .rate, .prefetch_bytes, .state]' '[5,2.5,1024,"active"]'
expect_json "$dir/list.out" '.[1] | [.prefetch, .rate, .prefetch_bytes]' '[10,null,null]'
expect_json "$dir/list.out" '.[0] | [.name, .user, .address]' "[\"millrace pull\",\"$(id -un)\",null]"
expect_match "the table" "$("$millrace" queue consumers q.a)" 'TAG +NAME.*STATE'

say "an operator pauses one; the other gets all; it is shown, and ends with resume"
expect_status 0 "$millrace" queue pause q.a --consumer right
expect_equal "says" "$output" ''
expect_equal "state" "$(consumer q.a right state)" paused
for i in 1 2; do "$millrace" push q.a "m$i"; done
wait_for "left has both" lines_at_least "$dir/left.out" 2
expect_equal "right has none" "$(wc -l <"$dir/right.out")" 0
session=$(consumer q.a right session)
expect_status 0 "$millrace" queue pause q.a --consumer "$session" --json
expect_equal "how many" "$output" '{"count":1}'
expect_status 0 "$millrace" queue pause q.a --consumer left
"$millrace" push q.a m3
expect_status 0 "$millrace" queue resume q.a --consumer right
wait_for "right has it" lines_at_least "$dir/right.out" 1
expect_status 1 "$millrace" queue pause q.a --consumer nobody
expect_match "what is wrong" "$errors" 'nobody: no such consumer.*queue consumers q.a'
pull_end "$left"
pull_end "$right"

say "an exclusive consumer gets all; when it is killed the next one takes over, and nothing is lost"
pull_start one q.b --exclusive --ack manual --prefetch 3
one=$pid
pull_start two q.b --exclusive --exec "$stamp"
two=$pid
pull_start three q.b --exclusive --exec "$stamp"
three=$pid
expect_equal "single_active" "$(show q.b single_active)" true
expect_equal "states" "$("$millrace" queue consumers q.b --json | jq -rc '[.[] | .tag + ":" + .state]')" \
	'["one:active","three:standby","two:standby"]'
expect_status 1 "$millrace" pull q.a --exclusive
expect_match "a queue without" "$errors" 'other options'
for i in 1 2 3 4 5; do "$millrace" push q.b "m$i"; done
wait_for "one has what it may have" lines_at_least "$dir/one.out" 3
expect_equal "the others have none" "$(cat "$dir/two.out" "$dir/three.out" | wc -l)" 0
killed_ms=$(now_ms)
kill -KILL "$one"
wait_child "$one" "one"
wait_for "two has all" lines_at_least "$dir/two.out" 5
took_ms=$(($(head -n 1 "$dir/two.out" | cut -d' ' -f1) - killed_ms))
figures "take-over from a killed consumer: $took_ms ms, with the start of a command"
expect_equal "in order" "$(cut -d' ' -f2 "$dir/two.out" | tr '\n' ' ')" 'm1 m2 m3 m4 m5 '
expect_equal "three stands by" "$(consumer q.b three state)" standby

say "a frozen one is replaced after its time-out, and is not the active one when it thaws"
"$millrace" queue edit q.b ack_timeout=2s >/dev/null
kill -STOP "$two"
"$millrace" push q.b frozen
wait_for "three has it" has_line "$dir/three.out" frozen
kill -CONT "$two"
wait_for "two stands by" is_in_state q.b two standby
"$millrace" push q.b thawed
wait_for "three has it" has_line "$dir/three.out" thawed
expect_equal "two did not do it" "$(grep -c -e frozen -e thawed "$dir/two.out" || true)" 0

say "a paused active one hands over; edit makes all of them active"
expect_status 0 "$millrace" queue pause q.b --consumer three
"$millrace" push q.b paused
wait_for "two has it" has_line "$dir/two.out" paused
expect_status 0 "$millrace" queue edit q.b single_active=no
expect_equal "what edit says" "$output" 'single_active=no, was yes'
expect_equal "state of two" "$(consumer q.b two state)" active
expect_equal "state of three" "$(consumer q.b three state)" paused
pull_end "$two"
pull_end "$three"

say "a consumer with a rate gets so many"
for i in $(seq 60); do echo "$i"; done | "$millrace" push q.c --stdin-lines
begun_ms=$(now_ms)
expect_status 0 "$millrace" pull q.c --rate 50 --prefetch 100 -n 60 --raw
took_ms=$(($(now_ms) - begun_ms))
figures "60 messages at 50/s, 5 of them at once: $took_ms ms"
expect_above "time of 60 messages at 50/s" "$took_ms" 1000

say "a consumer with a limit of bytes gets one message at least"
head -c 3000 /dev/zero | tr '\0' x >"$dir/large"
for i in 1 2 3; do "$millrace" push q.d - <"$dir/large"; done
pull_start bytes q.d --prefetch-bytes 1KiB --ack manual
bytes=$pid
wait_for "it has one" lines_at_least "$dir/bytes.out" 1
expect_equal "state" "$(consumer q.d bytes state)" full
expect_equal "unsettled" "$(consumer q.d bytes outstanding)" 1
expect_equal "bytes" "$(consumer q.d bytes outstanding_bytes)" 3000
pull_end "$bytes"

say "batches are printed when they are full or the wait is over"
seq 7 | "$millrace" push q.e --stdin-lines
expect_status 0 "$millrace" pull q.e --batch 3 --max-wait 2s --json -n 7
expect_equal "batches" "$(jq -rc '[.[] | .payload]' <<<"$output" | tr '\n' ' ')" \
	'["1","2","3"] ["4","5","6"] ["7"] '
expect_equal "acked" "$(show q.e acked)" 7
seq 2 | "$millrace" push q.e --stdin-lines
expect_status 0 "$millrace" pull q.e --batch 5 --max-wait 100ms --raw --idle-exit 3s
expect_equal "an incomplete one" "$output" $'1\n2'
expect_status 2 "$millrace" pull q.e --batch 5 --exec true
expect_status 2 "$millrace" pull q.e --batch 5 --prefetch 2
