#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# queue_keys: messages of one key go to one consumer, in order, while consumers join, freeze and die by kill -9.
. "$(dirname "$0")/../support/lib.sh"

show() { "$millrace" queue show "$1" --json | jq -r ".$2"; }
ready_is() { [ "$(show "$1" ready)" -eq "$2" ]; }
out_is() { [ "$(show "$1" outstanding)" -eq "$2" ]; }
acked_is() { [ "$(show "$1" acked)" -eq "$2" ]; }
delivered_is() { [ "$(show "$1" delivered)" -ge "$2" ]; }
# The numbers of one key's messages in the order in which they were worked on, without repetitions of the last one.
order_of() { cat "$dir"/worker.*.log 2>/dev/null | sort -n | awk -v k="$1" '$2 == k {print $3}' | uniq | tr '\n' ' '; }
in_order() { [ "$(order_of "$1")" = "$2" ]; }

bus_start
"$millrace" push k.a first --key customer-1 --policy key-shared

say "an unsettled message holds its key and no other"
"$millrace" push k.a second --key customer-1
"$millrace" push k.a other --key customer-2
"$millrace" push k.a none
mkfifo "$dir/hold"
start holder bash -c "exec '$millrace' pull k.a --ack manual <'$dir/hold' >'$dir/hold.out'"
holder=$pid
exec 5>"$dir/hold"
wait_for "all but one are delivered" out_is k.a 3
expect_equal "waits" "$(show k.a ready)" 1
expect_equal "keys in use" "$(show k.a keys)" 2
expect_equal "keys that wait" "$(show k.a keys_held)" 1
expect_equal "the busiest key" "$("$millrace" queue keys k.a --json | jq -r '.[0] | "\(.key) \(.ready) \(.unsettled)"')" \
	"customer-1 1 1"
expect_equal "its holder" "$("$millrace" queue keys k.a --json | jq -r '.[0].session')" \
	"$(show k.a 'consumer_rows[0].session')"
expect_match "as a table" "$("$millrace" queue keys k.a -n 1)" 'customer-1 .*1 .*1'
kill -9 "$holder"
exec 5>&-
wait_for "it is lost" out_is k.a 0
"$millrace" queue purge k.a --force
expect_equal "no key is left" "$(show k.a keys)" 0

say "what has no key by itself has it by a header, or by a token of its subject"
"$millrace" push k.b x -H "Customer: ann" --policy key-shared --key-from 'header Customer' --in-flight-per-key 2
"$millrace" push k.b x -H "Customer: bob"
expect_equal "keys" "$("$millrace" queue keys k.b --json | jq -r '[.[].key] | sort | join(" ")')" "ann bob"
expect_equal "options" "$(show k.b '| "\(.policy) \(.in_flight_per_key) \(.key_from)"')" "key-shared 2 header Customer"
"$millrace" push k.c x --policy key-shared --key-from 'token 2'
"$millrace" queue purge k.c --force
"$millrace" queue bind k.c 'orders.*.>'
"$millrace" pub orders.17.made x
"$millrace" pub orders.17.paid x
keys_are() { [ "$("$millrace" queue keys k.c --json | jq -r '.[] | "\(.key)=\(.ready)"')" = "$1" ]; }
wait_for "both have one key" keys_are 17=2
"$millrace" push k.d seed --policy key-shared
"$millrace" queue move k.b k.d
expect_equal "moved messages keep a given key only" "$(show k.d keys)" 0
"$millrace" push k.b y --key given
"$millrace" queue move k.b k.d
expect_equal "given" "$("$millrace" queue keys k.d --json | jq -r '.[].key')" given

say "four consumers work; one dies by kill -9, one is frozen, one joins: each key keeps its order"
cat >"$dir/work" <<'WORK'
#!/bin/bash
read -r key number
printf '%s %s %s\n' "$(date +%s%N)" "$key" "$number" >>"$1"
WORK
chmod +x "$dir/work"
"$millrace" push k.e seed --policy key-shared --ack-timeout 3s --max-deliver 50
"$millrace" queue purge k.e --force
consumer() {
	start "worker$1" "$millrace" pull k.e --exec "$dir/work $dir/worker.$1.log"
	workers[$1]=$pid
}
for i in 1 2 3 4; do consumer "$i"; done
consumers_are() { [ "$(show k.e consumers)" -eq "$1" ]; }
wait_for "they are there" consumers_are 4
for number in $(seq 12); do
	for key in $(seq 8); do echo "$key $number"; done
done >"$dir/all"
push_all() { while read -r key number; do "$millrace" push k.e "$key $number" --key "key-$key"; done; }
head -32 "$dir/all" | push_all
kill -9 "${workers[1]}"
kill -STOP "${workers[2]}"
consumer 5
tail -n +33 "$dir/all" | push_all
wait_for "the others take all but the frozen one's" delivered_is k.e 90
wait_for "all are done" acked_is k.e 96
for key in $(seq 8); do expect_equal "order of key $key" "$(order_of "$key")" "1 2 3 4 5 6 7 8 9 10 11 12 "; done
expect_equal "no key is left" "$(show k.e keys)" 0
kill -CONT "${workers[2]}"

say "what is wrong is said"
expect_status 1 "$millrace" queue keys nothing
expect_match "the name" "$errors" 'no such queue'
"$millrace" push k.f x
expect_status 1 "$millrace" queue keys k.f
expect_match "the policy" "$errors" 'not key-shared'
expect_status 1 "$millrace" queue edit k.f policy=key-shared
expect_match "the reason" "$errors" 'while the queue is empty'
"$millrace" queue purge k.f --force
expect_status 0 "$millrace" queue edit k.f policy=key-shared key_from='header X' in_flight_per_key=3
expect_equal "what edit says" "$output" $'policy=key-shared, was round-robin\nin_flight_per_key=3, was 1\nkey_from=header X, was none'
expect_status 2 "$millrace" queue edit k.f key_from=subject
expect_match "the forms" "$errors" 'header NAME'
expect_status 2 "$millrace" push k.f x --key ''
expect_match "the form" "$errors" '1 to 255'
