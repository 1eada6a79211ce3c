#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# hog: a client that subscribes to everything many times and reads nothing is limited, and does not stop others.
. "$(dirname "$0")/../support/lib.sh"

# An honest client keeps at least half of its rate. Without shares of a round it kept less than a hundredth. The bench
# runs alone and beside the hog in turns, and the best of each counts: other programs can only make a turn worse.
clients=1
turns_max=5
alone=0
beside=0

rate() { # deliveries a second of a bench that loses nothing
	expect_status 0 "$millrace" bench --transport shm --seconds 1 --warmup 0.2 --json
	expect_equal "messages that the bench lost" "$(jq .lost <<<"$output")" 0
	jq '.delivered_per_second | floor' <<<"$output"
}

hog_start() {
	rm -f "$dir/hold"
	mkfifo "$dir/hold"
	"$build/tests/support/hog" $clients 1000 <"$dir/hold" >"$dir/hog.out" 2>"$dir/hog.err" &
	hog=$!
	started+=("$hog")
	exec 8>"$dir/hold"
	wait_for "the hog stands still" lines_at_least "$dir/hog.out" 1
	expect_equal "subscriptions to one pattern of one client" "$(cat "$dir/hog.out")" $((clients * 16))
	grep -q identical_per_client_max "$dir/hog.err" || fail "the refusal does not name its limit"
}

hog_stop() {
	expect_status 0 "$millrace" ping --timeout 20000
	exec 8>&-
	wait_child "$hog" hog
}

turn() {
	rate >"$dir/alone"
	hog_start
	rate >"$dir/beside"
	hog_stop
	figures "bench alone $(cat "$dir/alone"), beside the hog $(cat "$dir/beside") a second"
	alone=$((alone > $(cat "$dir/alone") ? alone : $(cat "$dir/alone")))
	beside=$((beside > $(cat "$dir/beside") ? beside : $(cat "$dir/beside")))
}

bus_start
turn
for ((i = 1; i < turns_max && beside * 2 < alone; i++)); do
	turn
done
expect_above "the best rate beside the hog, times 2" $((beside * 2)) "$alone"
bus_stop
