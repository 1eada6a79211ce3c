#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# many_sessions: the frame generator opens, uses and closes ten thousand sessions over UDP through a memif.
. "$(dirname "$0")/../support/lib.sh"

sessions=10000
# The data plane's private memory. Rings and statistics are shared, and exist from the start.
# 1 KiB, and the state of the reliable flow; logs take memory when they are used.
bytes_a_session_max=$((1024 + 512))

generator=$build/bench/e2e/bench_frames
[ -x "$generator" ] || skip "the benches are not built"

open_sessions() { "$millrace" sessions --json | jq length; }
has_sessions() { [ "$(open_sessions)" -eq "$1" ]; }
own_bytes() { awk '/^RssAnon/ {print $2 * 1024}' "/proc/$(dataplane_pid)/status"; }
reported() { grep -qx '}' "$dir/generator.out"; }
total() { sed '/^[^ {}]/d' "$dir/generator.out" | jq ".totals.$1"; }

bus_start --port "memif,socket=$dir/m.sock,address=10.77.0.1/24" --set sessions.sessions_max=$sessions \
	--set sessions.per_address_max=$sessions
before=$(own_bytes)
# The generator ends after the bus: memif's driver may crash in the other order.
start generator "$generator" --json --memif "$dir/m.sock,server" --run-dir "$run" --sessions $sessions \
	--subscribers 2 --publishers 100 --rate 20000 --rounds 1 --milliseconds 4000 --linger 60000

wait_for "all sessions are open" has_sessions $sessions
took=$(($(own_bytes) - before))
say "$sessions sessions take $((took / sessions)) bytes each"
[ $((took / sessions)) -le $bytes_a_session_max ] || fail "a session takes $((took / sessions)) bytes"

wait_for "the generator's report" reported
say "$(sed '/^[^ {}]/d' "$dir/generator.out" | jq -c .totals)"
expect_above "messages that came" "$(total back)" 0
expect_equal "sessions that ended by themselves" "$(total sessions_ended)" 0
expect_equal "deliveries unlike what was sent" "$(total wrong)" 0
wait_for "all sessions are closed" has_sessions 0
expect_equal "sessions that expired" "$(counter sessions_expired)" 0
bus_stop
