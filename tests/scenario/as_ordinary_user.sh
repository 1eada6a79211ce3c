#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# as_ordinary_user: the bus needs neither root nor hugepages, and admits clients by user and group.
. "$(dirname "$0")/../support/lib.sh"
become_ordinary_user

bus_start
owner=$(id -u)
[ "$owner" -ne 0 ] || owner=65534
expect_equal "owner of the run directory" "$(stat -c %u "$run")" "$owner"
expect_equal "mode of the attach socket" "$(stat -c %a "$run/attach.sock")" 600

say "works for its own user"
sub_start sub 'orders.>' --json -n 1
sub_pid=$pid
expect_status 0 "$millrace" pub orders.eu.created '{"id":1}'
wait_child "$sub_pid" sub
expect_json "$dir/sub.out" .payload '"{\"id\":1}"'
expect_status 0 "$millrace" bench --seconds 1 --json
printf '%s\n' "$output" >"$dir/bench.out"
expect_json "$dir/bench.out" .lost 0

if [ "$(id -u)" -eq 0 ]; then
	say "root is always admitted"
	as=()
	expect_status 0 "$millrace" status
	say "another user may not"
	as=(setpriv --reuid=65533 --regid=65533 --clear-groups --no-new-privs)
	expect_status 3 "$millrace" pub orders.eu.created no
	expect_match "refusal" "$errors" 'millrace pub: .*(denied|refuse|not allowed|not permitted)'
	expect_status 3 "$millrace" status
	expect_match "refusal" "$errors" 'millrace status: .*(denied|refuse|not allowed|not permitted)'
	as=(setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs)
	bus_stop

	say "unless the configuration admits everyone"
	# `up` makes its directory for its user only; this one is for all.
	"${as[@]}" mkdir -p "$run"
	"${as[@]}" chmod 755 "$run"
	bus_start --set access.anyone=true
	as=(setpriv --reuid=65533 --regid=65533 --clear-groups --no-new-privs)
	expect_status 0 "$millrace" pub orders.eu.created yes
	expect_status 3 "$millrace" status
	as=()
fi
bus_stop
