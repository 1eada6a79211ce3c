#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# examples: the programs of client/examples work on a real bus as their comments say.
. "$(dirname "$0")/../support/lib.sh"
. "$top/tests/support/same_examples.sh"

example() { echo "$build/client/examples/example_$1"; }
for name in publish subscribe request reply eventloop threads zero_copy batch push pull promise serve \
	call stream admin settle_and_push remind ordered retry; do
	[ -x "$(example "$name")" ] || fail "the example $name is not built"
done

bus_start

say "publish and subscribe"
start subscribe "$(example subscribe)" -n 1 'orders.>'
subscribe_pid=$pid
wait_for "the example is subscribed" has_line "$dir/subscribe.out" subscribed
expect_status 0 "$(example publish)" orders.eu.created '{"id":1}'
wait_child "$subscribe_pid" subscribe
expect_equal "exit status of subscribe" "$status" 0
expect_match "what subscribe printed" "$(cat "$dir/subscribe.out")" 'orders\.eu\.created.*\{"id":1\}'

say "request and reply"
expect_status 5 "$(example request)" greet hello
start reply "$(example reply)" -n 1 greet
reply_pid=$pid
wait_for "the example is ready" has_line "$dir/reply.out" serving
expect_status 0 "$(example request)" greet hello
expect_match "what request printed" "$output" 'HELLO'
wait_child "$reply_pid" reply
expect_equal "exit status of reply" "$status" 0

say "event loop"
expect_status 0 "$(example eventloop)"
expect_above "what it printed" "$(wc -l <<<"$output")" 1

say "threads"
expect_status 0 "$(example threads)"
expect_equal "results printed" "$(grep -c '^job' <<<"$output")" 4

say "batch and zero copy"
sub_start counted 'example.batch' -n 100 --json
counted_pid=$pid
expect_status 0 "$(example batch)" -n 100 example.batch
wait_child "$counted_pid" "the subscriber of the batch"
expect_equal "exit status of the subscriber" "$status" 0
expect_status 0 "$(example zero_copy)" -n 1000
expect_match "what zero_copy printed" "$output" '1000'

say "push and pull"
start pull "$(example pull)" -n 3 example.jobs
pull_pid=$pid
wait_for "the example is ready" has_line "$dir/pull.out" pulling
expect_status 0 "$(example push)" -n 3 example.jobs 'a job'
expect_match "what push printed" "$output" 'accepted 3'
wait_child "$pull_pid" pull
expect_equal "exit status of pull" "$status" 0
expect_equal "jobs" "$(grep -c 'a job' "$dir/pull.out")" 3

# An example by its name; a program, so that exit statuses and signals are those of the example.
mkdir "$dir/bin"
cat >"$dir/bin/example" <<-EOF
	#!/bin/sh
	name=\$1
	shift
	exec "$build/client/examples/example_\$name" "\$@"
EOF
chmod +x "$dir/bin/example"
queue_examples C "$dir/bin/example"

say "promise"
expect_status 0 "$(example promise)" -n 10000 example.promise
expect_match "what promise printed" "$output" '10000 of 10000 came, in order'

say "administration"
expect_status 0 "$(example push)" -n 2 example.admin 'a job'
expect_status 0 "$(example admin)" "$run"
expect_match "its queues" "$output" 'queue example.admin: 2 ready'
expect_match "its workers" "$output" 'worker 0: [1-9]'
expect_match "its counters" "$output" 'counter worker 0 rx_messages: [1-9]'
expect_status 0 "$(example admin)" -d example.admin
expect_status 0 "$(example admin)" -p example.admin
expect_equal "what it purged" "$output" '2 messages'
expect_status 1 "$(example admin)" -p example.nowhere
expect_match "what it says" "$errors" 'refused'

say "a service, a call, a stream"
start serve "$(example serve)" -n 3 capitals
serve_pid=$pid
wait_for "the example serves" has_line "$dir/serve.out" serving
expect_status 0 "$(example call)" capitals hello
expect_equal "what call printed" "$output" HELLO
expect_status 0 "$(example stream)" capitals one two three
expect_equal "what stream printed" "$output" $'ONE\nTWO\nTHREE\n3 parts'
# More parts than the caller takes replies at a time.
mapfile -t words < <(seq 1000)
expect_status 0 "$(example stream)" capitals "${words[@]}"
expect_equal "replies to many parts" "$(tail -n 1 <<<"$output"), $(wc -l <<<"$output") lines" '1000 parts, 1001 lines'
expect_equal "what serve complained of" "$(cat "$dir/serve.err")" ''
wait_child "$serve_pid" serve
expect_equal "exit status of serve" "$status" 0

bus_stop
