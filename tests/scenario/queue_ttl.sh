#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# queue_ttl: a message ends when its time to live is over, behind others and in hand; the queue discards it or keeps
# it as a dead letter.
. "$(dirname "$0")/../support/lib.sh"

show() { "$millrace" queue show "$1" --json | jq -r ".$2"; }
has_expired() { [ "$(show "$1" expired)" -eq "$2" ]; }
content() { "$millrace" pull "$1" -n 1 --json | jq -c 'del(.tag, .id, .publisher)' | sha256sum; }

bus_start

say "a message behind others ends, the others stay"
"$millrace" push t.a first
"$millrace" push t.a second --ttl 100ms
"$millrace" push t.a third --ttl 1h
wait_for "it ends" has_expired t.a 1
expect_equal "left" "$(show t.a ready)" 2
expect_equal "by default" "$(show t.a when_expired)" discard
expect_equal "none is a dead letter" "$(show t.a dead)" 0
expect_equal "delivered" "$("$millrace" pull t.a -n 2 --raw)" $'first\nthird'
expect_equal "counted" "$(counter drop_expired)" 1

say "a message in fragments has one too, and headers stay"
head -c 200000 /dev/zero | tr '\0' x >"$dir/large"
"$millrace" push t.b - --ttl 1h -H kind:large <"$dir/large"
"$millrace" push t.c - -H kind:large <"$dir/large"
expect_equal "as one without" "$(content t.b)" "$(content t.c)"
"$millrace" push t.b - --ttl 50ms <"$dir/large"
wait_for "it ends" has_expired t.b 1
expect_equal "nothing is left" "$(show t.b bytes)" 0

say "a message in hand is taken back, its late ack is ignored"
mkfifo "$dir/settle"
start consumer bash -c "exec '$millrace' pull t.d --ack manual <'$dir/settle' >'$dir/hand.out'"
exec 5>"$dir/settle"
wait_for "it pulls" has_line "$dir/consumer.err" pulling
"$millrace" push t.d hand --ttl 1s
wait_for "it is delivered" grep -q hand "$dir/hand.out"
wait_for "it ends" has_expired t.d 1
expect_equal "nobody has it" "$(show t.d outstanding)" 0
exec 5>&-

say "a queue may keep such messages, from its first use or by edit"
"$millrace" push t.e kept --ttl 50ms --when-expired dead-letter
wait_for "it ends" has_expired t.e 1
expect_equal "its dead letters" "$("$millrace" queue dead t.e --json | jq -r '.. | .reason? // empty' | head -1)" expired
expect_status 0 "$millrace" queue edit t.a when_expired=dead-letter
expect_equal "what edit says" "$output" 'when_expired=dead-letter, was discard'
"$millrace" push t.a kept --ttl 50ms
wait_for "it ends" has_expired t.a 2
expect_equal "dead letters" "$(show t.a dead_ready)" 1
expect_equal "not counted as discarded" "$(counter drop_expired)" 3

say "what is wrong is said"
expect_status 2 "$millrace" queue edit t.a when_expired=never
expect_match "the choices" "$errors" 'discard'
expect_status 2 "$millrace" push t.a x --ttl 0
