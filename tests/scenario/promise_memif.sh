#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# promise_memif: the frame generator uses the reliable flow both ways through a memif; all promises come back.
. "$(dirname "$0")/../support/lib.sh"

subscribers=20
generator=$build/bench/e2e/bench_frames
[ -x "$generator" ] || skip "the benches are not built"

reported() { grep -qx '}' "$dir/generator.out"; }
total() { sed '/^[^ {}]/d' "$dir/generator.out" | jq ".totals.$1"; }
none_left() { [ "$("$millrace" sessions --json | jq length)" -eq 0 ]; }

bus_start --port "memif,socket=$dir/m.sock,address=10.77.0.1/24"
# The generator ends after the bus: memif's driver may crash in the other order.
start generator "$generator" --json --memif "$dir/m.sock,server" --run-dir "$run" --promise at-least-once \
	--sessions $((subscribers + 4)) --subscribers $subscribers --publishers 4 --rate 20000 --rounds 1 \
	--milliseconds 1000 --linger 60000
generator_pid=$pid

wait_for "the generator's report" reported
say "$(sed '/^[^ {}]/d' "$dir/generator.out" | jq -c .totals)"
expect_above "messages that were published" "$(total sent)" 0
expect_equal "deliveries" "$(total back)" $(($(total sent) * subscribers))
expect_equal "deliveries that are missing" "$(total missing)" 0
expect_equal "deliveries unlike what was sent" "$(total wrong)" 0
expect_equal "sessions that ended by themselves" "$(total sessions_ended)" 0
wait_for "all sessions are closed" none_left
bus_stop
wait_child "$generator_pid" generator
expect_equal "exit status of the generator" "$status" 0
