#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# multicast: one frame of an AF_XDP port serves the subscribers of several hosts behind a bridge, with and without
# snooping. Strangers' datagrams are refused; a host that the group does not reach gets copies of its own.
. "$(dirname "$0")/../support/lib.sh"
. "$(dirname "$0")/../support/net.sh"
net_needs
command -v python3 >/dev/null || skip "python3 is not installed"

hosts=3
messages=200
net_pair 1
bridge() { "${net_in[@]}" ip "$@"; }
bridge address flush dev "$net_peer"
bridge link add br0 type bridge mcast_snooping 0
bridge link set "$net_peer" master br0
bridge link set br0 up
host_drop() { for h in $(seq "$hosts"); do ip netns delete "$net_space-$h" 2>/dev/null; done; }
leaving+=(host_drop)
for h in $(seq "$hosts"); do
	ip netns add "$net_space-$h"
	bridge link add "h$h" type veth peer name eth0 netns "$net_space-$h"
	bridge link set "h$h" master br0
	bridge link set "h$h" up
	ip -n "$net_space-$h" address add "10.77.0.1$h/24" dev eth0
	ip -n "$net_space-$h" address add "fd77::1$h/64" dev eth0 nodad
	ip -n "$net_space-$h" link set lo up
	ip -n "$net_space-$h" link set eth0 up
	ip netns exec "$net_space-$h" ethtool -K eth0 tx off >/dev/null
done
at() { # HOST SERVER COMMAND...
	local in=("ip" netns exec "$net_space-$1" env "MILLRACE_SERVER=udp://$2")

	shift 2
	"${in[@]}" "$@"
}
tx_packets() { "$millrace" ports --json | jq '.[0].tx_packets'; }
members_are() { [ "$("$millrace" subjects --json | jq '[.[] | select(.multicast != null)] | length')" -eq "$1" ]; }
bus_counter() { counter "$1"; }

# deliver NAME SERVER PATTERN SUBJECT: all hosts subscribe, this host publishes, and the port sends few frames.
deliver() {
	local name=$1 server=$2 pattern=$3 subject=$4 before after

	for h in $(seq "$hosts"); do
		start "$name$h" at "$h" "$server" "$millrace" sub "$pattern" --multicast --raw -n "$messages"
	done
	for h in $(seq "$hosts"); do
		wait_for "$name: host $h is subscribed" has_line "$dir/$name$h.err" subscribed
		expect_match "way of host $h" "$(cat "$dir/$name$h.err")" 'receives by multicast'
	done
	members_are "$hosts" || fail "$name: not all subscriptions are listed with their group"
	before=$(tx_packets)
	seq "$messages" | "$millrace" pub "$subject" --stdin-lines --rate 1000
	for h in $(seq "$hosts"); do
		wait_for "$name: host $h has all" lines_at_least "$dir/$name$h.out" "$messages"
		seq "$messages" | cmp -s - "$dir/$name$h.out" || fail "$name: host $h has other messages"
	done
	after=$(tx_packets)
	# Beside the group's frames: acks and heartbeats.
	say "$name: $((after - before)) packets for $((hosts * messages)) deliveries"
	[ $((after - before)) -le $((messages + messages / 2)) ] || fail "$name: a packet for each receiver"
	wait_for "$name: the group has ended" members_are 0
}

say "a range that is none is refused"
expect_status 1 "$millrace" up --run-dir "$run" --multicast 10.0.0.0/8
expect_match refusal "$errors" 'multicast.ranges.*a range of multicast groups'

say "one frame for all, without snooping"
bus_start --set workers.poll=adaptive --port "$(net_af_xdp)" --multicast 239.7.0.0/16,prefix=market. \
	--multicast ff15::/112,prefix=market.
deliver flood "$net_bus4" 'market.>' market.eu
saved=$(bus_counter multicast_saved)
[ "$saved" -gt "$messages" ] || fail "copies saved: $saved"

say "the same over IPv6"
deliver six "[$net_bus6]" 'market.*' market.eu

say "the same where the bridge snoops: it learns of the receivers by their reports"
bridge link set br0 type bridge mcast_snooping 1 mcast_querier 1
deliver snoop "$net_bus4" 'market.>' market.us
bridge link set br0 type bridge mcast_snooping 0

say "another pattern gets copies of its own"
start copies at 1 "$net_bus4" "$millrace" sub 'news.>' --multicast --raw -n 1
wait_for "it is subscribed" has_line "$dir/copies.err" subscribed
expect_match way "$(cat "$dir/copies.err")" 'copies of its own'
"$millrace" pub news.today hello
wait_for "it has the message" has_line "$dir/copies.out" hello

say "a host that the group does not reach gets copies of its own"
bridge link set h2 type bridge_slave mcast_flood off
start deaf at 2 "$net_bus4" "$millrace" sub 'market.>' --multicast --raw -n 1
wait_for "it is subscribed" has_line "$dir/deaf.err" subscribed
expect_match way "$(cat "$dir/deaf.err")" 'copies of its own'
members_are 0 || fail "a member is left"
"$millrace" pub market.eu hello
wait_for "it has the message" has_line "$dir/deaf.out" hello

say "datagrams of strangers are refused"
start honest at 1 "$net_bus4" "$millrace" sub 'market.>' --multicast --raw -n 2
wait_for "it is subscribed" has_line "$dir/honest.err" subscribed
group=$("$millrace" subjects --json | jq -r '[.[].multicast | select(. != null)][0]')
at 3 "$net_bus4" python3 - "$group" <<'EOF'
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.77.0.13"))
body = struct.pack("<HBBI", 16, 2, 0, 1) + b"forged!!"
for session in (0, 1, 2**63):
    s.sendto(struct.pack("<BBHIQII", 1, 0, 1, 10, session, 0, 0) + body, (sys.argv[1], 7400))
EOF
"$millrace" pub market.eu one
"$millrace" pub market.eu two
wait_for "the messages of the bus come" lines_at_least "$dir/honest.out" 2
expect_lines "$dir/honest.out" 'one
two'
wait_for "the strangers are counted" has_line "$dir/honest.err" '3 frames of others refused'
bus_stop
