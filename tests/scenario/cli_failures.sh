#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# cli_failures: a failure names the thing, the limit, and a next step that exists.
. "$(dirname "$0")/../support/lib.sh"

# failing STATUS REGEX ARGUMENT...: the command fails with this status, and says this on one line of standard error.
failing() {
	local expected=$1 regex=$2

	shift 2
	expect_status "$expected" "$millrace" "$@"
	expect_match "$*" "$errors" "$regex"
	expect_equal "output of $*" "$output" ''
}

say "words"
failing 2 '^millrace: statux: no such verb; did you mean .millrace status.\?$' statux
failing 2 '^millrace sub: -t: .0. is not a number from 1 to 86400000, in ms, or a time such as 500ms' sub a -t 0
failing 2 '^millrace pub: --count: the value is missing; see .millrace help pub.$' pub a --count
failing 2 '^millrace pub: --promise: .maybe. is not one of best-effort\|at-least-once\|exactly-once' pub a --promise maybe
failing 2 '^millrace pub: expected: millrace pub SUBJECT \[PAYLOAD\|-\]; see .millrace help pub.$' pub
failing 2 '^millrace completion: tcsh: no such shell; expected: bash, zsh or fish' completion tcsh
failing 2 '^millrace cheat: cooking: no such topic; see .millrace cheat. for all$' cheat cooking
failing 2 '^millrace context: sing: no such action; expected: add, use, ls, rm or show$' context sing

say "addresses"
failing 2 'neither shm:PATH nor udp://HOST:PORT nor a path' pub a b -s nonsense
failing 2 'name different buses; leave one of them out' status -s "$dir/one" --run-dir "$dir/two"
failing 2 '--context and --server both name a bus; leave one of them out' status -s "$dir/one" --context x
failing 2 'context x: there are no contexts' status --context x
failing 3 "$dir/one/attach.sock: no bus listens there .*; start a bus with .millrace up., or name one with --server" \
	pub a b -s "$dir/one"
failing 3 "$dir/one/admin.sock: No such file or directory; start a bus with .millrace up." status -s "$dir/one"

say "configuration"
failing 1 'workers\.cuont: found an unknown key \(did you mean workers\.count\?\)' \
	up --run-dir "$run" --set workers.cuont=2
failing 1 'sessions\.heartbeat_ms: found 1s3; expected a number from 100 to 60000 \(ms\), or a time such as' \
	up --run-dir "$run" --set sessions.heartbeat_ms=1s3

bus_start

say "a bus that refuses"
failing 5 '^millrace request: nobody: .+; start one with .millrace reply.' request nobody x
failing 2 'name its directory with --run-dir' status -s udp://127.0.0.1

bus_stop
