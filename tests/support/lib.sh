# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2119,SC2120
# lib: the common part of scenarios. A scenario is a script that sources this, starts real processes with it,
# and checks results with expect_*. The first expectation that fails ends it, shows the actual result
# and the logs, and exits 1. At the end it stops all that it started and fails if anything stays behind.
#
#   MILLRACE_BUILD  build directory with the programs; default: build/ at the top of the tree
#
# Nothing here sleeps for a fixed time: waits are for conditions, and bounded.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$(cd "${MILLRACE_BUILD:-$top/build}" && pwd)
millrace=$build/millrace
scenario=$(basename "$0" .sh)
# Sanitized builds and busy machines are slow; a wait that is too short would be a false alarm.
patience_s=60

say() { printf '%s\n' "-- $*"; }

# figures TEXT: reports a measurement; scripts/test shows it, also for a test that passes.
figures() { printf '%s\n' "== $*"; }

skipped=''

# Ends the scenario because it cannot run here; what it has made goes as usual.
skip() {
	skipped=yes
	echo "skip: $*"
	exit 77
}

failure=''

fail() {
	failure=$*
	printf 'FAILED: %s\n' "$*" >&2
	exit 1
}

# fail_slow WHAT: fails because something did not happen in time; shows where the programs are.
fail_slow() {
	show_processes
	fail "$@"
}

[ -x "$millrace" ] || fail "$millrace is not built"
command -v jq >/dev/null || skip "jq is not installed"

dir=$(mktemp -d "/tmp/mr-$scenario.XXXXXX")
run=$dir/run
bus=''       # pid of `millrace up`
bus_number=0 # of the buses this scenario started
started=()   # pids of background programs
as=()        # prefix that starts a program as another user
leaving=()   # commands for the end, when all programs have stopped
export MILLRACE_SERVER="shm:$run/attach.sock"
export XDG_RUNTIME_DIR=$dir/xdg XDG_CONFIG_HOME=$dir/config TMPDIR=$dir/tmp NO_COLOR=1
mkdir -m 700 "$XDG_RUNTIME_DIR"
mkdir -m 1777 "$TMPDIR"
chmod 755 "$dir"

# ---- waiting

# wait_for WHAT COMMAND...: waits until the command succeeds; fails after `patience_s`, and then shows
# the command's output, as it may have failed for another reason.
wait_for() {
	local what=$1 deadline=$((SECONDS + patience_s))

	shift
	until "$@" >/dev/null 2>&1; do
		if [ "$SECONDS" -ge "$deadline" ]; then
			("$@") 2>&1 | head -n 40 >&2 || true
			fail_slow "waited $patience_s s in vain: $what"
		fi
		sleep 0.02
	done
}

alive() { kill -0 "$1" 2>/dev/null; }
gone() { ! alive "$1"; }
has_line() { grep -qE -- "$2" "$1"; }
# lines_at_least FILE N
lines_at_least() { [ "$(wc -l <"$1")" -ge "$2" ]; }

# Waits for a child of this shell, at most `patience_s`; leaves its exit status in `status`.
wait_child() {
	local pid=$1 what=${2:-process $1}

	wait_for "$what ends" child_ended "$pid"
	status=0
	wait "$pid" || status=$?
}

# A zombie counts as ended.
child_ended() {
	[ ! -e "/proc/$1/stat" ] || [ "$(sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f1)" = Z ]
}

# ---- the bus

# bus_start [ARGUMENT...]: starts `millrace up` with the run directory, and waits until it is ready.
bus_start() {
	local line

	bus_number=$((bus_number + 1))
	bus_log=$dir/bus-$bus_number.log
	bus_out=$dir/bus-$bus_number.out
	rm -f "$dir/ready"
	mkfifo "$dir/ready"
	# Background programs of a script ignore SIGINT unless told otherwise.
	setsid "${as[@]}" env --default-signal=INT,QUIT "$millrace" up --run-dir "$run" --ready-fd 9 \
		"$@" >"$bus_out" 2>"$bus_log" </dev/null 9>"$dir/ready" &
	bus=$!
	read -r -t "$patience_s" line <"$dir/ready" || fail_slow "the bus did not come up"
	say "bus: $line"
}

# bus_stop [SIGNAL]: stops it; it must exit with 0, and all of its processes must have ended.
bus_stop() {
	local pids

	pids=$(bus_pids)
	kill -"${1:-TERM}" "$bus"
	wait_child "$bus" "millrace up"
	bus=''
	expect_equal "exit status of millrace up" "$status" 0
	for pid in $pids; do
		wait_for "process $pid of the bus ends" gone "$pid"
	done
}

bus_pids() { [ -z "$bus" ] || pgrep -P "$bus" || true; }
# Prints the pid of a child of `up`, by the name of its program.
bus_child() { pgrep -P "$bus" -f "^[^ ]*$1( |$)"; }
dataplane_pid() { bus_child millrace-dataplane; }
control_pid() { bus_child millrace-control; }
bus_child_is_not() {
	local pid

	pid=$(bus_child "$1") && [ -n "$pid" ] && [ "$pid" != "$2" ]
}

# Prints the sum of a counter over all scopes and workers; of one scope with a second argument.
counter() {
	"$millrace" counters --all --json | jq --arg name "$1" --arg scope "${2:-}" \
		'[.. | objects | select(.name? == $name and ($scope == "" or .scope == $scope)) | .value] | add // 0'
}
counter_exists() {
	[ "$("$millrace" counters --all --json |
		jq --arg name "$1" '[.. | objects | select(.name? == $name)] | length')" -gt 0 ]
}
counter_above() { [ "$(counter "$1")" -gt "$2" ]; }

# ---- programs

# start NAME COMMAND...: runs it in the background; writes NAME.out and NAME.err in $dir; sets `pid`.
start() {
	local name=$1

	shift
	# Truncates here, not in the child: otherwise a reader might see the output of an earlier program of that name.
	: >"$dir/$name.out"
	: >"$dir/$name.err"
	"$@" >"$dir/$name.out" 2>"$dir/$name.err" </dev/null &
	pid=$!
	started+=("$pid")
}

# sub_start NAME ARGUMENT...: starts `millrace sub`, which is subscribed when this returns.
sub_start() {
	local name=$1

	shift
	start "$name" "${as[@]}" "$millrace" sub "$@"
	wait_for "sub $name is subscribed" has_line "$dir/$name.err" subscribed
}

reply_start() {
	local name=$1 before

	shift
	before=$(subscriptions)
	start "$name" "${as[@]}" "$millrace" reply "$@"
	wait_for "reply $name is subscribed" subscriptions_above "$before"
}

subscriptions() { "$millrace" status --json | jq .subscriptions; }
subscriptions_above() { [ "$(subscriptions)" -gt "$1" ]; }

# bench_start NAME ARGUMENT...: starts a verified bench, which is running when this returns.
bench_start() {
	local name=$1 before

	shift
	before=$(counter published)
	start "$name" "$millrace" bench --transport shm --verify full --json "$@"
	wait_for "bench $name publishes" counter_above published "$before"
}

# bench_end NAME PID: waits for it; it must not have lost, duplicated, reordered or damaged any message.
bench_end() {
	wait_child "$2" "bench $1"
	say "bench $1: $(jq -c '{published_per_second, delivered_per_second, lost, duplicates, reordered, corrupt}' \
		"$dir/$1.out")"
	expect_json "$dir/$1.out" '.delivered_per_second > 0' true
	expect_json "$dir/$1.out" '[.lost, .duplicates, .reordered, .corrupt] | map(. // 0) | add' 0
	expect_equal "exit status of bench $1" "$status" 0
}

# Runs later commands as an unprivileged user, from a copy of the programs that this user can read.
become_ordinary_user() {
	mkdir -p "$dir/bin"
	find "$build" -maxdepth 3 -type f -perm -u+x \( -name millrace -o -name 'millrace-*' \) \
		-exec cp {} "$dir/bin/" \;
	find "$build" -maxdepth 3 -name 'libmillrace.so*' \( -type f -o -type l \) ! -name '*.p' \
		-exec cp -P {} "$dir/bin/" \;
	chmod -R a+rX "$dir/bin"
	millrace=$dir/bin/millrace
	export LD_LIBRARY_PATH=$dir/bin
	if [ "$(id -u)" -eq 0 ]; then
		as=(setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs)
		chown 65534:65534 "$dir" "$XDG_RUNTIME_DIR"
		export HOME=$dir
	fi
}

# ---- expectations

expect_equal() {
	[ "$2" = "$3" ] || fail "$1: got '$2', expected '$3'"
}

expect_above() {
	[ "$2" -gt "$3" ] || fail "$1: got $2, expected more than $3"
}

# expect_lines FILE TEXT: the file must have that content.
expect_lines() {
	printf '%s\n' "$2" | diff -u --label expected --label "${1##*/}" - "$1" >&2 ||
		fail "${1##*/} is not what was expected (diff above)"
}

# expect_match WHAT TEXT REGEX
expect_match() {
	grep -qE -- "$3" <<<"$2" || fail "$1: got '$2', expected it to match '$3'"
}

expect_no_match() {
	! grep -qE -- "$3" <<<"$2" || fail "$1: got '$2', expected it not to match '$3'"
}

# expect_json FILE FILTER VALUE
expect_json() {
	local got

	got=$(jq -c "$2" "$1") || fail "${1##*/} is not JSON: $(head -c 300 "$1")"
	[ "$got" = "$3" ] || fail "${1##*/}: $2 is $got, expected $3; all of it: $(jq -c . "$1")"
}

# expect_status STATUS COMMAND...: runs it; stores output in `output`, standard error in `errors`.
expect_status() {
	local expected=$1 got=0

	shift
	timeout -k 5 $((patience_s * 2)) "${as[@]}" "$@" >"$dir/.output" 2>"$dir/.errors" </dev/null || got=$?
	output=$(tr -d '\0' <"$dir/.output")
	errors=$(tr -d '\0' <"$dir/.errors")
	[ "$got" -ne 124 ] || [ "$expected" -eq 124 ] || show_processes
	[ "$got" -eq "$expected" ] ||
		fail "'$*' exited with $got, expected $expected; it said: $output $errors"
}

# ---- leaving

# Lists programs of this scenario that still run: their command lines name its directory.
left_processes() {
	pgrep -f -a -- "$dir/" | grep -v "^$$ " || true
}

show_logs() {
	local file

	for file in "$dir"/*.log "$dir"/*.err "$dir"/*.out; do
		[ -s "$file" ] || continue
		echo "---- ${file##*/}" >&2
		tail -c 6000 "$file" | tail -n 40 >&2
	done
}

# Shows where the programs of this scenario are: a line for each thread, with its calls if there is a debugger.
show_processes() {
	local pid

	for pid in ${started[@]+"${started[@]}"} $bus $(bus_pids); do
		child_ended "$pid" && continue
		echo "---- process $pid: $(tr '\0' ' ' <"/proc/$pid/cmdline" | head -c 200)"
		if command -v gdb >/dev/null; then
			timeout -k 5 30 gdb -p "$pid" -batch -nx -ex 'thread apply all bt 12' | stack_lines
		else
			grep -H State "/proc/$pid/task"/*/status
		fi
	done >&2 2>/dev/null || true
}

# Prints the debugger's frames, a line for each thread, innermost first.
stack_lines() {
	awk '/^Thread/ { if (line) print line; gsub(/["()]/, "", $NF); line = "thread " $NF }
		/^#/ { name = $3 == "in" ? $4 : $2; if (name !~ /^(\?\?|start_thread|clone3|__futex_.*)$/) line = line " " name }
		END { if (line) print line }' | cut -c -200
}

# Reports a command that failed outside of an expectation, with the calling functions and lines.
show_command() {
	local i calls=''

	for ((i = 2; i < ${#FUNCNAME[@]} - 1; i++)); do
		calls+=" in ${FUNCNAME[$i]}, called in line ${BASH_LINENO[$i]}"
	done
	failure="'$1' exited with $2$calls"
}

# Stops the bus without expectations, which may not fail here any more.
stop_in_finish() {
	local deadline=$((SECONDS + patience_s))

	kill -TERM "$bus" 2>/dev/null
	until child_ended "$bus"; do
		if [ "$SECONDS" -ge "$deadline" ]; then
			echo "FAILED: millrace up did not stop" >&2
			return 1
		fi
		sleep 0.02
	done
	wait "$bus" || {
		echo "FAILED: millrace up ended with status $?" >&2
		return 1
	}
	bus=''
}

# True for a child that was ended by a signal of its own fault.
crashed() {
	local code=0

	wait "$1" 2>/dev/null || code=$?
	case $code in
	132 | 134 | 135 | 136 | 139) return 0 ;; # ILL, ABRT, BUS, FPE, SEGV
	*) return 1 ;;
	esac
}

finish() {
	local status=$1 left pid command

	trap - EXIT
	[ "$status" -eq 0 ] || [ -n "$failure$skipped" ] || show_command "$2" "$status"
	if [ "$status" -eq 0 ] && [ -n "$bus" ]; then
		stop_in_finish || status=1
	fi
	# Not all of `started`: another program may have the pid of one that has ended.
	for pid in $(jobs -p) $(bus_pids); do
		kill -KILL "$pid" 2>/dev/null || true
	done
	for pid in ${started[@]+"${started[@]}"}; do
		crashed "$pid" || continue
		echo "FAILED: a program of this scenario crashed (process $pid)" >&2
		status=1
	done
	wait 2>/dev/null || true
	for command in ${leaving[@]+"${leaving[@]}"}; do
		"$command" || status=1
	done
	if grep -lE 'ERROR: [A-Za-z]+Sanitizer|runtime error:|WARNING: ThreadSanitizer|[Aa]ssertion .* failed' \
		"$dir"/*.log "$dir"/*.err >&2 2>/dev/null; then
		echo "FAILED: a program found a fault in itself (files above)" >&2
		status=1
	fi
	if [ "$status" -eq 0 ]; then
		left=$(left_processes)
		if [ -n "$left" ]; then
			echo "FAILED: still running: $left" >&2
			status=1
		fi
		left=$(find /run/netns -name "mr-*-$$" 2>/dev/null || true)
		if [ -n "$left" ]; then
			echo "FAILED: network namespaces left behind: $left" >&2
			status=1
		fi
		left=$(find "$run" "$XDG_RUNTIME_DIR" "$TMPDIR" -mindepth 1 2>/dev/null || true)
		if [ -n "$left" ]; then
			echo "FAILED: left behind: $left" >&2
			status=1
		fi
	fi
	if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
		show_logs
		echo "load of the machine: $(cat /proc/loadavg)" >&2
		# Repeats the reason, because the logs may be long and some readers see only the end.
		[ -z "$failure" ] || echo "FAILED: $failure" >&2
	fi
	rm -rf "$dir"
	exit "$status"
}
trap 'finish "$?" "$BASH_COMMAND"' EXIT
trap 'exit 130' INT TERM HUP
