#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# transfer: queue move, copy, export and import carry every message that is wanted, also if the command is killed.
. "$(dirname "$0")/../support/lib.sh"

ready() { "$millrace" queue show "$1" --json | jq .ready; }
# has_at_least QUEUE N: pushes that wait for room count too.
has_at_least() { [ "$(ready "$1" 2>/dev/null || echo 0)" -ge "$2" ]; }
has_ready() { [ "$(ready "$1")" -eq "$2" ]; }
has_taken() { [ "$("$millrace" queue show "$1" --json | jq .outstanding)" -gt 0 ]; }
payloads() { jq -r .payload "$1" | sort -n; }

bus_start

say "move keeps payloads, headers, priorities and order"
printf 'one\ntwo\n' | "$millrace" push t.a --stdin-lines -H kind:test
printf 'a\xff\x00b' | "$millrace" push t.a - --priority high
expect_status 0 "$millrace" queue move t.a t.b
expect_equal "what move says" "$output" '3 messages moved'
expect_equal "messages left" "$(ready t.a)" 0
"$millrace" queue export t.b >"$dir/export.out" 2>"$dir/export.err"
expect_equal "what export says" "$(cat "$dir/export.err")" '3 messages exported'
expect_equal "lines" "$(jq -c '[.priority, .payload // .payload_base64, (.headers // "" | contains("kind:"))]' "$dir/export.out" | tr '\n' ' ')" \
	'["high","Yf8AYg==",false] ["normal","one",true] ["normal","two",true] '
expect_equal "messages left" "$(ready t.b)" 0

say "import is the inverse of export"
expect_status 0 sh -c "'$millrace' queue import t.c <'$dir/export.out'"
expect_equal "what import says" "$output" '3 messages imported'
"$millrace" queue export t.c >"$dir/again.out" 2>/dev/null
cmp "$dir/export.out" "$dir/again.out" || fail "export after import differs"

say "what a message is goes with it"
has_waiting() { [ "$("$millrace" queue show "$1" --json | jq -c '[.ready, .delayed]')" = "[$2,$3]" ]; }
"$millrace" push u.a ttl --ttl 1h --priority 9 --key k
"$millrace" push u.a later --delay 2h --ticket 77 >"$dir/ticket.out"
"$millrace" push u.a dated --at 2096-01-01T00:00:00Z --ticket 78 >"$dir/ticket.out"
expect_status 0 "$millrace" queue copy u.a u.b
expect_equal "what copy says" "$output" '3 messages copied'
wait_for "what is not due waits again" has_waiting u.a 1 2
wait_for "what is not due waits there, too" has_waiting u.b 1 2
expect_status 0 "$millrace" queue move u.b u.c
wait_for "nothing is left" has_waiting u.b 0 0
"$millrace" queue export u.c >"$dir/u.jsonl" 2>"$dir/export.err"
numbers() { jq -c '[.payload, .priority, .ttl_ms > 3500000, .delay_ms > 7100000, .at_ms, .ticket]' "$1" | tr '\n' ' '; }
expect_equal "lines" "$(numbers "$dir/u.jsonl")" \
	'["ttl","9",true,false,null,null] ["later","normal",false,true,null,77] ["dated","normal",false,false,3976214400000,78] '
expect_match "its key is a header" "$(jq -r .headers "$dir/u.jsonl")" 'Millrace-Key: k'
expect_status 0 sh -c "'$millrace' queue import u.d <'$dir/u.jsonl'"
wait_for "what was not due waits" has_waiting u.d 1 2
expect_status 0 "$millrace" queue cancel u.d 77
expect_status 0 "$millrace" queue cancel u.a 78
"$millrace" queue export u.d >"$dir/v.jsonl" 2>"$dir/export.err"
expect_equal "lines" "$(numbers "$dir/v.jsonl")" '["ttl","9",true,false,null,null] ["dated","normal",false,false,3976214400000,78] '

say "failed attempts go with it, and a dead letter keeps its lines and begins anew"
echo '{"version":2,"payload":"tried","attempts":2}' | "$millrace" queue import u.e >"$dir/import.out"
expect_status 0 "$millrace" queue move u.e u.f
"$millrace" queue edit u.f max_deliver=3 >"$dir/edit.out"
"$millrace" pull u.f --exec 'echo no host >&2; exit 1' --idle-exit 200ms >"$dir/pull.out" 2>&1 || true
expect_equal "its third attempt was the last" "$("$millrace" queue dead u.f --json | jq -c '.[] | [.reason, .deliveries]')" '["max-deliver",3]'
"$millrace" queue export u.f.dead >"$dir/w.jsonl" 2>"$dir/export.err"
expect_equal "attempts of a dead letter" "$(jq -c .attempts "$dir/w.jsonl")" null
for line in 'Dead-Reason: max-deliver' 'Dead-Time: 20' 'Error: exit status 1: no host'; do
	expect_match "its lines" "$(jq -r .headers "$dir/w.jsonl")" "^Millrace-$line"
done
expect_status 0 sh -c "'$millrace' queue import u.g <'$dir/w.jsonl'"
"$millrace" queue export u.g >"$dir/x.jsonl" 2>"$dir/export.err"
cmp "$dir/w.jsonl" "$dir/x.jsonl" || fail "a dead letter changes on its way"

say "old lines are imported"
echo '{"priority":"high","payload":"old"}' | "$millrace" queue import u.h >"$dir/import.out"
expect_equal "what import says" "$(cat "$dir/import.out")" '1 message imported'

say "limits and errors"
"$millrace" queue import t.d --json <"$dir/export.out" >"$dir/import.out"
expect_json "$dir/import.out" .count 3
expect_status 0 "$millrace" queue move t.d t.e -n 2 --json
expect_equal "move -n 2" "$output" '{"count":2}'
expect_equal "messages left" "$(ready t.d)" 1
expect_status 1 "$millrace" queue move nothing.here t.e
expect_match "a queue that does not exist" "$errors" 'no such'
expect_status 2 "$millrace" queue move t.d
expect_status 2 "$millrace" queue move t.d t.d
expect_status 2 "$millrace" queue purge t.d t.e
for line in nonsense '[]' '{}' '{"payload":1}' '{"payload_base64":"x"}' '{"payload":"a","priority":"urgent"}'; do
	expect_status 1 sh -c "printf '%s\n' '$line' | '$millrace' queue import t.f"
	expect_match "import of $line" "$errors" '^millrace queue: line 1: .*queue export'
done
"$millrace" queue pause t.d
expect_status 1 "$millrace" queue move t.d t.e
expect_match "a paused queue" "$errors" 'paused.*resume'
expect_status 1 sh -c "'$millrace' queue resume t.d && '$millrace' queue export t.d >/dev/full"
expect_match "what it says" "$errors" 'standard output: No space left on device; messages that were not written stay'
wait_for "what was not written is there" has_ready t.d 1

say "copy leaves the messages where they are, and says so if it cannot"
seq 10 | "$millrace" push t.k --stdin-lines
expect_status 0 "$millrace" queue copy t.k t.l
expect_equal "what copy says" "$output" '10 messages copied'
expect_equal "messages here and there" "$(ready t.k) $(ready t.l)" '10 10'
expect_status 0 "$millrace" queue copy t.k t.l -n 3 --json
expect_equal "copy -n 3" "$output" '{"count":3}'
expect_status 2 "$millrace" queue copy t.k t.k
"$millrace" queue export t.k >"$dir/k.out" 2>/dev/null
expect_equal "the originals, in order" "$(jq -r .payload "$dir/k.out" | tr '\n' ' ')" '1 2 3 4 5 6 7 8 9 10 '
seq 3 | "$millrace" push t.short --stdin-lines
"$millrace" queue edit t.short ack_timeout=10ms >"$dir/edit.out"
seq 20000 | "$millrace" push t.short --stdin-lines
expect_status 1 "$millrace" queue copy t.short t.l
expect_match "what it says" "$errors" 't.short: stopped after [0-9]+ messages that stay in the queue: no more can be held'

say "filters choose by header, priority, payload and place"
printf 'red apple\nred pear\ngreen apple\n' | "$millrace" push t.m --stdin-lines -H kind:fruit
"$millrace" push t.m 'red cabbage' -H kind:other --priority 9
for how in '-H kind:fruit 3' '-H kind:fruit,--grep,apple 2' '--grep red 3' '--priority 9 1' '--first 2 2' '--last 1 1' \
	'-H kind:none 0' '-H kind:fruit,--last,1 1' '--grep red,-n,1 1'; do
	read -r name value count <<<"$how"
	# shellcheck disable=SC2046 # options are words
	expect_status 0 "$millrace" queue copy t.m t.n "$name" $(tr , ' ' <<<"$value") --json
	expect_equal "copy $name $value" "$output" "{\"count\":$count}"
done
expect_equal "messages left" "$(ready t.m)" 4
peeked() { "$millrace" queue peek t.m --json "$@" | jq -r '.[].payload' | tr '\n' ' '; }
expect_equal "peek at all" "$(peeked)" 'red cabbage red apple red pear green apple '
expect_equal "peek at some" "$(peeked -H kind:fruit --grep red) $(peeked --priority 9) $(peeked --first 2 --grep apple)" \
	'red apple red pear  red cabbage  red apple '
expect_equal "peek at old ones" "$(peeked --older 1h)" ''
expect_equal "peek at those of 1 ms" "$(peeked --older 1ms --grep green)" 'green apple '
expect_status 2 "$millrace" queue peek t.m --last 1
expect_status 0 "$millrace" queue move t.m t.n --older 1h
expect_equal "young messages stay" "$(ready t.m)" 4
seq 1500 | "$millrace" push t.q --stdin-lines
expect_status 0 "$millrace" queue peek t.q --grep 1500
expect_match "how far peek looked" "$errors" '^looked at the first 1024 of 1500 messages$'
expect_status 0 "$millrace" queue move t.m t.o --grep apple
expect_equal "what move says" "$output" '2 messages moved'
"$millrace" queue export t.o >"$dir/o.out" 2>/dev/null
expect_equal "moved" "$(jq -r .payload "$dir/o.out" | tr '\n' ' ')" 'red apple green apple '
"$millrace" queue export t.m --grep pear >"$dir/m.out" 2>/dev/null
expect_equal "exported" "$(jq -r .payload "$dir/m.out")" 'red pear'
expect_equal "what is left" "$(ready t.m)" 1
cat "$dir/o.out" "$dir/m.out" >"$dir/fruit.out"
expect_status 0 sh -c "'$millrace' queue import t.p --grep apple --first 2 <'$dir/fruit.out'"
expect_equal "what import says" "$output" '2 messages imported'
expect_status 2 "$millrace" queue move t.m t.o -H nonsense
expect_status 2 "$millrace" queue move t.m t.o --first 1 --last 1
expect_status 2 sh -c "'$millrace' queue import t.p --last 1 <'$dir/fruit.out'"

say "a killed move loses nothing"
seq 2 5000 | "$millrace" push t.g --stdin-lines
# It has room for 1000: the move stands still with messages on their way.
"$millrace" push t.h 1 --limit 1000
start move "$millrace" queue move t.g t.h
wait_for "it has filled the other queue" has_at_least t.h 1000
kill -KILL "$pid"
wait_child "$pid" "queue move"
wait_for "what was on its way is back" has_at_least t.g 3000

say "an interrupted move says how far it came"
# Background programs of a script ignore SIGINT unless told otherwise.
start move env --default-signal=INT "$millrace" queue move t.g t.h
wait_for "it has taken some" has_taken t.g
kill -INT "$pid"
wait_child "$pid" "queue move"
expect_equal "exit status" "$status" 130
expect_match "what it says" "$(cat "$dir/move.out")" '^[0-9]+ messages? moved'
expect_equal "errors" "$(cat "$dir/move.err")" ''

say "a killed export loses nothing"
start export "$millrace" queue export t.h
wait_for "it has exported some" lines_at_least "$dir/export.out" 1
kill -KILL "$pid"
wait_child "$pid" "queue export"
# The kill may have cut the last line; its message is in the queue still.
[ -z "$(tail -c 1 "$dir/export.out")" ] || sed -i '$d' "$dir/export.out"
cp "$dir/export.out" "$dir/all.out"
"$millrace" queue export t.h >>"$dir/all.out" 2>/dev/null
"$millrace" queue export t.g >>"$dir/all.out" 2>/dev/null
expect_equal "payloads that are there" "$(payloads "$dir/all.out" | uniq | wc -l)" 5000
expect_equal "first and last" "$(payloads "$dir/all.out" | sed -n '1p;$p' | tr '\n' ' ')" '1 5000 '
bus_stop
