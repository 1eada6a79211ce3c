#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# services: callers are answered, whichever worker dies.
. "$(dirname "$0")/../support/lib.sh"

bus_start

mmi() { "$millrace" call "mmi.$1" "$2"; }
mmi_says() { [ "$(mmi "$1" "$2")" = "$3" ]; }
workers_are() { [ "$(mmi workers echo)" = "$1" ]; }

say "no worker of the service: 404"
expect_equal "mmi.service echo" "$(mmi service echo)" 404
expect_equal "mmi.nonsense" "$(mmi nonsense echo)" 501

say "three workers"
for worker in 1 2 3; do
	start "serve$worker" "$millrace" serve echo --exec cat
	eval "serve$worker=$pid"
done
wait_for "three workers" workers_are 3
expect_equal "mmi.service echo" "$(mmi service echo)" 200
expect_status 0 "$millrace" call echo 'hello there'
expect_equal "the answer" "$output" 'hello there'
head -c 300000 /dev/urandom | base64 >"$dir/large"
"$millrace" call echo - --raw <"$dir/large" >"$dir/large.back"
cmp "$dir/large" "$dir/large.back" || fail "a large request came back changed"

say "one dies with a request in hand: another answers"
start slow1 "$millrace" serve slow --exec "echo begun >>'$dir/begun'; until [ -e '$dir/go' ]; do sleep 0.01; done"
slow1=$pid
start caller "$millrace" call slow 'do it' --wait --timeout 60000
caller=$pid
wait_for "the request is in hand" test -s "$dir/begun"
start slow2 "$millrace" serve slow --exec cat
slow2=$pid
wait_for "two workers" mmi_says workers slow 2
kill -KILL "$slow1" # it would never have answered
wait_child "$caller" "the caller"
expect_equal "exit status of the caller" "$status" 0
expect_lines "$dir/caller.out" 'do it'
touch "$dir/go"
kill -TERM "$slow2"
wait_child "$slow2" "the second worker"

say "all are killed: 404, and a call fails as nobody is there"
# shellcheck disable=SC2154
kill -KILL "$serve1" "$serve2" "$serve3"
wait_for "404" mmi_says service echo 404
expect_status 5 "$millrace" call echo anybody --timeout 20000

say "mmi. cannot be served"
expect_status 1 "$millrace" serve mmi.service --exec cat
bus_stop
