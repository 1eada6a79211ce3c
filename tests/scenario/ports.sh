#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ports: AF_XDP, memif and tap ports open, are listed, go down and up, and leave nothing behind.
. "$(dirname "$0")/../support/lib.sh"
. "$(dirname "$0")/../support/net.sh"
net_needs
[ -e /dev/net/tun ] || skip "there is no /dev/net/tun"

net_pair 2
tap=mr$$t
mkdir "$run"
af_xdp=af_xdp,interface=$net_port,address=10.99.0.1/24,address=fd99::1/64
memif=memif,socket=$run/memif.sock,role=server,address=10.98.0.1/24
far() { "${net_in[@]}" "$@"; }
far ip addr add 10.99.0.2/24 dev "$net_peer"
far ip addr add fd99::2/64 dev "$net_peer" nodad

xdp_attached() { ip -d link show "$net_port" | grep -qE '(xdp|xdpgeneric|prog)'; }
port_is() { # NAME FILTER VALUE
	[ "$("$millrace" ports --json | jq -c --arg name "$1" ".[] | select(.name == \$name) | $2")" = "$3" ]
}
neighbour_known() { far ip neigh show "$1" | grep -q lladdr; }
# A datagram makes the kernel ask for the port's Ethernet address.
knock() {
	far ip neigh flush all
	far bash -c "echo x >/dev/udp/$1/7400"
	wait_for "$1 is found on the network" neighbour_known "$1"
}
# Capabilities of all threads of the data plane, each once.
capabilities() { awk '/^CapEff/ { print $2 }' "/proc/$(dataplane_pid)/task"/*/status | sort -u | xargs; }

say "bad texts are refused before anything is opened"
expect_status 1 "$millrace" up --run-dir "$run" --port "tap,interface=$tap"
expect_match refusal "$errors" 'ports\.open: found tap.*expected also address='
expect_status 1 "$millrace" up --run-dir "$run" --port tape,interface=x
expect_match refusal "$errors" 'found tape; expected a driver first'

say "refusals have a reason"
expect_status 1 "$millrace" up --run-dir "$run" --port af_xdp,interface=mr$$x,address=10.0.0.1/24
expect_match refusal "$errors" 'no such interface'
expect_status 1 "$millrace" up --run-dir "$run" --workers 1 --port "$af_xdp"
expect_match refusal "$errors" 'more receive queues than workers.*rx_queues=2 tx_queues=2 workers=1'
expect_status 1 "$millrace" up --run-dir "$run" --workers 2 --port "$af_xdp,mtu=9000"
expect_match refusal "$errors" 'mtu is above'
expect_status 1 "$millrace" up --run-dir "$run" --port "tap,interface=$net_port,address=10.0.0.1/24"
expect_match refusal "$errors" 'there is an interface of that name'

say "three ports, two workers"
bus_start --workers 2 --port "$af_xdp" --port "$memif" --port "tap,interface=$tap,address=10.97.0.1/24"
"$millrace" ports >"$dir/table.out"
"$millrace" ports --json >"$dir/ports.out"
expect_json "$dir/ports.out" '[.[].name]' '["af_xdp0","memif1","tap2"]'
expect_json "$dir/ports.out" '[.[].queues] | unique' '[2]'
expect_json "$dir/ports.out" '.[0].addresses' '["10.99.0.1/24","fd99::1/64"]'
expect_json "$dir/ports.out" '[.[] | .mtu, .udp_port]' '[1500,7400,1500,7400,1500,7400]'
expect_json "$dir/ports.out" '[.[].link]' '["up","down","up"]'
expect_json "$dir/ports.out" '.[0].mac' "$(ip -j link show "$net_port" | jq '.[0].address')"

say "hosts find them"
knock 10.99.0.1
knock fd99::1
wait_for "packets are counted" port_is af_xdp0 '.rx_packets > 0 and .tx_packets > 0' true
ip addr add 10.97.0.2/24 dev "$tap"
echo x >/dev/udp/10.97.0.1/7400
wait_for "packets of the tap are counted" port_is tap2 '.rx_packets > 0 and .tx_packets > 0' true

say "workers have no capabilities, the rest CAP_NET_ADMIN"
expect_equal capabilities "$(capabilities)" "0000000000000000 0000000000001000"

say "one interface, one bus"
expect_status 1 "$millrace" up --run-dir "$dir/other" --workers 2 --port "$af_xdp"
expect_match refusal "$errors" 'another bus has a port on this interface'
knock 10.99.0.1

say "a link goes down and comes back"
ip link set "$net_port" down
wait_for "the link is seen down" port_is af_xdp0 '[.link, .link_changes]' '["down",1]'
ip link set "$net_port" up
wait_for "the link is seen up" port_is af_xdp0 '[.link, .link_changes]' '["up",2]'
far ip addr replace fd99::2/64 dev "$net_peer" nodad
knock 10.99.0.1
expect_match log "$(cat "$bus_log")" 'link is down port=af_xdp0'

say "the MTU of the interface is followed, up to that of the start"
ip link set "$net_port" mtu 1400
wait_for "the port has it" port_is af_xdp0 .mtu 1400
expect_match log "$(cat "$bus_log")" 'MTU of the interface has changed port=af_xdp0'
ip link set "$net_port" mtu 1700
wait_for "the port has its own" port_is af_xdp0 .mtu 1500

say "another bus reaches the memif, goes, and comes again"
peer=memif,socket=$run/memif.sock,role=client,address=10.98.0.2/24
dataplane=$(dataplane_pid)
for round in 1 2; do
	start "peer$round" "$build/millrace-dataplane" --run-dir "$dir/peer" --set workers.count=2 \
		--set "ports.open=$peer" --set workers.poll=adaptive
	wait_for "the memif is up" port_is memif1 .link '"up"'
	kill "$pid"
	wait_child "$pid" "peer $round"
	wait_for "the memif is down" port_is memif1 .link '"down"'
	expect_equal "data plane after its peer" "$(dataplane_pid)" "$dataplane"
done

say "a killed data plane leaves no program; the next attaches its own"
attached() { grep -c 'XDP program is attached' "$bus_log"; }
before=$(attached)
kill -KILL "$dataplane"
wait_for "another data plane" bus_child_is_not millrace-dataplane "$dataplane"
wait_for "it has the ports" port_is af_xdp0 .link '"up"'
knock 10.99.0.1
expect_above "programs attached" "$(attached)" "$before"

say "nothing remains"
xdp_attached || fail "no XDP program is seen where there is one"
bus_stop
! xdp_attached || fail "an XDP program is still attached"
! ip link show "$tap" >/dev/null 2>&1 || fail "the tap is still there"
expect_equal "files left" "$(ls -A "$run")" ''

say "an interface that is removed"
bus_start --workers 2 --port "$af_xdp"
ip link del "$net_port"
wait_for "it is said to be gone" port_is af_xdp0 '[.link, .gone]' '["gone",1]'
expect_match log "$(cat "$bus_log")" "interface was removed"
sub_start local 'a.b' -n 1
"$millrace" pub a.b c
wait_child "$pid" "the local subscriber"
bus_stop
