#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# stuck_log: a log that is not read, in a pipe or on a stopped terminal, stops neither process of the
# bus nor `up`; the number of dropped lines is logged when reading goes on.
. "$(dirname "$0")/../support/lib.sh"
command -v python3 >/dev/null || skip "python3 is not installed"

# Runs a program whose standard error is a pipe of one page, or a terminal stopped by Ctrl-S
# when the bus is up. Reads the log after it gets a line, and ends with the program.
cat >"$dir/stuck.py" <<'P'
import os, fcntl, pty, subprocess, sys
kind, log, go = sys.argv[1:4]
if kind == "pipe":
    far, near = os.pipe()
    fcntl.fcntl(near, fcntl.F_SETPIPE_SZ, 4096)
else:
    far, near = pty.openpty()
p = subprocess.Popen(sys.argv[4:], stderr=near, stdout=near if kind == "pty" else None,
                     pass_fds=[9], start_new_session=True)
out = open(log, "wb", buffering=0)
if kind == "pty":
    os.read(far, 1)
    os.write(far, b"\x13")
os.close(9)
open(go).readline()
if kind == "pty":
    os.write(far, b"\x11")
os.close(near)
while True:
    try:
        data = os.read(far, 65536)
    except OSError:
        break
    if not data:
        break
    out.write(data)
sys.exit(p.wait())
P

# stuck_bus KIND: sets `holder` and `bus`.
stuck_bus() {
	local line

	bus_log=$dir/bus-$1.log
	local ready=$dir/ready

	rm -f "$ready" "$dir/go"
	mkfifo "$ready" "$dir/go"
	python3 "$dir/stuck.py" "$1" "$bus_log" "$dir/go" \
		"$millrace" up --run-dir "$run" --ready-fd 9 --set log.level=debug \
		>"$dir/stuck-$1.out" 2>"$dir/stuck-$1.err" </dev/null 9>"$ready" &
	holder=$!
	started+=("$holder")
	read -r -t "$patience_s" line <"$ready" || fail "the bus did not come up"
	say "bus with its log in a $1: $line"
	bus=$(pgrep -P "$holder")
}

clients_come_and_go() {
	local i

	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		timeout $patience_s "$millrace" pub a.b x || fail "client $i cannot attach beside a stuck log"
	done
}

died_process_comes_back() {
	local dataplane

	dataplane=$(dataplane_pid)
	kill -KILL "$dataplane"
	wait_for "up starts the data plane again" bus_child_is_not millrace-dataplane "$dataplane"
	wait_for "a client attaches" timeout $patience_s "$millrace" pub a.b x
}

bus_leaves() {
	kill -TERM "$bus"
	bus=''
	echo >"$dir/go"
	wait_child "$holder" "the bus with a stuck log"
	expect_equal "exit status" "$status" 0
}

for kind in pipe pty; do
	stuck_bus "$kind"
	clients_come_and_go
	died_process_comes_back
	clients_come_and_go
	bus_leaves
	expect_match "log" "$(cat "$bus_log")" 'data plane runs'
done
