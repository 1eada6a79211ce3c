#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# stamps: subscribers that ask are told when the bus took a message and who sent it: over both workers, shared memory
# and UDP, in groups, promised and in fragments. Without sessions.show_sender a sender is refused.
. "$(dirname "$0")/../support/lib.sh"
. "$top/tests/support/net.sh"

options=(--set workers.count=2 --set workers.poll=adaptive)
far=''
if net_try; then
	net_pair 2
	options+=(--port "$(net_af_xdp)")
	far=yes
fi

say "the bus tells no senders unless it is configured to"
bus_start "${options[@]}"
expect_status 1 "$millrace" sub a --sender -t 20000
expect_match refusal "$errors" 'does not tell senders \(sessions.show_sender is false\)'
bus_stop

bus_start "${options[@]}" --set sessions.show_sender=true
since=$(date +%s%N)
names=()
for i in 1 2 3 4; do
	sub_start "sub$i" 's.>' --time --sender --json -n 4
	names+=("sub$i:$pid")
done
sub_start group 's.>' --group g --time --sender --json -n 4
names+=("group:$pid")
if [ -n "$far" ]; then
	start far "${net_in[@]}" env MILLRACE_SERVER="udp://$net_bus4:7400" "$millrace" sub 's.>' --time --sender --json \
		--promise at-least-once -n 4
	names+=("far:$pid")
	wait_for "the far one is subscribed" has_line "$dir/far.err" subscribed
fi
sub_start plain 's.>' --json -n 4
plain=$pid

say "small, with headers, promised, and in fragments"
"$millrace" pub s.a hello
"$millrace" pub s.b hello -H a:b
"$millrace" pub s.c hello --promise at-least-once
head -c 200000 /dev/zero | tr '\0' x >"$dir/large"
"$millrace" pub s.d - --promise at-least-once <"$dir/large"
for each in "${names[@]}"; do
	name=${each%%:*}
	wait_child "${each##*:}" "$name"
	jq -s . "$dir/$name.out" >"$dir/$name.all"
	expect_json "$dir/$name.all" '[.[].subject]' '["s.a","s.b","s.c","s.d"]'
	expect_json "$dir/$name.all" "all(.[]; .time_ns >= $since and .time_ns <= $(date +%s%N))" true
	expect_json "$dir/$name.all" 'all(.[]; .sender | test("^0x[0-9a-f]{16}$"))' true
	expect_json "$dir/$name.all" '[.[].payload | length]' '[5,5,5,200000]'
done

say "all were told the same, and one that did not ask nothing"
for each in "${names[@]}"; do
	jq -c '[.time_ns, .sender, .sender_name]' "$dir/${each%%:*}.out" | cmp - <(
		jq -c '[.time_ns, .sender, .sender_name]' "$dir/sub1.out") >&2 || fail "${each%%:*}: other stamps"
done
wait_child "$plain" plain
jq -s . "$dir/plain.out" >"$dir/plain.all"
expect_json "$dir/plain.all" 'any(.[]; has("time") or has("sender"))' false
bus_stop
