#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# contexts: which bus a program means: options, environment, contexts and defaults; several addresses with fail-over.
. "$(dirname "$0")/../support/lib.sh"

two=$dir/two
file=$XDG_CONFIG_HOME/millrace/contexts.yaml
server=$MILLRACE_SERVER
run_dir_of() { "$millrace" "$@" status --json | jq -r .run_dir; }
two_start() {
	start two "$millrace" up --run-dir "$two"
	two_pid=$pid
	wait_for "the second bus is up" "$millrace" --run-dir "$two" ping
}

bus_start
two_start
unset MILLRACE_SERVER

say "a path is an address: of the socket, or of its run directory"
for address in "shm:$run/attach.sock" "shm:$run" "$run/attach.sock" "$run" "$run/"; do
	expect_equal "the bus of $address" "$(run_dir_of -s "$address")" "$run"
	expect_status 0 "$millrace" -s "$address" pub a b
done

say "--run-dir selects the bus of data too"
start sub "$millrace" sub a --run-dir "$two" --raw -n 1
wait_for "sub is subscribed" has_line "$dir/sub.err" subscribed
MILLRACE_SERVER=$server "$millrace" pub a two --run-dir "$two"
wait_child "$pid" sub
expect_lines "$dir/sub.out" two

say "options that contradict each other"
expect_status 2 "$millrace" status --server "$run" --run-dir "$two"
expect_match "both" "$errors" 'name different buses; leave one of them out'
expect_status 0 "$millrace" status --server "$run" --run-dir "$run/"
expect_status 2 "$millrace" status --server "$run" --context one
expect_match "both" "$errors" '--context and --server both name a bus'
expect_status 2 "$millrace" pub a b --server nonsense
expect_match "no address" "$errors" 'neither shm:PATH nor udp://HOST:PORT nor a path'

say "contexts"
expect_status 0 "$millrace" context ls --json
expect_equal "contexts at first" "$output" '[]'
"$millrace" context add one "$run"
"$millrace" context add two "shm:$two" --description 'the "second"'
expect_equal "mode of the file" "$(stat -c %a "$file")" 600
expect_status 1 "$millrace" context add one "$two"
expect_match "a name that is taken" "$errors" 'there already; change it with --force'
expect_status 2 "$millrace" context add 'no good' "$two"
expect_status 2 "$millrace" context add three nonsense
expect_status 2 "$millrace" context add three ./run
expect_status 1 "$millrace" context use on
expect_match "a name that is near another" "$errors" 'did you mean one\?'
expect_equal "--context" "$(run_dir_of --context two)" "$two"
"$millrace" context use two
expect_equal "the current context" "$(run_dir_of)" "$two"
expect_equal "the environment goes before it" "$(MILLRACE_SERVER=$server run_dir_of)" "$run"
expect_equal "an option goes before it" "$(run_dir_of -s "$run")" "$run"
"$millrace" context show --json >"$dir/show.out"
expect_json "$dir/show.out" '[.from, .name, .server]' "[\"context\",\"two\",\"shm:$two\"]"
"$millrace" context ls --json >"$dir/ls.out"
expect_json "$dir/ls.out" '[.[] | [.name, .current, .description]]' \
	'[["one",false,null],["two",true,"the \"second\""]]'

say "lines below nothing are refused with their number"
cp "$file" "$dir/kept.yaml"
printf 'contexts:\n  a:\n    later: x\ncurrent: a\n      nowhere: y\n' >"$file"
expect_status 1 "$millrace" context ls
expect_match "the line" "$errors" 'contexts.yaml:5: expected an indent'
cp "$dir/kept.yaml" "$file"

say "what this version does not know stays in the file"
printf '    credentials:\n      token: secret\n' >>"$file"
"$millrace" context add three udp://host
"$millrace" context rm three
expect_equal "credentials" "$(tail -n 2 "$file" | tr -s ' \n' ' ')" ' credentials: token: secret '
expect_equal "mode of the file" "$(stat -c %a "$file")" 600

say "a file that is damaged is named, with its line"
printf 'nonsense\n' >>"$file"
expect_status 2 "$millrace" status
expect_match "the place" "$errors" "contexts.yaml:$(wc -l <"$file"): expected KEY: VALUE"
sed -i '$d' "$file"
"$millrace" context rm two
expect_equal "the current context after its removal" "$("$millrace" context show --json | jq -r .from)" default

say "several addresses: the first that answers is used, and the next when it dies"
expect_equal "the bus" "$(run_dir_of -s "$dir/nowhere,$two")" "$two"
expect_status 3 "$millrace" pub a b -s "$dir/nowhere,$dir/neither"
expect_match "all that were tried" "$errors" "nowhere/attach.sock: no bus.*neither/attach.sock: no bus"
start over "$millrace" sub a --raw -n 1 -s "$two,$run"
wait_for "sub is subscribed" has_line "$dir/over.err" subscribed
over=$pid
kill -TERM "$two_pid"
wait_child "$two_pid" "the second bus"
wait_for "sub is connected again" has_line "$dir/over.err" 'connected again'
"$millrace" pub a over -s "$two,$run"
wait_child "$over" sub
expect_lines "$dir/over.out" over

export MILLRACE_SERVER=$server
bus_stop
