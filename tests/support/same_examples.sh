# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# same_examples: the examples that each language has, with what they print and how they exit. They have the same
# arguments and output in all languages. Source lib.sh first, and start a bus.
#
#   same_examples LANGUAGE COMMAND...    `COMMAND... NAME` runs an example; publish sends the header language: LANGUAGE
#   queue_examples LANGUAGE COMMAND...   runs those of options of queues alone

same_examples() {
	language=$1
	shift
	run_example=("$@")
	examples_publish
	examples_request
	examples_group
	examples_queue
	examples_promise
	examples_service
	examples_options
}

queue_examples() {
	language=$1
	shift
	run_example=("$@")
	examples_options
}

examples_options() {
	examples_settle_and_push
	examples_remind
	examples_ordered
	examples_retry
}

# example_start NAME READY EXAMPLE ARGUMENT...: starts it in the background; READY is a line that says it is ready.
example_start() {
	local name=$1 ready=$2

	shift 2
	start "$name" "${run_example[@]}" "$@"
	wait_for "the example $name is ready" has_line "$dir/$name.out" "^$ready$"
}

# example_end NAME PID TEXT: it must end by itself, with 0, after it has printed TEXT.
example_end() {
	wait_child "$2" "the example $1"
	expect_equal "exit status of $1" "$status" 0
	expect_lines "$dir/$1.out" "$3"
}

examples_publish() {
	local here

	say "$language: publish and subscribe"
	example_start subscriber subscribed subscribe -n 2 'orders.>'
	here=$pid
	expect_status 0 "${run_example[@]}" publish orders.eu.created '{"id":1}'
	expect_equal "what publish printed" "$output" 'published to orders.eu.created'
	"$millrace" pub orders.us.created hello
	example_end subscriber "$here" 'subscribed
orders.eu.created: {"id":1} (from '"$language"')
orders.us.created: hello'
	expect_status 2 "${run_example[@]}" publish
	expect_status 1 "${run_example[@]}" publish 'not a subject' x
	expect_match "why it was refused" "$errors" '^publish: .*subject'
}

examples_request() {
	local here

	say "$language: request and reply"
	expect_status 5 "${run_example[@]}" request greet hello
	example_start replier serving reply -n 2 greet
	here=$pid
	expect_status 0 "${run_example[@]}" request greet hello
	expect_equal "what request printed" "$output" HELLO
	expect_equal "an answer to the command line" "$("$millrace" request greet 'and you')" 'AND YOU'
	example_end replier "$here" 'serving
served 2'
}

examples_group() {
	local first second

	say "$language: a queue group"
	example_start one subscribed group -n 10 group.numbers workers
	first=$pid
	example_start two subscribed group -n 10 group.numbers workers
	second=$pid
	seq 1 20 | "$millrace" pub group.numbers --stdin-lines
	wait_child "$first" "the first member"
	wait_child "$second" "the second member"
	grep -hv subscribed "$dir/one.out" "$dir/two.out" | sort -n >"$dir/shares"
	expect_lines "$dir/shares" "$(seq 1 20)"
	expect_above "share of the first member" "$(lines "$dir/one.out")" 1
	expect_above "share of the second member" "$(lines "$dir/two.out")" 1
}

lines() { wc -l <"$1"; }

examples_queue() {
	local here

	say "$language: push and pull"
	expect_status 0 "${run_example[@]}" push -n 3 ten.jobs 'a job'
	expect_equal "what push printed" "$output" 'accepted 3'
	expect_status 0 "${run_example[@]}" push ten.jobs bad
	example_start puller pulling pull -n 5 ten.jobs
	here=$pid
	"$millrace" push ten.jobs 'the last'
	example_end puller "$here" 'pulling
a job
a job
a job
the last'
	expect_equal "the rejected job" "$("$millrace" pull ten.jobs.dead -n 1 --json | jq -r .payload)" bad
}

examples_promise() {
	say "$language: promise"
	expect_status 0 "${run_example[@]}" promise -n 5000 ten.promise
	expect_equal "what promise printed" "$output" '5000 of 5000 came, in order'
}

examples_service() {
	local here

	say "$language: serve and call"
	expect_status 5 "${run_example[@]}" call ten.capitals hello
	example_start server serving serve -n 2 ten.capitals
	here=$pid
	expect_status 0 "${run_example[@]}" call ten.capitals hello
	expect_equal "what call printed" "$output" HELLO
	expect_equal "a call of the command line" "$("$millrace" call ten.capitals 'and you')" 'AND YOU'
	example_end server "$here" 'serving
served 2'
}

examples_settle_and_push() {
	local here

	say "$language: settle and push"
	example_start stage pulling settle_and_push -n 2 ten.orders ten.bills ten.parcels
	here=$pid
	"$millrace" push ten.orders chair
	"$millrace" push ten.orders table
	example_end stage "$here" pulling
	expect_status 0 "$millrace" pull ten.bills --raw -n 2
	expect_equal "the bills" "$output" $'to pay: chair\nto pay: table'
	expect_status 0 "$millrace" pull ten.parcels --raw -n 2
	expect_equal "the parcels" "$output" $'chair\ntable'
}

examples_remind() {
	say "$language: delayed and repeated messages, cancelled ones"
	expect_status 0 "${run_example[@]}" remind -n 3 ten.reminders 'tea is ready'
	expect_equal "what remind printed" "$output" 'cancelled tomorrow
tea is ready
again
again
again
cancelled again'
	expect_equal "schedules that are left" "$("$millrace" queue schedules ten.reminders --json | jq length)" 0
	expect_status 2 "${run_example[@]}" remind
}

examples_ordered() {
	say "$language: the order of a key"
	expect_status 0 "${run_example[@]}" ordered -n 3 ten.ordered
	expect_equal "what ordered printed, by order" "$(sort -s -k1,1 <<<"$output")" 'order-1 paid
order-1 packed
order-1 shipped
order-2 paid
order-2 packed
order-2 shipped
order-3 paid
order-3 packed
order-3 shipped'
	expect_equal "messages that are left" "$("$millrace" queue show ten.ordered --json | jq '.ready + .outstanding')" 0
}

examples_retry() {
	say "$language: retries and the reason of a dead letter"
	expect_status 0 "${run_example[@]}" retry -n 3 ten.mails 'to: anna'
	expect_equal "what retry printed" "$output" 'attempt 1, error before: -
attempt 2, error before: no host in attempt 1
attempt 3, error before: no host in attempt 2
dead letter: to: anna, reason: max-deliver, attempts: 3, last error: no host in attempt 3'
	expect_equal "dead letters that are left" "$("$millrace" queue dead ten.mails --json | jq length)" 0
}
