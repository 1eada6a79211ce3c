#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# cli_traffic: pub at a pace and from templates, what sub prints in place of messages, and the examples of cheat.
. "$(dirname "$0")/../support/lib.sh"

ms() { echo $(($(date +%s%N) / 1000000)); }

say "mistakes are found before anything is sent"
expect_status 2 "$millrace" pub a '{{nothing}}' --template
expect_match "placeholder" "$errors" '\{\{nothing\}\}: no such placeholder; expected \{\{count\}\}'
expect_status 2 "$millrace" pub a b --rate 1 --sleep 1s
expect_match "both" "$errors" 'both are given; leave one of them out'
expect_status 2 "$millrace" sub a --rate --report
expect_match "two reports" "$errors" 'more than one is given'
expect_status 2 "$millrace" sub a --interval 1s
expect_match "no report" "$errors" 'add --rate or --report'

bus_start

say "templates"
sub_start one 'a.>' --raw -n 4
"$millrace" pub a.b 'n={{count}} {{random 5}}' --template -n 2
printf '%s\n' '{{count}}' x | "$millrace" pub a.c --template --stdin-lines
wait_child "$pid" sub
sed -i 's/ [a-z0-9]\{5\}$/ RRRRR/' "$dir/one.out"
expect_lines "$dir/one.out" 'n=1 RRRRR
n=2 RRRRR
1
x'
sub_start plain 'a.>' --raw -n 1
"$millrace" pub a.b '{{count}}'
wait_child "$pid" sub
expect_lines "$dir/plain.out" '{{count}}'

say "a pace"
sub_start paced 'p' --count-only -n 11 --json
before=$(ms)
"$millrace" pub p x -n 6 --rate 20
took=$(($(ms) - before))
[ "$took" -ge 245 ] || fail "6 messages at 20 a second took $took ms"
before=$(ms)
"$millrace" pub p xy -n 5 --sleep 50ms --promise at-least-once
took=$(($(ms) - before))
[ "$took" -ge 200 ] || fail "4 pauses of 50 ms took $took ms"
wait_child "$pid" sub
expect_lines "$dir/paced.out" '{"messages":11,"bytes":16}'

say "counts by subject, the most first"
sub_start report 'r.>' --report --json -n 6
reporting=$pid
sub_start table 'r.>' --report -n 6
"$millrace" pub r.a x -n 2
"$millrace" pub r.b xyz -n 4
wait_child "$reporting" sub
wait_child "$pid" sub
expect_lines "$dir/report.out" '{"messages":6,"bytes":14,"others":0,"subjects":[{"subject":"r.b","messages":4,"bytes":12},{"subject":"r.a","messages":2,"bytes":2}]}'
expect_equal "rows" "$(awk '{ print $1, $2, $3 }' "$dir/table.out" | tr '\n' ' ')" \
	'MESSAGES BYTES SUBJECT 4 12 r.b 2 2 r.a '

say "the last message of each subject, and messages without payloads"
sub_start last 'l.>' --last -n 3
lasting=$pid
sub_start bare 'l.>' --headers-only -n 3
"$millrace" pub l.a first
"$millrace" pub l.a second -H k:v
"$millrace" pub l.b third
wait_child "$lasting" sub
wait_child "$pid" sub
expect_equal "last" "$(sed 's/ *$//' "$dir/last.out" | tr '\n' '|')" 'l.a [k: v] second|l.b third|'
expect_no_match "payloads" "$(cat "$dir/bare.out")" 'first|second|third'
expect_match "headers" "$(cat "$dir/bare.out")" 'k: v'

say "the rate, at each interval"
start rate "$millrace" sub q --rate --interval 50ms --json -t 60s
rating=$pid
wait_for "sub is subscribed" has_line "$dir/rate.err" subscribed
"$millrace" pub q x -n 20 --rate 100
rate_seen() { jq -se 'map(.messages_per_s) | max > 0' "$dir/rate.out"; }
wait_for "a rate is printed" rate_seen
kill -INT "$rating"
wait_child "$rating" sub
expect_equal "exit status" "$status" 130
expect_equal "all messages" "$(tail -n 1 "$dir/rate.out" | jq .messages)" 20

say "the examples of cheat name verbs and options that exist"
expect_status 2 "$millrace" cheat queuez
expect_match "a topic near another" "$errors" 'did you mean queues\?'
"$millrace" cheat | grep -oE 'millrace .*' | sed 's/  *#.*//; s/ | jq.*//' >"$dir/cheat.txt"
expect_above "examples" "$(wc -l <"$dir/cheat.txt")" 20
while read -r _ verb words; do
	expect_status 0 "$millrace" help "$verb"
	while read -r option; do
		expect_match "option $option of $verb" "$output" "(^|[ ,])$option( |\$)"
	done < <(grep -oE -- '--[a-z-]+' <<<"$words")
done <"$dir/cheat.txt"

bus_stop
