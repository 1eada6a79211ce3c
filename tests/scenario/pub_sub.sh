#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pub_sub: published messages reach their subscribers, complete and in order, and no other client.
. "$(dirname "$0")/../support/lib.sh"

received() { jq -r '.subject + " " + .payload' "$dir/$1.out"; }
# received_is NAME COUNT: waits for that many messages.
received_is() { wait_for "sub $1 has $2 messages" lines_at_least "$dir/$1.out" "$2"; }

bus_start

say "wildcards"
sub_start all '>' --json
all_pid=$pid
sub_start tail 'orders.>' --json
sub_start one 'orders.*.created' --json
sub_start exact orders.eu.created --json
"$millrace" pub orders.eu.created '{"id":1}'
"$millrace" pub orders.us.created 2
"$millrace" pub orders.eu.north.created 3
"$millrace" pub orders 4
"$millrace" pub other.eu.created 5
received_is all 5
received all >"$dir/all.text"
expect_lines "$dir/all.text" 'orders.eu.created {"id":1}
orders.us.created 2
orders.eu.north.created 3
orders 4
other.eu.created 5'
received_is tail 3
received_is one 2
received_is exact 1
received tail >"$dir/tail.text"
expect_lines "$dir/tail.text" 'orders.eu.created {"id":1}
orders.us.created 2
orders.eu.north.created 3'
received one >"$dir/one.text"
expect_lines "$dir/one.text" 'orders.eu.created {"id":1}
orders.us.created 2'
received exact >"$dir/exact.text"
expect_lines "$dir/exact.text" 'orders.eu.created {"id":1}'

say "byte prefix"
sub_start prefix orders.e --prefix --json
"$millrace" pub orders.eu.created 6
"$millrace" pub orders.us.created 7
"$millrace" pub orders.e 8
received_is prefix 2
received prefix >"$dir/prefix.text"
expect_lines "$dir/prefix.text" 'orders.eu.created 6
orders.e 8'

say "headers"
sub_start headers headers.test --json
"$millrace" pub headers.test body -H trace:abc -H 'Two-Words: a b'
received_is headers 1
expect_json "$dir/headers.out" .headers '{"trace":"abc","Two-Words":"a b"}'
received headers >"$dir/headers.text"
expect_lines "$dir/headers.text" 'headers.test body'
sub_start plain headers.plain
"$millrace" pub headers.plain 'for people' -H trace:abc
wait_for "the plain form shows the payload" has_line "$dir/plain.out" 'for people'
expect_match "plain form" "$(cat "$dir/plain.out")" 'headers\.plain'
expect_match "plain form" "$(cat "$dir/plain.out")" 'trace: ?abc'

say "bytes come as they went"
head -c 50000 /dev/urandom >"$dir/blob"
sub_start raw raw.test --raw -n 1
raw_pid=$pid
"$millrace" pub raw.test - <"$dir/blob"
wait_child "$raw_pid" "sub raw"
head -c 50000 "$dir/raw.out" | cmp - "$dir/blob" >&2 || fail "the payload was changed"

say "queue group: one member gets each"
for member in 1 2 3; do
	sub_start "group$member" 'jobs.*' --group workers --json
done
sub_start watcher 'jobs.*' --json
"$millrace" pub jobs.a 'job' -n 300
group_total() { cat "$dir"/group?.out | wc -l; }
group_has_all() { [ "$(group_total)" -ge 300 ]; }
wait_for "the group has all" group_has_all
received_is watcher 300
expect_equal "messages in the group" "$(group_total)" 300
for member in 1 2 3; do
	expect_above "messages of member $member" "$(wc -l <"$dir/group$member.out")" 0
done

say "many, in order"
sub_start ordered seq --json -n 20000
ordered_pid=$pid
seq 1 20000 >"$dir/lines"
"$millrace" pub seq --stdin-lines <"$dir/lines"
wait_child "$ordered_pid" "sub ordered"
jq -r .payload "$dir/ordered.out" | cmp - "$dir/lines" >&2 || fail "lost or out of order"

say "publishes without a subscriber are counted"
kill -TERM "$all_pid"
wait_child "$all_pid" "sub all"
# The bus notices its end a little later.
unrouted() { "$millrace" pub nobody.listens.here x && counter_above drop_unrouted 0; }
wait_for "drop_unrouted rises" unrouted

say "bad subjects and patterns are refused with a reason"
for subject in '' a..b .a a. 'a b' 'a.*' 'a.>' "$(printf 'x%.0s' {1..300})"; do
	expect_status 2 "$millrace" pub "$subject" x
	expect_match "refusal of '$subject'" "$errors" 'millrace pub: .'
done
for pattern in '' a..b 'a.>.b' '.a' 'a b'; do
	expect_status 2 "$millrace" sub "$pattern" --timeout 1000
	expect_match "refusal of '$pattern'" "$errors" 'millrace sub: .'
done

bus_stop INT
