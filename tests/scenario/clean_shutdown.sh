#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# clean_shutdown: after Ctrl-C both processes have ended and no file remains.
. "$(dirname "$0")/../support/lib.sh"

# With a fresh /tmp, /run and /dev/shm, every file in them afterwards is the bus's.
private=false
if [ "$(id -u)" -eq 0 ] && unshare --mount true 2>/dev/null; then
	private=true
	if [ -z "${MILLRACE_PRIVATE:-}" ]; then
		trap - EXIT
		rm -rf "$dir"
		MILLRACE_PRIVATE=1 exec unshare --mount --propagation private "$BASH" "$0"
	fi
	say "with a /tmp, /run and /dev/shm of its own"
	# The build may be below /tmp, and $dir is.
	rm -rf "$dir"
	mount --bind "$build" /mnt
	mount -t tmpfs none /dev/shm
	mount -t tmpfs none /run
	mount -t tmpfs none /tmp
	build=/mnt
	millrace=$build/millrace
	mkdir -p "$XDG_RUNTIME_DIR" "$TMPDIR"
	chmod 700 "$XDG_RUNTIME_DIR"
fi
outside() {
	if $private; then
		find /tmp /run /dev/shm -mindepth 1 -path "$dir" -prune -o -print
	else
		find /dev/shm /var/run/dpdk -mindepth 1 -name '*millrace*' 2>/dev/null || true
	fi
}

say "a healthy start without a warning; SIGHUP, SIGUSR1 and SIGUSR2 end nothing"
bus_start
expect_no_match "the log" "$(cat "$dir"/bus-*.log)" ' (warn|error) '
children=$(bus_pids)
for pid in $children; do
	kill -HUP "$pid"
	kill -USR1 "$pid"
	kill -USR2 "$pid"
done
kill -HUP "$bus"
wait_for "up says that it goes on" has_line "$dir/bus-1.log" 'SIGHUP: the bus goes on'
"$millrace" pub some.thing x
expect_equal "processes of the bus" "$(bus_pids)" "$children"
bus_stop

say "a log file is rotated without a line lost"
bus_start --log-file "$dir/bus.log"
wait_for "the log goes to the file" has_line "$dir/bus.log" 'control runs'
mv "$dir/bus.log" "$dir/bus.log.1"
kill -USR1 "$bus"
wait_for "the file is made again" test -e "$dir/bus.log"
"$millrace" pub some.thing x
wait_for "lines go to the new file" has_line "$dir/bus.log" 'session opened'
refused() { [ "$(grep -c 'bus.log: cannot be opened again: .*; the old file stays' "$dir/bus.log.2")" -ge "$1" ]; }
say "a FIFO that nobody reads, or a link that another user made, is not taken for it"
mv "$dir/bus.log" "$dir/bus.log.2"
mkfifo "$dir/bus.log"
kill -USR1 "$bus"
wait_for "it is refused" refused 1
rm "$dir/bus.log"
if [ "$(id -u)" -eq 0 ]; then
	echo victim >"$dir/victim"
	ln -s "$dir/victim" "$dir/bus.log"
	chown -h 65534 "$dir/bus.log"
	kill -USR1 "$bus"
	wait_for "it is refused, too" refused 2
	"$millrace" pub some.thing x
	expect_equal "the file that it names" "$(cat "$dir/victim")" victim
	rm "$dir/bus.log"
fi
mv "$dir/bus.log.2" "$dir/bus.log"
kill -USR1 "$bus"
bus_stop
expect_match "the end of the log" "$(cat "$dir/bus.log")" 'data plane stopped'
expect_no_match "the old file" "$(cat "$dir/bus.log.1")" 'data plane stopped'
expect_status 1 "$millrace" up --run-dir "$run" --log-file "$dir/none/bus.log"
expect_match "what up says" "$errors" 'none/bus.log: No such file or directory'

for signal in INT TERM; do
	for round in 1 2; do
		say "SIG$signal, round $round"
		before=$(outside)
		bus_start
		sub_start "sub-$signal-$round" '>'
		sub_pid=$pid
		"$millrace" pub some.thing x
		children=$(bus_pids)
		expect_equal "processes of the bus" "$(wc -w <<<"$children")" 2
		if [ "$signal" = INT ] && [ "$round" = 1 ]; then
			# Like a terminal: signals the whole process group.
			kill -INT -- "-$bus"
			wait_child "$bus" "millrace up"
			bus=''
			expect_equal "exit status of millrace up" "$status" 0
		else
			bus_stop "$signal"
		fi
		for pid in $children; do
			wait_for "process $pid ends" gone "$pid"
		done
		wait_for "the subscriber hears of it" has_line "$dir/sub-$signal-$round.err" '.*(gone|lost|away|disconnect|not connected)'
		kill -TERM "$sub_pid"
		wait_child "$sub_pid" sub
		expect_equal "in the run directory" "$(find "$run" -mindepth 1 2>/dev/null)" ''
		expect_equal "files outside" "$(outside)" "$before"
	done
done

say "the children die with up, even if it is killed"
bus_start
children=$(bus_pids)
kill -KILL "$bus"
for pid in $children; do
	wait_for "process $pid ends" gone "$pid"
done
wait_child "$bus"
bus=''

say "and what such a death leaves does not keep the next bus from starting"
bus_start
"$millrace" pub some.thing x
bus_stop
