#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# start_failures: a process of the bus that cannot start, and processes of different versions, name the thing, its
# value or limit, and the next step.
. "$(dirname "$0")/../support/lib.sh"

dataplane=$(find "$build" -maxdepth 2 -name millrace-dataplane -type f)
control=$(find "$build" -maxdepth 2 -name millrace-control -type f)
mkdir "$run"

# refused STATUS REGEX COMMAND...: the command ends at once, with this status and this line of standard error.
refused() {
	local expected=$1 regex=$2

	shift 2
	expect_status "$expected" timeout $patience_s "$@"
	expect_match "$*" "$errors" "$regex"
}

# refused_limited OPTION VALUE REGEX COMMAND...: the same, with this limit of ulimit.
refused_limited() {
	local option=$1 value=$2 regex=$3

	shift 3
	# shellcheck disable=SC2016 # the inner shell expands them
	refused 1 "$regex" bash -c 'ulimit "$0" "$1" && exec "${@:2}"' "$option" "$value" "$@"
}

# patched FROM TO FOLDER: copies of the programs in which this text is another one of the same length.
patched() {
	mkdir "$3"
	for program in "$millrace" "$dataplane" "$control"; do
		LC_ALL=C sed "s/$1/$2/g" "$program" >"$3/${program##*/}"
		chmod +x "$3/${program##*/}"
	done
}

say "configuration and words"
printf 'workers: [\n' >"$dir/bad.yaml"
: >"$dir/file"
while IFS='|' read -r -u 3 regex words; do
	for program in "$dataplane" "$control"; do
		# shellcheck disable=SC2086 # the words of the command
		refused 2 "$regex" "$program" --run-dir "$run" $words
	done
done 3<<ROWS
bad.yaml:2: found a fault \(did not find expected node content\); expected YAML$|--config $dir/bad.yaml
$dir/none: cannot read it: No such file or directory; name a file that this user can read with --config$|--config $dir/none
$dir: cannot read it: Is a directory; name a file that this user can read with --config$|--config $dir
run_dir: found /tmp/0+\.\.\.; expected a path of 1 to 79 bytes$|--run-dir $(printf '/tmp/%0120d' 0)
ports.open: found 10.0.0.1/16 twice; expected addresses of its own .*; see tap0 and tap1$|--set ports.open=tap,interface=a,address=10.0.0.1/24;tap,interface=b,address=10.0.0.1/16
ports.open: found a twice; expected a PCI address, an interface, .*; see tap0 and tap1$|--set ports.open=tap,interface=a,address=10.0.0.1/24;tap,interface=a,address=10.0.1.1/16
ROWS

say "the run directory"
for program in "$dataplane" "$control"; do
	lock=${program##*millrace-}.lock
	refused 1 "$dir/none/run .*\"No such file or directory\" hint=\"make its parent directory, or name another with --run-dir" \
		"$program" --run-dir "$dir/none/run"
	refused 1 "$lock run_dir=$dir/file .*\"Not a directory\" hint=\"remove the file, or name a directory with --run-dir" \
		"$program" --run-dir "$dir/file"
	mkdir "$run/$lock"
	refused 1 "$lock run_dir=$run .*\"Is a directory\" hint=\"remove what has this name, or name another" \
		"$program" --run-dir "$run"
	rmdir "$run/$lock"
	ln -s "$dir/file" "$run/$lock"
	refused 1 "$lock run_dir=$run .*symbolic links\" hint=\"remove the symbolic link, or name another" \
		"$program" --run-dir "$run"
	rm "$run/$lock"
done
mkdir "$run/dataplane.sock" "$run/attach.sock"
refused 1 "dataplane.sock run_dir=$run .*in use\" hint=\"remove what has this name, or name" "$dataplane" --run-dir "$run"
refused 1 "attach.sock run_dir=$run .*not a socket\" hint=\"remove what has this name, or name" "$control" --run-dir "$run"
rmdir "$run/dataplane.sock" "$run/attach.sock"

say "limits"
refused_limited -n 30 'limit of open files is too low limit=30 least=48 hint="raise the limit of open files: ulimit -n, or' \
	"$dataplane" --run-dir "$run"
refused_limited -n 6 'Too many open files" hint="raise the limit of open files: ulimit -n, or' "$control" --run-dir "$run"
refused_limited -v 400000 'memory" hint="allow more memory .*, or lower workers.count, ' "$dataplane" --run-dir "$run"
refused_limited -f 64 'File too large" hint="raise the limit of file sizes: ulimit -f, or' "$dataplane" --run-dir "$run"
refused 1 'cpu=1023 allowed=.* hint="choose CPUs that are allowed, or' \
	"$dataplane" --run-dir "$run" --set 'workers.cpus=[1023]'

say "ports"
refused 1 "device=$dir/none/x .*cannot be written\" error=\"No such file or directory\" hint=\"make the directory" \
	"$dataplane" --run-dir "$run" --set "ports.open=memif,socket=$dir/none/x,role=server,address=10.0.0.1/24"
refused 1 'device=mr0none why="there is no such interface" .*hint="choose one that .ip link. lists' \
	"$dataplane" --run-dir "$run" --set ports.open=af_xdp,interface=mr0none,address=10.0.0.1/24
if [ "$(id -u)" = 0 ]; then
	refused 1 'mtu is above the limit of AF_XDP .* mtu=65536 .*af_xdp_mtu=3520 hint="set mtu=3520 or less for this port' \
		"$dataplane" --run-dir "$run" --set ports.open=af_xdp,interface=lo,address=10.0.0.1/24
fi

say "two of them in one directory, and what a killed one left behind"
bus_start
kill -KILL "$(dataplane_pid)"
wait_for "a client can attach" "$millrace" pub a b
refused 1 "dataplane.lock run_dir=$run .*another millrace-dataplane runs there\" hint=\"stop the other process, or" \
	"$dataplane" --run-dir "$run"
refused 1 "control.lock run_dir=$run .*another millrace-control runs .*\" hint=\"stop the other process, or" \
	"$control" --run-dir "$run"
bus_stop

say "a log file on a full disk"
start full "$millrace" up --run-dir "$run" --log-file /dev/full
wait_for "it is told" has_line "$dir/full.err" '/dev/full: No space left on device; free some space, or move the file'
kill "$pid"
wait_child "$pid" "millrace up"
expect_equal "exit status" "$status" 0

say "control and a data plane of another version"
patched MRSTAT06 MRSTAT99 "$dir/stats"
start plane "$dir/stats/millrace-dataplane" --run-dir "$run"
plane=$pid
start other "$control" --run-dir "$run"
wait_for "it is told" has_line "$dir/other.err" \
	'the data plane is of another version: .* version=.* hint="start both processes from one release; after an upgrade'
expect_status 3 "$millrace" pub a b --run-dir "$run"
expect_match "a client" "$errors" 'the data plane is of another version than control; look at the log of .millrace up.$'
expect_equal "lines about it" "$(grep -c 'closing the link' "$dir/other.err")" 1
kill "$plane" "$pid"
wait_child "$plane" "the data plane"
wait_child "$pid" control

say "a client and a bus of another version"
patched MRCHAN01 MRCHAN99 "$dir/channels"
start changed "$dir/channels/millrace" up --run-dir "$run"
wait_for "it is up" has_line "$dir/changed.out" 'millrace is up'
expect_status 3 "$millrace" pub a b --run-dir "$run"
expect_match "a client" "$errors" \
	"$run/attach.sock: bus .* has another layout of channels than this library, .*; client and bus must be of one release"
kill "$pid"
wait_child "$pid" "millrace up"

say "another user"
[ "$(id -u)" = 0 ] || exit 0
become_ordinary_user
dataplane=$dir/bin/millrace-dataplane
mkdir "$dir/roots"
chmod 700 "$dir/roots"
refused 1 "what=dataplane.lock run_dir=$dir/roots error=\"Permission denied\" hint=\"name a directory that this user owns" \
	"$dataplane" --run-dir "$dir/roots"
refused 1 "what=control.lock run_dir=$dir/roots .*\"Permission denied\" hint=\"name a directory that this user owns" \
	"$dir/bin/millrace-control" --run-dir "$dir/roots"
refused 1 "^millrace up: $dir/roots: Permission denied; name a directory that this user owns with --run-dir$" \
	"$millrace" up --run-dir "$dir/roots"
refused 1 'device=lo .*AF_XDP needs root" .*hint="start the data plane as root' \
	"$dataplane" --run-dir "$dir/own" --set ports.open=af_xdp,interface=lo,address=10.0.0.1/24,mtu=1500
