#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# no_syscalls: a worker under load makes no system call while nobody it serves sleeps.
. "$(dirname "$0")/../support/lib.sh"

command -v strace >/dev/null || skip "strace is not installed"
strace -o /dev/null true 2>/dev/null || skip "this process may not trace others"

bus_start --set workers.poll=busy
# A subscriber that sleeps would be rung, rightly: the bench polls.
bench_start bench --seconds 8 --subscribers 2
bench_pid=$pid

worker_thread() {
	local task

	for task in "/proc/$(dataplane_pid)/task"/*; do
		grep -qE 'worker|^lcore|rte-worker' "$task/comm" && basename "$task"
	done | head -n 1
}
worker=$(worker_thread)
[ -n "$worker" ] || fail "no thread of the data plane is called a worker: $(cat "/proc/$(dataplane_pid)/task"/*/comm)"
say "worker thread $worker ($(cat "/proc/$worker/comm"))"

# Traces the worker until so many more messages went through it.
published=$(counter published)
strace -q -p "$worker" -o "$dir/strace.out" 2>"$dir/strace.err" &
tracer=$!
started+=("$tracer")
attached() { grep -q '^TracerPid:[[:space:]]*[1-9]' "/proc/$worker/status"; }
wait_for "strace has attached" attached
after_attach=$(counter published)
wait_for "a loaded while passes" counter_above published "$((after_attach + 1000000))"
kill -INT "$tracer"
wait_child "$tracer" strace
bench_end bench "$bench_pid"
say "messages while it was traced: at least $((after_attach - published + 1000000))"

# The counter queries themselves attach to nothing: they go through control, not through the worker.
calls=$(grep -cE '^[a-z_0-9]+\(' "$dir/strace.out" || true)
[ "$calls" -eq 0 ] || {
	cut -d'(' -f1 "$dir/strace.out" | sort | uniq -c >&2
	fail "the worker made $calls system calls"
}
say "no system call"

bus_stop
