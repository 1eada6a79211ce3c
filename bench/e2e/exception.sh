#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# exception.sh: TCP through a port's exception path (iperf3), and the rate of local messages meanwhile. Each repetition
# measures the messages alone, then TCP to the host with messages, then from the host, then TCP alone. The peer of a tap
# port is the kernel, behind a bridge; that of a memif port is another bus, whose exception path TCP takes as well.
# Needs root and iperf3; the networks are in namespaces of their own.
#
#   --build DIR      build directory with the programs (default: build/ at the top of the tree)
#   --repeat N       repetitions (default 5)
#   --seconds S      length of each measurement (default 4)
#   --rate N         messages a second (default 500000); 0: as many as go
#   --driver NAME    tap or memif (default memif)
#   --mtu N          of the port (default 1500; a memif takes up to 9216)
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$top/build
repeat=5
seconds=4
rate=500000
mtu=1500
driver=memif
usage() { sed -n '3,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }
while [ $# -gt 0 ]; do
	case "$1" in
	--build) build=$(cd "$2" && pwd) ;;
	--repeat) repeat=$2 ;;
	--seconds) seconds=$2 ;;
	--rate) rate=$2 ;;
	--mtu) mtu=$2 ;;
	--driver) driver=$2 ;;
	--help) usage && exit 0 ;;
	*) usage >&2 && exit 2 ;;
	esac
	shift 2
done

say() { printf '%s\n' "$*" >&2; }
fail() {
	say "FAILED: $*"
	exit 1
}

[ "$(id -u)" -eq 0 ] || fail "a tap port needs root"
command -v iperf3 >/dev/null || fail "iperf3 is not installed"
millrace=$build/millrace
[ -x "$millrace" ] || fail "$millrace is not built"

dir=$(mktemp -d /tmp/mr-bench.XXXXXX)
host=mr-bench-$$-host
peer=mr-bench-$$-peer
near=(ip netns exec "$host")
far=(ip netns exec "$peer")
pids=()
clean_up() {
	[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
	wait
	ip netns delete "$host" 2>/dev/null || true
	ip netns delete "$peer" 2>/dev/null || true
	rm -rf "$dir"
}
trap clean_up EXIT

wait_for() {
	local what=$1 end=$((SECONDS + 60))

	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || fail "waited in vain: $what"
		sleep 0.1
	done
}

# ---- two hosts
ip netns add "$host"
ip netns add "$peer"
"${near[@]}" ip link set lo up

# bus NAMESPACE NAME PORT: starts a bus with a port there.
bus() {
	ip netns exec "$1" "$millrace" up --run-dir "$dir/$2" --set workers.poll=adaptive \
		--port "$3,tap=host0,mtu=$mtu" >"$dir/$2.log" 2>&1 &
	pids+=($!)
	wait_for "bus $2" "$millrace" --server "shm:$dir/$2/attach.sock" ping
}
tap_hosts() {
	bus "$host" run tap,interface=port0,address=10.77.0.1/24
	"${near[@]}" ip link add bridge0 type bridge mcast_snooping 0
	"${near[@]}" ip link add veth0 type veth peer name peer0 netns "$peer"
	# Else the kernel would answer address requests on the bridge, too, and the port were not needed.
	"${near[@]}" sysctl -qw net.ipv4.conf.bridge0.arp_ignore=8
	"${near[@]}" ip link set port0 master bridge0
	"${near[@]}" ip link set veth0 master bridge0 up
	"${near[@]}" ip link set bridge0 up
	# The port's device computes no checksums, and takes no packet above its MTU.
	"${far[@]}" ethtool -K peer0 tx off tso off gso off gro off >/dev/null
	"${far[@]}" ip address add 10.77.0.2/24 dev peer0
	"${far[@]}" ip link set peer0 up
}
memif_hosts() {
	bus "$host" run "memif,socket=$dir/memif.sock,role=server,address=10.77.0.1/24"
	bus "$peer" peer "memif,socket=$dir/memif.sock,role=client,address=10.77.0.2/24"
}
case "$driver" in
tap) tap_hosts ;;
memif) memif_hosts ;;
*) fail "no such driver: $driver" ;;
esac
export MILLRACE_SERVER="shm:$dir/run/attach.sock"
wait_for "the host answers" "${far[@]}" ping -q -c 1 -W 1 10.77.0.1
"${near[@]}" iperf3 --server --bind 10.77.0.1 >"$dir/server.log" 2>&1 &
pids+=($!)
wait_for "iperf3 listens" "${far[@]}" bash -c 'exec 3<>/dev/tcp/10.77.0.1/5201'

# ---- measurements
messages() { # NAME
	local limit=()

	[ "$rate" -eq 0 ] || limit=(--rate "$rate")
	"$millrace" bench --transport shm --seconds "$seconds" --warmup 0.5 "${limit[@]}" --json >"$dir/$1.messages"
}
tcp() { # NAME OPTION...
	local name=$1

	shift
	"${far[@]}" iperf3 --client 10.77.0.1 --time "$((seconds + 1))" --json "$@" >"$dir/$name.tcp" ||
		fail "iperf3: $(jq -r .error "$dir/$name.tcp")"
}
both() { # NAME OPTION...
	tcp "$@" &
	local tcp_pid=$!

	sleep 0.3
	messages "$1"
	wait "$tcp_pid"
}
per_second() { jq .delivered_per_second "$dir/$1.messages"; }
gigabits() { jq '.end.sum_received.bits_per_second / 1e9' "$dir/$1.tcp"; }
busy() { "$millrace" workers --json | jq '[.[].busy_cycles] | add'; }
packets() { "$millrace" ports --json | jq '.[0] | .exception_in + .exception_out'; }
# Keeps a figure for the table.
keep() { printf '%s\t%s\n' "$1" "$2" >>"$dir/figures"; }

for ((round = 1; round <= repeat; round++)); do
	messages alone
	both to
	both from --reverse
	cycles=$(busy) count=$(packets)
	tcp idle_to
	cycles=$(($(busy) - cycles)) count=$(($(packets) - count))
	tcp idle_from --reverse
	keep "messages alone, million/s" "$(jq -n "$(per_second alone) / 1e6")"
	keep "messages with TCP to the host, million/s" "$(jq -n "$(per_second to) / 1e6")"
	keep "messages with TCP from the host, million/s" "$(jq -n "$(per_second from) / 1e6")"
	keep "lost with TCP to the host, %" "$(jq -n "100 * (1 - $(per_second to) / $(per_second alone))")"
	keep "lost with TCP from the host, %" "$(jq -n "100 * (1 - $(per_second from) / $(per_second alone))")"
	keep "TCP to the host with messages, Gbit/s" "$(gigabits to)"
	keep "TCP from the host with messages, Gbit/s" "$(gigabits from)"
	keep "TCP to the host alone, Gbit/s" "$(gigabits idle_to)"
	keep "TCP from the host alone, Gbit/s" "$(gigabits idle_from)"
	keep "worker's cycles a packet, TCP alone" "$((cycles / count))"
	say "round $round of $repeat"
done

echo "$driver, rate $rate messages/s, mtu $mtu, $(nproc) CPUs, load $(cut -d' ' -f1-3 /proc/loadavg); median (min-max) of $repeat"
cut -f1 "$dir/figures" | awk '!seen[$0]++' | while read -r name; do
	awk -F '\t' -v name="$name" '$1 == name { print $2 }' "$dir/figures" | sort -g | awk -v name="$name" '
		{ v[NR] = $1 } END { printf "%-46s %8.2f (%.2f-%.2f)\n", name, v[int((NR + 1) / 2)], v[1], v[NR] }'
done
"$millrace" ports --json | jq -c '.[0] | with_entries(select(.key | test("exception|tap_|drop_")))'
