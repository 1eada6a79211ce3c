#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# cli_failures: a failure names the thing, the limit, and a next step that exists.
. "$(dirname "$0")/../support/lib.sh"

failures=0

# next_steps_exist TEXT: each `millrace VERB` in the text is a verb, and each --option an option of some verb.
next_steps_exist() {
	local word

	while read -r word; do
		grep -qx -- "$word" "$dir/verbs" || fail "'$1' names the verb $word, which does not exist"
	done < <(grep -oE '`millrace [a-z]+' <<<"$1" | cut -d' ' -f2)
	while read -r word; do
		grep -qE -- "(^|[ ,])$word([ ,=]|$)" "$dir/options" || fail "'$1' names $word, which does not exist"
	done < <(cut -d';' -f2- <<<"$1" | grep -oE -- '(^|[ ,(])--[a-z][a-z-]+' | tr -d ' ,(')
}

# failing STATUS REGEX ARGUMENT...: the command fails with this status, and says this on one line of standard error.
failing() {
	failing_with /dev/null "$@"
}

# failing_with FILE STATUS REGEX ARGUMENT...: the same, with the file as standard input.
failing_with() {
	local file=$1 expected=$2 regex=$3

	shift 3
	# shellcheck disable=SC2016 # the inner shell expands them
	expect_status "$expected" bash -c 'exec "$0" "${@:2}" <"$1"' "$millrace" "$file" "$@"
	expect_match "$*" "$errors" "$regex"
	expect_equal "output of $*" "$output" ''
	next_steps_exist "$errors"
	failures=$((failures + 1))
}

# The verbs, and every option of every verb.
"$millrace" help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p' >"$dir/verbs"
while read -r verb; do "$millrace" help "$verb"; done <"$dir/verbs" >"$dir/options"
"$millrace" help >>"$dir/options"
[ "$(wc -l <"$dir/verbs")" -ge 25 ] || fail "the help lists too few verbs"

# No context of the person who runs this counts.
export XDG_CONFIG_HOME=$dir/config
long=$(printf '%0256d' 0)

say "words"
while IFS='|' read -r -u 3 status regex words; do
	# shellcheck disable=SC2086 # the words of the command
	failing "$status" "${regex//!/|}" $words
done 3<<'ROWS'
2|^millrace: statux: no such verb; did you mean .millrace status.\?$|statux
2|^millrace: nosuch: no such verb; see .millrace help.$|help nosuch
2|^millrace: --nosuch: no such option; see .millrace help.$|--nosuch
2|^millrace sub: -t: .0. is not a number from 1 to 86400000, in ms, or a time such as 500ms|sub a -t 0
2|^millrace pub: --count: the value is missing; see .millrace help pub.$|pub a --count
2|^millrace pub: --count: .x. is not a number from 1 to 1000000000000000; see .millrace help pub.$|pub a --count x
2|^millrace pub: --promise: .maybe. is not one of best-effort\!at-least-once\!exactly-once|pub a --promise maybe
2|^millrace pub: --rate: .0. is not a number from 0.001 to 10000000|pub a --rate 0
2|^millrace pub: --rate and --sleep: both are given; leave one of them out$|pub a --rate 1 --sleep 1s
2|^millrace pub: PAYLOAD and --stdin-lines: both are given; leave one of them out$|pub a x --stdin-lines
2|^millrace push: PAYLOAD and --stdin-lines: both are given; leave one of them out$|push a x --stdin-lines
2|^millrace push: --publisher, --first-id: only exactly-once messages have ids; add --promise exactly-once$|push a x --publisher 3 --promise at-least-once
2|^millrace pub: \{\{foo\}\}: no such placeholder; expected .*, N from 1 to 65536$|pub a {{foo}} --template
2|^millrace pub: bad: not a header; expected: -H name:value$|pub a -H bad
2|^millrace pub: expected: millrace pub SUBJECT \[PAYLOAD\!-\]; see .millrace help pub.$|pub
2|^millrace pull: json: one word too many; did you mean --json\?$|pull orders json
2|^millrace pull: --to: there is no output to push; add --exec COMMAND|pull orders --to x
2|^millrace pull: --each-line: there is no queue for the lines; add --to QUEUE|pull orders --exec cat --each-line
2|^millrace reply: a: there is no answer; give exactly one of PAYLOAD, --exec and --echo$|reply a
2|^millrace serve: a: there is no answer; give one of --exec and --echo$|serve a
2|^millrace call: --stream: the parts come from standard input; leave out - and --count$|call a --stream --count 2
2|^millrace sub: .*: more than one is given; leave all but one out$|sub a --last --rate
2|^millrace sub: --interval: nothing to print at an interval; add --rate or --report$|sub a --interval 1s
2|^millrace completion: tcsh: no such shell; expected: bash, zsh or fish|completion tcsh
2|^millrace cheat: cooking: no such topic; see .millrace cheat. for all$|cheat cooking
2|^millrace queue: shows: no such action; did you mean .millrace queue show.\?$|queue shows orders
2|^millrace queue: shows: no such action; did you mean .millrace queue show.\?$|queue shows
2|^millrace queue: show: takes one queue; see .millrace help queue.$|queue show
2|^millrace queue: edit: takes one queue; see .millrace help queue.$|queue edit
2|^millrace queue: edit: needs an option; write KEY=VALUE, such as max_deliver=5$|queue edit orders
2|^millrace service: eidt: no such action; did you mean .millrace service edit.\?$|service eidt echo
2|^millrace service: sing: no such action; expected: show or edit$|service sing
2|^millrace service: show: takes one service; see .millrace help service.$|service show a b
2|^millrace queue: sing: no such action; expected: show, consumers, peek, |queue sing orders
2|^millrace queue: move: takes two queues; see .millrace help queue.$|queue move orders
2|^millrace queue: a: is the same queue; name two different queues$|queue move a a
2|^millrace kick: zz: not a session id; .millrace clients. lists them$|kick zz
2|^millrace who: zz: not a session id; .millrace clients. and .millrace who. list them$|who zz
2|^millrace bench: --size: .0. is not a number from 16 to 64512, in bytes|bench --size 0
2|^millrace top: --interval: .0. is not a number from 10 to 3600000|top --interval 0
ROWS

say "contexts"
failing 2 '^millrace context: sing: no such action; expected: add, use, ls, rm or show$' context sing
failing 2 '^millrace context: shows: no such action; did you mean .millrace context show.\?$' context shows
failing 1 '^millrace context: x: no such context; see .millrace context ls.' context use x
failing 2 '^millrace context: ADDRESS: address "y": neither shm:PATH nor udp://HOST:PORT' context add x y
failing 2 "^millrace context: a b: not a name for a context; 1 to 63 letters" context add 'a b' shm:/x
failing 2 'context x: there are no contexts; .millrace context ls. lists them, .millrace context add. makes one' \
	status --context x

say "addresses"
failing 2 'neither shm:PATH nor udp://HOST:PORT nor a path' pub a b -s nonsense
failing 2 'name different buses; leave one of them out' status -s "$dir/one" --run-dir "$dir/two"
failing 2 '--context and --server both name a bus; leave one of them out' status -s "$dir/one" --context x
failing 2 'address "udp://": expected udp://HOST:PORT, with IPv6 addresses in brackets' pub a b -s udp://
while IFS='|' read -r -u 3 regex words; do
	# shellcheck disable=SC2086 # the words of the command
	failing 2 "$regex" $words
done 3<<'ROWS'
^millrace up: --server: names a bus that runs already; say with --run-dir where the new bus is to be$|up --server /x
^millrace up: --server: names a bus that runs already; say with --run-dir|--server /x up --run-dir /y
^millrace up: --context: names a bus that runs already; say with --run-dir|up --context x
^millrace context: --server: names no context here; give the address behind the name: add NAME ADDRESS$|context add a /x --server /x
^millrace context: --run-dir: names no context here; give the name of a context: see .millrace help context.$|context ls --run-dir /x
^millrace context: --context: names no context here; give the name of a context|--context x context show
^millrace completion: bash: the script is the same for every bus; leave --server, --run-dir and --context out$|completion bash -s /x
^millrace cheat: --context: this verb uses no bus; leave it out$|cheat --context x
^millrace help: --server: this verb uses no bus; leave it out$|help up --server /x
^millrace version: --run-dir: this verb uses no bus; leave it out$|version --run-dir /x
ROWS
expect_status 0 "$millrace" --server /x --run-dir /y help up
[[ $output != *--server* && $output != *--context* && $output == *--run-dir* ]] ||
	fail "the help of up offers an option that it refuses: $output"
failing 3 "$dir/one/attach.sock: no bus listens there .*; start a bus with .millrace up., or name one with --server" \
	pub a b -s "$dir/one"
failing 3 "$dir/one/admin.sock: No such file or directory; start a bus with .millrace up." status -s "$dir/one"
failing 3 'udp://127.0.0.1:1: no bus listens there; check the bus on its host with .millrace ports.$' \
	pub a b -s udp://127.0.0.1:1
failing 3 'one/attach.sock: no bus .*; udp://127.0.0.1:1: no bus listens there' pub a b -s "$dir/one,udp://127.0.0.1:1"

say "configuration"
: >"$dir/file"
failing 1 'workers\.cuont: found an unknown key \(did you mean workers\.count\?\)' \
	up --run-dir "$run" --set workers.cuont=2
failing 1 'frob: found an unknown key; expected a key of the configuration file \(man millrace.yaml\)' \
	up --run-dir "$run" --set frob=2
failing 1 'sessions\.heartbeat_ms: found 1s3; expected a number from 100 to 60000 \(ms\), or a time such as' \
	up --run-dir "$run" --set sessions.heartbeat_ms=1s3
failing 1 'workers.count: found 99; expected a number from 1 to 32' up --run-dir "$run" --set workers.count=99
failing 1 'ports.open: found foo; expected a driver first: af_xdp, memif, tap or pci' up --run-dir "$run" --port foo
failing 1 'ports.open: found af_xdp; expected also interface=NAME' up --run-dir "$run" --port af_xdp
failing 2 '^millrace up: x: not a list of CPUs; expected: numbers and ranges' up --run-dir "$run" --cpus x
failing 2 '^millrace up: --ready-fd: Bad file descriptor; open it for the command, such as --ready-fd 3' \
	up --run-dir "$run" --ready-fd 77
failing 1 "^millrace up: $dir/none: No such file or directory; name a file that this user can read with --config$" \
	up --run-dir "$run" --config "$dir/none"
failing 1 "^millrace up: $dir/none/log: No such file or directory; name a file in a directory" \
	up --run-dir "$run" --log-file "$dir/none/log"
failing 1 "^millrace up: $dir/none/run: No such file or directory; make its parent directory, or name another with --run-dir$" \
	up --run-dir "$dir/none/run"
failing 1 "^millrace up: $dir/file: Not a directory; remove the file, or name a directory with --run-dir$" \
	up --run-dir "$dir/file"
failing 1 '^millrace up: .*: File name too long; a path of at most 79 bytes fits' up --run-dir "/tmp/$long"

bus_start

say "a bus that refuses"
"$millrace" push orders.eu a --limit 1
failing 1 "^millrace up: $run: a bus runs there; stop it, or name another directory with --run-dir$" up --run-dir "$run"
failing 5 '^millrace request: nobody: .+; start one with .millrace reply.' request nobody x
failing 5 '^millrace call: none: nobody serves it; start a worker with .millrace serve., or wait for one with --wait$' \
	call none x
failing 4 'sub: a: 0 of 1 messages came in 50 ms; give more with --timeout$' sub a -n 1 -t 50ms
failing 4 '^millrace sub: a\.b\*: b\* has no wildcard: .*; for subjects that begin with a\.b use sub --prefix$' \
	sub 'a.b*' -n 1 -t 50ms
failing 4 '^millrace sub: a\.#: # is no wildcard; > at the end stands for one or more tokens$' sub 'a.#' -n 1 -t 50ms
failing 4 '^millrace sub: a\.\*: a prefix has no wildcards; leave the \* at its end out$' sub --prefix 'a.*' -n 1 -t 50ms
failing 2 'name its directory with --run-dir' status -s udp://127.0.0.1
failing 2 '^millrace pub: a\.\.b: subject: empty token .*; expected: tokens with dots between' pub a..b x
failing 2 "^millrace pub: '': subject: empty; expected: tokens with dots between" pub '' x
failing 2 '^millrace pub: a\.\*: subject: wildcard where none is allowed; expected' pub 'a.*' x
failing 2 '^millrace pub: a b: subject: control byte or space; expected' pub 'a b' x
failing 2 'subject: too long \(255 bytes at most' pub "$long" x
failing 2 "^millrace sub: a\.>\.b: pattern: '>' is not the last token; expected: .* > at the end" sub 'a.>.b'
failing 2 '^millrace push: a b: queue: control byte or space; expected: tokens with dots' push 'a b' x
failing 2 '^millrace serve: a b: queue: control byte or space; expected: tokens with dots' serve 'a b' --echo
failing 1 '^millrace serve: mmi\.x: the bus itself serves names that begin with mmi\.; choose another' serve mmi.x --echo
failing 1 '^millrace push: orders\.eu: .*it exists already with other options.*; leave out options such as --limit' \
	push orders.eu x --limit 4
for action in show peek purge pause resume dead redrive delete export; do
	failing 1 '^millrace queue: orders\.eux: no such queue; did you mean orders\.eu\? .millrace queues. lists' \
		queue "$action" orders.eux
done
failing 1 '^millrace queue: zebra: no such queue; .millrace queues. lists those that exist$' queue show zebra
# A name that another client has chosen reaches no terminal as it is.
"$millrace" push "$(printf 'elephant\302\2332J')" x
failing 1 'elephant2J: no such queue; did you mean elephant\\xc2\\x9b2J\? ' queue show elephant2J
failing 1 '^millrace queue: a b: control byte or space; expected: tokens with dots' queue show 'a b'
failing 1 '^millrace service: zebra: no such service; .millrace services. lists those that exist$' service show zebra
failing 1 '^millrace kick: 0x0000000000000063: no such session; .millrace clients. lists' kick 99
failing 1 '^millrace who: 99: no such session is connected, .*; .millrace clients. and .millrace who. list them$' who 99
for option in --sort --columns; do
	failing 2 "^millrace queues: $option: 'foo' is no column; expected one of name worker " queues "$option" foo
done
failing 2 "^millrace queues: --filter: 'foo': expected KEY=VALUE, " queues --filter foo

say "files"
head -c 2000000 /dev/zero >"$dir/large"
failing_with "$dir/large" 1 'exceed 1048576 bytes.*; send it in parts, or raise messages.bytes_max of the bus$' pub a -
failing_with "$dir" 1 '^millrace push: standard input: Is a directory; give a file or a pipe that can be read' push a -
failing_with "$dir" 1 '^millrace pub: standard input: Is a directory; give a file or a pipe that can be read' pub a -
printf '{"payload":"x"}\nnot json\n' >"$dir/lines"
# shellcheck disable=SC2016 # the inner shell expands them
expect_status 1 bash -c '"$0" queue import copy <"$1"' "$millrace" "$dir/lines"
expect_match "a bad line" "$errors" '^millrace queue: line 2: not a JSON object; lines are as .millrace queue export.'
for line in '{"payload":"x","Priority":"high"}|Priority is an unknown key \(did you mean priority\?\)' \
	'{"payload":"x","colour":1}|colour is an unknown key'; do
	printf '{"payload":"y"}\n%s\n' "${line%%|*}" >"$dir/lines"
	# shellcheck disable=SC2016 # the inner shell expands them
	expect_status 1 bash -c '"$0" queue import keys <"$1"' "$millrace" "$dir/lines"
	expect_match "an unknown key" "$errors" "^millrace queue: line 2: ${line#*|}; lines are as .millrace queue export."
done
"$millrace" queue export copy >/dev/full 2>"$dir/full" && fail "an export to a full disk succeeds"
expect_match "a full disk" "$(cat "$dir/full")" \
	'^millrace queue: standard output: No space left on device; messages that were not written stay in the queue$'
expect_equal "messages that stay" "$("$millrace" queue show copy --json | jq .ready)" 1

[ "$failures" -ge 60 ] || fail "only $failures failures were tried"
bus_stop
