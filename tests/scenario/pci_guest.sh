#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pci_guest: a bus owns the network card of a virtual machine through vfio; the card spreads flows over two workers.
. "$(dirname "$0")/../support/lib.sh"
. "$(dirname "$0")/../support/net.sh"
. "$(dirname "$0")/../support/guest.sh"
net_needs
guest_needs

clients=12
# The machine is emulated, and all of this one may be busy.
patience_s=120
far() { "${net_in[@]}" nice "$millrace" --server "udp://$net_bus4" "$@"; }
port=pci,address=$guest_card,address=$net_bus4/24,address=$net_bus6/64
# refused TEXT REASON: a port that cannot be opened ends the start, with the reason and the next step.
refused() {
	guest_expect 1 "millrace up --run-dir /run/refused --workers 2 --port $1 2>&1"
	expect_match "refusal of $1" "$output" "$2"
	expect_match "next step for $1" "$output" hint=
	guest_expect 0 "! ls /run/refused/*.sock; ! pidof millrace-dataplane"
}
# Prints a counter of a worker.
frames_of() {
	guest_is . x counters || true
	jq "[.[] | select(.scope == \"worker\" and .index == $1 and .name == \"frames_rx\") | .value] | add // 0" \
		"$dir/guest.json"
}
# Publishes to subscribers on as many flows.
exchange() {
	local pids=() i

	for ((i = 0; i < clients; i++)); do
		start "far$i" far sub 'flow.>' -n 2
		pids+=("$pid")
	done
	for ((i = 0; i < clients; i++)); do
		wait_for "far$i is subscribed" has_line "$dir/far$i.err" subscribed
	done
	far pub flow.small one
	far pub flow.large "$large"
	for i in "${pids[@]}"; do
		wait_child "$i" "a subscriber"
	done
	for ((i = 0; i < clients; i++)); do
		[ "$(sort "$dir/far$i.out")" = "flow.large $large"$'\nflow.small one' ] ||
			fail "far$i got other messages: $(cut -c -80 "$dir/far$i.out")"
	done
}
large=$(head -c 6000 /dev/zero | tr '\0' x)

say "boot"
guest_start 2 9000

say "cards that cannot be opened"
refused "pci,address=0000:7f:00.0,address=$net_bus4/24" 'no such PCI device'
refused "pci,address=0000:00:1f.2,address=$net_bus4/24" 'not a network card'
refused "$port" 'driver virtio-pci has the card.*driver_override'
guest_bind vfio-pci
refused "$port,mtu=9200" 'mtu is above the limit of the card.*mtu=9000'
refused "$port --port tap,interface=lo,address=10.1.2.3/24" 'there is an interface of that name already'

say "more workers than queues; then all is killed"
guest_bus --workers 3 --set workers.poll=busy --port "$port"
guest_json '.[0] | [.queues, .link]' '[2,"up"]' ports
guest_expect 0 "cat /run/bus.log"
expect_match "log of the bus" "$output" 'the card has fewer queues than there are workers port=pci0 queues=2 workers=3'
guest_expect 0 "killall -KILL millrace millrace-dataplane millrace-control; \
while pidof millrace millrace-dataplane millrace-control; do usleep 10000; done; rm -rf $guest_run"

say "two queues, two workers"
guest_bus --workers 2 --set workers.poll=busy --port "$port"
guest_json '.[0] | [.driver, .device, .queues, .link, .mtu]' "[\"pci\",\"$guest_card\",2,\"up\",9000]" ports
guest_json '.[0] | [.card_driver, .steering, .redirection, .numa_node]' '["net_virtio","rss",{"0":64,"1":64},null]' ports
guest_json '.[0].offloads | index("rx_udp_checksum") != null and index("tx_udp_checksum") != null' true ports
guest_expect 1 "millrace up --run-dir /run/other --port pci,address=$guest_card,address=10.1.2.3/24 2>&1"
expect_match "refusal of a second bus" "$output" 'another process uses the card'
exchange
expect_equal "answers to ping" "$("${net_in[@]}" ping -c 1 -W 60 "$net_bus6" | grep -c 'bytes from')" 1
guest_json '.[0].extended | .rx_q0_good_packets > 0 and .rx_q1_good_packets > 0' true ports
for worker in 0 1; do
	frames=$(frames_of $worker)
	expect_above "frames of worker $worker" "$frames" 0
	say "worker $worker received $frames frames"
done

say "ping and TCP through the exception path, and messages beside them"
guest_bus_stop
guest_bus --workers 2 --set workers.poll=busy --port "$port,tap=host0"
exchange
for address in "$net_bus4" "$net_bus6"; do
	wait_for "the guest's kernel answers at $address" "${net_in[@]}" ping -q -c 1 -W 5 "$address"
done
guest_expect 0 "(nc -ll -p 5000 -e cat >/dev/null 2>&1 &) ; ping -c 1 -W 60 $net_peer4"
"${net_in[@]}" "$top/tests/support/tcp_transfer.py" send "$net_bus4" 5000 500000 >"$dir/seconds" ||
	fail "the bytes of the TCP connection are not intact"
say "500 kB there and back: $(cat "$dir/seconds") s"
guest_json '.[0] | .tap_written > 20 and .exception_out > 20' true ports

say "the link goes and comes back"
guest_tell "set_link card off"
wait_for "the port's link is down" guest_is '.[0].link' '"down"' ports
guest_tell "set_link card on"
wait_for "the port's link is up" guest_is '.[0].link' '"up"' ports
exchange

say "the card is given back"
guest_bus_stop
expect_no_match "log of the bus" "$output" ' (error|warn) .*DPDK'
guest_bind virtio-pci
guest_expect 0 "ls /sys/bus/pci/devices/$guest_card/virtio*/net"
guest_stop
