#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# hog: a client that subscribes to everything many times and reads nothing is limited, and does not stop others.
. "$(dirname "$0")/../support/lib.sh"

# Measurements on a busy machine say little: an honest client must keep at least a tenth of its rate. Without shares
# of a round it kept less than a hundredth.
clients=1
least=10

rate() { # deliveries a second of a bench that loses nothing
	expect_status 0 "$millrace" bench --transport shm --seconds 2 --warmup 0.2 --json
	expect_equal "messages that the bench lost" "$(jq .lost <<<"$output")" 0
	jq '.delivered_per_second | floor' <<<"$output"
}

bus_start
rate >"$dir/alone"
mkfifo "$dir/hold"
"$build/tests/support/hog" $clients 1000 <"$dir/hold" >"$dir/hog.out" 2>"$dir/hog.err" &
hog=$!
started+=("$hog")
exec 8>"$dir/hold"
wait_for "the hog stands still" lines_at_least "$dir/hog.out" 1
expect_equal "subscriptions to one pattern of one client" "$(cat "$dir/hog.out")" $((clients * 16))
grep -q identical_per_client_max "$dir/hog.err" || fail "the refusal does not name its limit"
# Other programs on this machine come and go between two measurements; the best of some tries counts.
for _ in 1 2 3 4 5; do
	rate >"$dir/beside"
	[ $(($(cat "$dir/beside") * least)) -le "$(cat "$dir/alone")" ] || break
done
figures "bench alone $(cat "$dir/alone"), beside the hog $(cat "$dir/beside") a second"
expect_above "the bench beside the hog, times $least" $(($(cat "$dir/beside") * least)) "$(cat "$dir/alone")"
expect_status 0 "$millrace" ping --timeout 60s
exec 8>&-
wait_child "$hog" hog
bus_stop
