#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# completion: names of what is on the bus complete in the shells, in bounded time, and without harm from odd names.
. "$(dirname "$0")/../support/lib.sh"

expect_status 0 "$millrace" completion bash
script=$output
bash -n <<<"$script" || fail "the bash completion does not parse"
# completed WORD...: the completions of the last word.
completed() {
	# shellcheck disable=SC2016 # the inner shell expands them
	bash -c 'eval "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _millrace; echo "${COMPREPLY[@]}"' \
		- "$script" "$millrace" "$@"
}
ms() { echo $(($(date +%s%N) / 1000000)); }

say "--json-safe, where there is --json"
expect_equal "status" "$(completed status --json-)" --json-safe
expect_equal "up" "$(completed up --json-)" ''

say "no options that a verb refuses"
expect_equal "up" "$(completed up --ser)$(completed up --cont)$(completed up --run)" --run-dir
expect_equal "cheat" "$(completed cheat --)" --help
expect_equal "pub" "$(completed pub --ser)" --server
for shell in zsh fish; do
	expect_match "$shell" "$("$millrace" completion $shell)" 'json-safe'
done

say "without a bus: nothing, and no message"
expect_status 0 "$millrace" completion names queues
expect_equal "output and errors" "$output$errors" ''
expect_equal "completion of a queue" "$(completed push jo 2>&1)" ''

bus_start
"$millrace" push jobs.new x
"$millrace" push jobs.old x
"$millrace" push "odd\$(mkdir\${IFS}$dir/expanded)" x
sub_start one 'orders.>' 'orders.eu.*'
start serve "$millrace" serve upper --echo
wait_for "the service is there" has_line "$dir/serve.err" serving
"$millrace" context add lab "$run"
session=$("$millrace" clients --json | jq -r '.[0].session')

say "bash: names of each kind"
expect_equal "queues" "$(completed push jobs)" 'jobs.new jobs.old'
expect_equal "a queue after an action" "$(completed queue show jobs.n)" jobs.new
expect_equal "a queue as a value" "$(completed pull jobs.new --to jobs.o)" jobs.old
expect_equal "services" "$(completed call up)" upper
expect_equal "subjects" "$(completed pub orders)" 'orders.\> orders.eu.\*'
expect_equal "subjects behind a value" "$(completed pub --header a:b orders.eu)" 'orders.eu.\*'
expect_equal "subjects of an operand that may be left out" "$(completed latency orders)" 'orders.\> orders.eu.\*'
expect_match "sessions" "$(completed kick 0x)" "$session"
expect_equal "keys" "$(completed up --set workers.sp)" workers.spin_us=
expect_equal "contexts" "$(completed --context la)" lab
expect_equal "a context after an action" "$(completed context use la)" lab
expect_equal "the bus of an option" "$(MILLRACE_SERVER=/nowhere completed push jobs.n -s "$run" jobs)" ''
expect_equal "the bus of an option" "$(MILLRACE_SERVER=/nowhere completed -s "$run" push jobs.n)" jobs.new
expect_equal "verbs" "$(completed compl)" completion
expect_equal "options" "$(completed push --prio)" --priority

say "a name that a shell would expand is not offered"
expect_equal "odd names" "$(completed push odd)" ''
[ ! -e "$dir/expanded" ] || fail "the name of a queue was run as a command"

say "zsh and fish"
for shell in zsh fish; do
	expect_status 0 "$millrace" completion $shell
	expect_match "what asks for names" "$output" 'completion names'
	if command -v $shell >/dev/null; then
		$shell -n <<<"$output" || fail "the $shell completion does not parse"
	fi
done

say "a control that does not answer costs 200 ms"
kill -STOP "$(control_pid)"
before=$(ms)
expect_status 0 "$millrace" completion names queues
took=$(($(ms) - before))
kill -CONT "$(control_pid)"
expect_equal "output and errors" "$output$errors" ''
expect_above "time" "$took" 150
[ "$took" -lt 2000 ] || fail "it took $took ms"

bus_stop
