#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# udp_hostile: damaged, forged and random packets are discarded and counted by reason, and neither clients over UDP
# nor those of this host notice them.
. "$(dirname "$0")/../support/lib.sh"
. "$top/tests/support/net.sh"
net_needs

net_pair 1
bus_start --set workers.poll=adaptive --port "$(net_af_xdp)"
udp=udp://$net_bus4:7400
far=("${net_in[@]}" env "MILLRACE_SERVER=$udp" "$millrace")
mac=$(cat "/sys/class/net/$net_port/address")

start far_reply "${far[@]}" reply far.greet 'from there'
wait_for "the far one replies" subscriptions_above 0
far_session=$("$millrace" sessions --json | jq -r '.[0].session')
sub_start near 'near.>' --json
reply_start local greet 'from here'

# Sends COUNT packets of a kind; hostile KIND COUNT [SESSION].
hostile() { "${net_in[@]}" python3 "$top/tests/support/net_hostile.py" "$net_peer" "$net_peer4" "$net_bus4" "$mac" "$@"; }
all_counted() { [ $(($(counter "$1") - $2)) -ge "$3" ]; }
# nobody_noticed: both kinds of clients are served, and the earlier session is the only one.
nobody_noticed() {
	expect_equal "answer of the far one" "$("$millrace" request far.greet hello --timeout 20000)" 'from there'
	expect_equal "answer to the far one" "$("${far[@]}" request greet hello --timeout 20000)" 'from here'
	expect_equal "the far one's session" \
		"$("$millrace" sessions --json | jq -r '[.[] | select(.name == "millrace reply") | .session] | join(" ")')" "$far_session"
}
# counts KIND COUNTER: sends 50 packets of the kind; the counter must have each.
counts() {
	local before

	before=$(counter "$2")
	hostile "$1" 50
	wait_for "$2 has the packets of kind $1" all_counted "$2" "$before" 50
}

# counts_xdp KIND COUNTER: the same for packets that the XDP program leaves to the kernel.
xdp_counter() { "$millrace" ports --json | jq ".[0].$1"; }
all_xdp_counted() { [ $(($(xdp_counter "$1") - $2)) -ge 50 ]; }
counts_xdp() {
	local before

	before=$(xdp_counter "$2")
	hostile "$1" 50
	wait_for "$2 has the packets of kind $1" all_xdp_counted "$2" "$before"
}

say "each kind of damage has its counter"
counts_xdp not_ip xdp_not_ip
counts bad_ip_checksum drop_bad_ip
counts bad_ip_length drop_bad_ip
counts_xdp truncated_ip xdp_malformed
counts fragments drop_ip_options
counts not_ours drop_not_ours
counts bad_udp_checksum drop_bad_udp
counts bad_udp_length drop_bad_udp
counts truncated_frame drop_bad_frame
counts frame_version drop_bad_frame
counts frame_flags drop_bad_frame
counts frame_length drop_bad_frame_length
counts short_hello drop_bad_hello
counts options_hello hellos_retried
nobody_noticed

say "a cookie that was never given is answered like none, and opens nothing"
opened=$(counter sessions_opened)
counts bad_cookie hellos_retried
expect_equal "sessions opened" "$(counter sessions_opened)" "$opened"

say "a flood of hellos leaves no state"
counts hello_flood hellos_retried
hostile hello_flood 20000
expect_equal "sessions opened" "$(counter sessions_opened)" "$opened"
expect_equal "hellos taken" "$(counter hello_received)" "$(counter hello_welcomed)"
nobody_noticed

say "unknown session numbers: answered or discarded; the number of a real session: challenged and discarded"
before=$(($(counter closes_sent) + $(counter drop_no_session) + $(counter frames_passed) + $(counter drop_rate)))
hostile spoofed 50
answered_or_discarded() {
	[ $(($(counter closes_sent) + $(counter drop_no_session) + $(counter frames_passed) + $(counter drop_rate) - before)) -ge 50 ]
}
wait_for "they are counted" answered_or_discarded
before=$(counter drop_wrong_path)
hostile spoofed 50 "$far_session"
wait_for "they are counted" all_counted drop_wrong_path "$before" 50
expect_equal "sessions that moved" "$(counter paths_changed)" 0
nobody_noticed

say "noise, while both sides are served"
for kind in random random_udp mutated; do
	hostile "$kind" 3000
	nobody_noticed
done
"$millrace" pub near.end "done"
wait_for "the local subscriber has it" has_line "$dir/near.out" "done"

say "a peer that stops is forgotten in time"
bus_stop
bus_start --set workers.poll=adaptive --set sessions.heartbeat_ms=100 --port "$(net_af_xdp)"
start stops "${far[@]}" sub 'stops.>'
stops_pid=$pid
wait_for "it has a session" has_line "$dir/stops.err" subscribed
named() { "$millrace" sessions --json | jq "[.[] | select(.name == \"millrace sub\")] | length"; }
expect_equal "its session" "$(named)" 1
kill -STOP "$stops_pid"
stopped_is_gone() { [ "$(named)" -eq 0 ]; }
wait_for "it is expired" stopped_is_gone
expect_equal "subscriptions of it" "$("$millrace" subjects --json | jq '[.[] | select(.pattern == "stops.>")] | length')" 0
kill -CONT "$stops_pid"
back() { [ "$(named)" -eq 1 ]; }
wait_for "it comes back by itself" back
"$millrace" pub stops.now again
wait_for "and is served" has_line "$dir/stops.out" again

bus_stop
