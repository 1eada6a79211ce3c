#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# push_pull: the verbs push and pull: acceptance, output, manual acks, refusals, numbers, large messages.
. "$(dirname "$0")/../support/lib.sh"

bus_start
push() { expect_status 0 "$millrace" push "$@"; }
pull() { expect_status 0 "$millrace" pull "$@"; }
ready() { "$millrace" queue show "$1" --json | jq "$2"; }

say "order, priorities, headers"
push work low --priority low
push work normal -H trace:7
push work high --priority high
pull work -n 3
expect_equal "what came" "$output" $'high\n[trace: 7] normal\nlow'
expect_equal "left" "$(ready work .ready)" 0

say "JSON, lines, and nothing for so long"
printf 'a\nb\n' >"$dir/lines"
expect_status 0 sh -c "'$millrace' push work --stdin-lines <'$dir/lines'"
pull work --json --idle-exit 3000
expect_json <(head -1 <<<"$output") '[.payload, .redelivered, .priority]' '["a",0,"normal"]'
expect_equal "lines" "$(wc -l <<<"$output")" 2

say "acks by hand"
push work first
push work second
mkfifo "$dir/acks"
"$millrace" pull work --ack manual --json -n 2 <"$dir/acks" >"$dir/manual.out" 2>"$dir/manual.err" &
started+=($!)
manual=$!
exec 9>"$dir/acks"
wait_for "both are there" lines_at_least "$dir/manual.out" 2
expect_equal "outstanding" "$(ready work .outstanding)" 2
echo "what?" >&9
jq -r 'select(.payload == "first") | "ack " + .tag' "$dir/manual.out" >&9
jq -r 'select(.payload == "second") | "reject " + .tag' "$dir/manual.out" >&9
wait_child "$manual" "who acks by hand"
exec 9>&-
expect_equal "exit status" "$status" 0
expect_match "what it said" "$(cat "$dir/manual.err")" 'expected: ack TAG'
expect_json <("$millrace" queue dead work --json) length 1

say "a queue that refuses, and one that makes pushes wait"
push small x --limit 2 --when-full refuse
push small x
expect_status 1 "$millrace" push small x
expect_match "why" "$errors" 'full'
expect_status 1 "$millrace" push small x --limit 3
start waiting "$millrace" push narrow x -n 1000 --limit 10
waiting=$pid
narrow_is_full() { [ "$(ready narrow .ready)" -ge 10 ]; }
wait_for "it is full" narrow_is_full
alive "$waiting" || fail "who pushes into a full queue did not wait"
start taker "$millrace" pull narrow -n 1000
wait_child "$waiting" "who waited"
expect_equal "exit status of who waited" "$status" 0
wait_child "$pid" "the taker"
expect_equal "messages" "$(wc -l <"$dir/taker.out")" 1000

say "exactly once over runs"
for _ in 1 2 3; do
	push once same --publisher shop --first-id 17
done
push once other --publisher shop --first-id 18
pull once -n 2
expect_equal "what came" "$output" $'same\nother'
expect_equal "left" "$(ready once .ready)" 0

say "large"
head -c 700000 /dev/urandom >"$dir/large"
expect_status 0 sh -c "'$millrace' push large - <'$dir/large'"
pull large -n 1 --exec 'sha256sum'
expect_equal "content" "$output" "$(sha256sum <"$dir/large")"
head -c 2000000 /dev/zero >"$dir/larger"
expect_status 1 sh -c "'$millrace' push large - <'$dir/larger'"
expect_match "why" "$errors" '1048576 bytes'

say "malformed arguments"
expect_status 2 "$millrace" pull work --to other
expect_status 2 "$millrace" pull work --exec cat --ack manual
expect_status 2 "$millrace" push work x --publisher me --promise at-least-once
expect_status 2 "$millrace" push 'work.*' x
bus_stop
