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

# Removes what killed runs left behind: their addresses are those of this one. Names have the process id.
net_sweep() {
	local name

	for name in $(ip -o link | sed -nE 's/^[0-9]+: (mrh?[0-9]+[a-z]?)[@:].*/\1/p'); do
		[ -d "/proc/${name//[a-z]/}" ] || ip link delete "$name" 2>/dev/null || true
	done
	for name in $(ip netns list | sed -nE 's/^(mr-[a-z_]+-[0-9]+)(-.*)?( .*)?$/\1\2/p'); do
		[[ $name =~ -([0-9]+) && -d /proc/${BASH_REMATCH[1]} ]] || ip netns delete "$name" 2>/dev/null || true
	done
}

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
	net_sweep
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

# net_host: gives the bus a namespace of its own, too, where its host's addresses and routes meet no others. `as` is the
# prefix that starts a program there, as bus_start does.
net_host() {
	net_host_space=$net_space-host
	ip netns add "$net_host_space"
	leaving+=(net_host_drop)
	as=(ip netns exec "$net_host_space")
	near ip link set lo up
}
net_host_drop() { ip netns delete "$net_host_space"; }
near() { "${as[@]}" "$@"; }

# Prints the text of a port on the near end.
net_af_xdp() { echo "af_xdp,interface=$net_port,address=$net_bus4/24,address=$net_bus6/64"; }
