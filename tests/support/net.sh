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

# Makes the namespace, which the end of the scenario removes. Returns 1 where networks cannot be made, with the
# reason in `net_reason`. Not for a subshell: the scenario's end would know nothing of the namespace.
net_try() {
	local program

	net_reason="needs root"
	[ "$(id -u)" -eq 0 ] || return 1
	for program in ip ethtool; do
		net_reason="$program is not installed"
		command -v "$program" >/dev/null || return 1
	done
	net_reason="no network namespaces here"
	ip netns add "$net_space" 2>/dev/null || return 1
	leaving+=(net_drop)
}

# Skips the scenario where networks cannot be made.
net_needs() { net_try || skip "$net_reason"; }

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
