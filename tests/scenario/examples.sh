#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# examples: the programs of client/examples do on a real bus what they say they do.
. "$(dirname "$0")/../support/lib.sh"

# Meson calls them example-NAME or NAME.
example() {
	find "$build/client/examples" -maxdepth 1 -type f -perm -u+x \
		\( -name "$1" -o -name "example-$1" -o -name "mr-example-$1" \) | head -n 1
}
for name in publish subscribe request reply eventloop zero_copy batch; do
	[ -n "$(example "$name")" ] || fail "the example $name is not built"
done

bus_start

say "publish and subscribe"
before=$(subscriptions)
start subscribe "$(example subscribe)" -n 1 'orders.>'
subscribe_pid=$pid
wait_for "the example is subscribed" subscriptions_above "$before"
expect_status 0 "$(example publish)" orders.eu.created '{"id":1}'
wait_child "$subscribe_pid" subscribe
expect_equal "exit status of subscribe" "$status" 0
expect_match "what subscribe printed" "$(cat "$dir/subscribe.out")" 'orders\.eu\.created.*\{"id":1\}'

say "request and reply"
before=$(subscriptions)
start reply "$(example reply)" -n 1
reply_pid=$pid
wait_for "the example is subscribed" subscriptions_above "$before"
expect_status 0 "$(example request)"
expect_match "what request printed" "$output" '.'
wait_child "$reply_pid" reply
expect_equal "exit status of reply" "$status" 0

say "event loop"
before=$(subscriptions)
start eventloop "$(example eventloop)" -n 1
eventloop_pid=$pid
wait_for "the example is subscribed" subscriptions_above "$before"
subject=$("$millrace" subjects --json | jq -r '.[0].pattern' | sed 's/[*>]/x/g')
"$millrace" pub "$subject" tick
wait_child "$eventloop_pid" eventloop
expect_equal "exit status of eventloop" "$status" 0

say "batch and zero copy"
expect_status 0 "$(example batch)"
expect_status 0 "$(example zero_copy)"

bus_stop
