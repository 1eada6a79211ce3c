# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# lib: the common part of memif.sh and af_xdp.sh. Runs dpdk-testpmd and the bus in turn behind the same kind of
# port, under the same generator, and compares them; also compares the bus's two flows, with promised publishes
# and without. Sourced, with the arguments of the script.
#
#   --build DIR      build directory with the programs (default: build/ at the top of the tree)
#   --repeat N       number of runs of each, in turn (default 5)
#   --seconds S      length of a run, without its warm-up (default 2)
#   --flows          compare only the bus's two flows, without testpmd
#   --keep DIR       leave the output of the runs there
#
# Needs two CPUs: the first one for the bus or testpmd, the second one for the generator.
# Environment: TESTPMD (default: dpdk-testpmd).
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$top/build
repeat=5
seconds=2
keep=''
flows_only=false
testpmd=${TESTPMD:-dpdk-testpmd}
patience_s=60
while [ $# -gt 0 ]; do
	case "$1" in
	--build) build=$(cd "$2" && pwd) ;;
	--repeat) repeat=$2 ;;
	--seconds) seconds=$2 ;;
	--keep) keep=$2 ;;
	--flows)
		flows_only=true
		shift
		continue
		;;
	*)
		echo "usage: $0 [--build DIR] [--repeat N] [--seconds S] [--keep DIR] [--flows]" >&2
		exit 2
		;;
	esac
	shift 2
done

dir=$(mktemp -d "/tmp/mr-bench.XXXXXX")
results=${keep:-$dir/results}
mkdir -p "$results"
millrace=$build/millrace
generator=$build/bench/e2e/bench_frames
running=() # processes to end, whatever happens

say() { printf '%s\n' "$*" >&2; }

fail() {
	say "FAILED: $*"
	exit 1
}

for program in "$millrace" "$generator" "$testpmd"; do
	if [ "$program" = "$testpmd" ] && $flows_only; then
		continue
	fi
	command -v "$program" >/dev/null || fail "$program is missing (testpmd: package dpdk-dev)"
done
command -v jq >/dev/null || fail "jq is missing"

finish() {
	local pid

	for pid in ${running[@]+"${running[@]}"}; do
		kill "$pid" 2>/dev/null || true
	done
	wait
	if declare -F clean_up >/dev/null; then
		clean_up
	fi
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# wait_for WHAT COMMAND...
wait_for() {
	local what=$1 end=$((SECONDS + patience_s))

	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || fail "waited $patience_s s in vain: $what"
		sleep 0.02
	done
}

stop() {
	kill "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

# testpmd_start VDEV: starts testpmd on the first CPU; it sends each packet back. Sets `pid`.
testpmd_start() {
	local memory=(--no-huge -m 256)

	if [ "$(awk '/HugePages_Free/ {print $2}' /proc/meminfo)" -ge 160 ]; then
		memory=(--in-memory -m 256)
	fi
	: >"$dir/testpmd.log"
	# With --stats-period it reads no commands, and runs until it is told to stop.
	"${in_place[@]}" "$testpmd" --lcores '0@(0-1),1@0' "${memory[@]}" --no-pci --no-telemetry \
		--no-shconf --file-prefix "mr-bench-$$" --vdev "$1" -- --no-mlockall \
		--port-topology=loop --forward-mode=macswap --total-num-mbufs=16384 --nb-cores=1 \
		--auto-start --stats-period 3600 >"$dir/testpmd.log" 2>&1 </dev/null &
	pid=$!
	running+=("$pid")
}

# bus_start PORT: starts a bus with one worker on the first CPU. Sets `pid`.
bus_start() {
	rm -f "$dir/ready"
	mkfifo "$dir/ready"
	"${in_place[@]}" "$millrace" up --run-dir "$dir/run" --cpus 0 --poll busy --port "$1" \
		--ready-fd 9 >"$dir/bus.out" 2>"$dir/bus.log" </dev/null 9>"$dir/ready" &
	pid=$!
	running+=("$pid")
	read -r -t "$patience_s" _ <"$dir/ready" || {
		cat "$dir/bus.log" >&2
		fail "the bus did not come up"
	}
}

# generator_start NAME ARGUMENT...: starts the generator on the second CPU. Sets `generator_pid`.
generator_start() {
	local name=$1

	shift
	# Nothing of the run before is to be taken for this one's.
	rm -f "$dir/report" "$dir/generator.log"
	touch "$dir/report" "$dir/generator.log"
	"${in_place[@]}" "$generator" --json --raw --cpu 1 --rounds 5 --milliseconds "$((seconds * 1000))" \
		--linger 60000 "$@" >"$dir/report" 2>"$dir/generator.log" </dev/null &
	generator_pid=$!
	running+=("$generator_pid")
}

reported() { grep -qx '}' "$dir/report" || ! kill -0 "$generator_pid" 2>/dev/null; }

# generator_end NAME PID: waits for the report, then stops the other side and after it the generator: memif's
# driver may crash a program that polls while its peer closes.
generator_end() {
	wait_for "the generator's report" reported
	grep -qx '}' "$dir/report" || {
		cat "$dir"/*.log >&2
		fail "the generator"
	}
	sed '/^[^ {}]/d' "$dir/report" >"$results/$1.json" # less what drivers print
	stop "$2"
	stop "$generator_pid"
	jq -e '.totals | (.missing // 0) + .wrong == 0' "$results/$1.json" >/dev/null ||
		fail "what was promised did not come: $(jq -c .totals "$results/$1.json")"
}

# median NAME-PREFIX LABEL: prints the median of a figure's medians over the runs, with lowest and highest.
figures() {
	jq -s --arg wanted "$2" '[.[].results[] | select(.label == $wanted) | .median] | sort' \
		"$results/$1".[0-9]*.json
}

row() {
	local name=$1 title=$2 sent=$3 back=$4

	jq -rn --arg title "$title" --argjson sent "$(figures "$name" "$sent")" \
		--argjson back "$(figures "$name" "$back")" \
		--argjson cycles "$(figures "$name" 'worker busy, each message taken')" '
		def middle: .[length / 2 | floor];
		def million: . / 1e4 | round / 100;
		def range: "\(middle | million) (\(first | million)–\(last | million))";
		def cycle: if length == 0 then "" else
			"\(middle | round) (\(first | round)–\(last | round))" end;
		"| \($title) | \($sent | range) | \($back | range) | \($cycles | cycle) |"'
}

# ratio TITLE NAME LABEL YARDSTICK LABEL: prints the ratio of two figures, run by run.
ratio() {
	jq -rn --arg title "$1" --argjson ours "$(in_order "$2" "$3")" \
		--argjson theirs "$(in_order "$4" "$5")" '
		def percent: . * 100 | round;
		[range($ours | length) | select($theirs[.] > 0) | $ours[.] / $theirs[.]] | sort |
		if length == 0 then "| \($title) | nothing to compare with |" else
		"| \($title) | \(.[length / 2 | floor] | percent) % (\(first | percent)–\(last | percent)) |"
		end'
}

in_order() {
	for ((n = 1; n <= repeat; n++)); do
		jq --arg wanted "$2" '.results[] | select(.label == $wanted) | .median' \
			"$results/$1.$n.json"
	done | jq -s .
}

rows_of_bus() {
	row unpacked 'bus, 64 bytes, one message a frame' 'messages published' 'messages delivered'
	row unpacked-promised 'the same, promised' 'messages published' 'messages delivered'
	row packed 'bus, 64 bytes, packed frames of 1,400' 'messages published' 'messages delivered'
	row packed-promised 'the same, promised' 'messages published' 'messages delivered'
}

ratios_of_flows() {
	ratio 'unpacked messages delivered, reliable flow to datagram flow' \
		unpacked-promised 'messages delivered' unpacked 'messages delivered'
	ratio 'packed messages delivered, reliable flow to datagram flow' \
		packed-promised 'messages delivered' packed 'messages delivered'
}

ratios_to_testpmd() {
	ratio 'unpacked messages taken by the bus, to what testpmd sends back of 64 bytes' \
		unpacked 'messages taken by the bus' testpmd-64 'packets back'
	ratio 'unpacked messages delivered, to what testpmd sends back of 64 bytes' \
		unpacked 'messages delivered' testpmd-64 'packets back'
	ratio 'unpacked messages delivered, to what testpmd sends back of 138 bytes' \
		unpacked 'messages delivered' testpmd-138 'packets back'
	ratio 'packed frames sent by the generator and taken, to packets of 1,434 bytes' \
		packed 'frames sent' testpmd-1434 'packets back'
}

# repeated NAME: prints the share of retransmitted frames in all runs, of the generator and of the bus.
repeated() {
	jq -rs '[.[].totals] |
		"again: \(map(.sent_again) | add) of \(map(.sent / .messages_a_frame) | add | round) frames by the generator, " +
		"\(map(.retransmits) | add) by the bus"' "$results/$1".[0-9]*.json
}

# table: prints all results.
table() {
	jq -r '.machine | "\(.cpu), \(.cpus) CPUs, \(.tsc_ghz * 100 | round / 100) GHz, Linux \(.kernel)"' \
		"$results/packed.1.json"
	echo "$repeat runs of $seconds s each, in turn; load at the end: $(cut -d' ' -f1-3 /proc/loadavg)"
	echo
	echo "| million a second, median (lowest–highest) | sent | back | worker, cycles a message |"
	echo "|---|---|---|---|"
	if ! $flows_only; then
		row testpmd-64 'testpmd, packets of 64 bytes' 'packets sent' 'packets back'
		row testpmd-138 'testpmd, packets of 138 bytes' 'packets sent' 'packets back'
		row testpmd-1434 'testpmd, packets of 1,434 bytes' 'packets sent' 'packets back'
	fi
	rows_of_bus
	echo
	echo "| | ratio, median (lowest–highest) |"
	echo "|---|---|"
	$flows_only || ratios_to_testpmd
	ratios_of_flows
	echo
	echo "unpacked, promised, $(repeated unpacked-promised)"
	echo "packed, promised, $(repeated packed-promised)"
}

# both_flows RUN NAME N ARGUMENT...: runs both flows, one right after the other.
both_flows() {
	local run=$1 name=$2 n=$3

	shift 3
	"$run" "$name.$n" "$@" "${bus_arguments[@]}"
	"$run" "$name-promised.$n" --promise at-least-once "$@" "${bus_arguments[@]}"
}

# compare TESTPMD_RUN BUS_RUN: both are functions that take a name, and arguments for the generator.
compare() {
	local n size

	for ((n = 1; n <= repeat; n++)); do
		say "round $n of $repeat"
		for size in 64 138 1434; do
			$flows_only || "$1" "testpmd-$size.$n" --blast "$size" --window "$window_packets"
		done
		both_flows "$2" unpacked "$n" --pack 1 --window "$window_packets"
		both_flows "$2" packed "$n" --pack full --window $((window_packets * 16))
	done
	table
}

# Most packets in flight, about half a ring: losses for lack of room say nothing about speed.
window_packets=1024
bus_arguments=(--run-dir "$dir/run" --size 64 --frame-bytes 1400)
in_place=() # prefix that starts a program where the port is
