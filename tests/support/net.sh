# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# net: a network for scenarios: a namespace joined to this one by a veth pair, whose near end serves a port
# of the bus. Source lib.sh first. The end of the scenario removes both.

net_bus4=10.77.0.1
net_peer4=10.77.0.2
net_bus6=fd77::1
net_peer6=fd77::2
net_space=mr-$scenario-$$
net_port=mr$$p # interface here
net_peer=mr$$q # interface there
net_in=(ip netns exec "$net_space") # prefix that starts a program there

# Skips the scenario where networks cannot be made.
net_needs() {
	local program

	[ "$(id -u)" -eq 0 ] || skip "needs root"
	for program in ip ethtool; do
		command -v "$program" >/dev/null || skip "$program is not installed"
	done
	ip netns add "$net_space" 2>/dev/null || skip "no network namespaces here"
	leaving+=(net_drop)
}

# The namespace takes the pair with it.
net_drop() { ip netns delete "$net_space"; }

# net_pair QUEUES: makes the pair; both ends are up, the far one has addresses.
net_pair() {
	ip link add "$net_port" numtxqueues "$1" numrxqueues "$1" type veth \
		peer name "$net_peer" numtxqueues "$1" numrxqueues "$1" netns "$net_space"
	ip link set "$net_port" up
	# Otherwise UDP checksums are left to a card that does not exist.
	"${net_in[@]}" ethtool -K "$net_peer" tx off >/dev/null
	"${net_in[@]}" ip address add "$net_peer4/24" dev "$net_peer"
	"${net_in[@]}" ip address add "$net_peer6/64" dev "$net_peer" nodad
	"${net_in[@]}" ip link set lo up
	"${net_in[@]}" ip link set "$net_peer" up
}

# Prints the text of a port on the near end.
net_af_xdp() { echo "af_xdp,interface=$net_port,address=$net_bus4/24,address=$net_bus6/64"; }
