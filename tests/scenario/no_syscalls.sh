#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# no_syscalls: a worker under load makes no system call while none of its clients sleeps.
. "$(dirname "$0")/../support/lib.sh"

command -v strace >/dev/null || skip "strace is not installed"
strace -o /dev/null true 2>/dev/null || skip "this process may not trace others"

bus_start --set workers.poll=busy
# The bench polls: a sleeping subscriber would have to be woken.
bench_start bench --seconds 10 --subscribers 2
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

trace_start() {
	rm -f "$dir/strace.out"
	strace -q -p "$worker" -o "$dir/strace.out" 2>"$dir/strace.err" &
	tracer=$!
	started+=("$tracer")
	wait_for "strace has attached" attached
}
attached() { grep -q '^TracerPid:[[:space:]]*[1-9]' "/proc/$worker/status"; }

# Sets `calls` to the number of system calls that the worker made.
trace_end() {
	kill -INT "$tracer"
	wait_child "$tracer" strace
	calls=$(grep -cE '^[a-z_0-9]+\(' "$dir/strace.out" || true)
}

# Traces the worker until that many more messages went through it.
published=$(counter published)
trace_start
after_attach=$(counter published)
wait_for "a loaded while passes" counter_above published "$((after_attach + 100000))"
trace_end
bench_end bench "$bench_pid"
say "messages during the trace: at least $((after_attach - published + 100000))"

# The counter queries go through control, not through the worker.
[ "$calls" -eq 0 ] || {
	cut -d'(' -f1 "$dir/strace.out" | sort | uniq -c >&2
	fail "the worker made $calls system calls"
}
say "no system call"

# Towards control: the only calls wake a control that announced its sleep, and a flood
# keeps it awake. Each wake is counted.
start flood "$build/tests/support/hostile" unknown-kinds "$run/attach.sock" 20000000
flood_pid=$pid
wait_for "the flood has begun" counter_above handoff_unknown 1000
bells=$(counter bells)
trace_start
records=$(counter handoff_records)
wait_for "a loaded while passes" counter_above handoff_records "$((records + 300000))"
trace_end
bells=$(($(counter bells) - bells))
records=$(($(counter handoff_records) - records))
kill -KILL "$flood_pid"
say "$records messages handed to control, $bells bells, $calls system calls"
[ "$calls" -le "$bells" ] || {
	cut -d'(' -f1 "$dir/strace.out" | sort | uniq -c >&2
	fail "the worker made $calls system calls, and only $bells were bells"
}
# On a busy machine the flood pauses whenever another program runs, and control falls asleep: then a wake comes for
# each 500 messages, otherwise for thousands. If each message woke control, it would be 1.
expect_above "messages for each bell" "$((records / (bells + 1)))" 20

bus_stop
