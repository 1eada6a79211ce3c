#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# hostile_sockets: floods and garbage on the sockets hinder neither the clients nor new ones.
. "$(dirname "$0")/../support/lib.sh"
. "$(dirname "$0")/../support/hostile.sh"

ulimit -n 1024
bus_start --set channels.clients_max=64
honest_start 14

say "attach socket"
attack attach-garbage
expect_match "answer to a wrong version" "$said" 'refused: -71 .*version'
attack attach-flood
expect_status 0 "$millrace" pub still.alive x
start flood "$hostile" attach-flood "$run/attach.sock" 10000
flood_pid=$pid
expect_status 0 "$millrace" pub still.alive x
wait_child "$flood_pid" "the flood"
expect_equal "exit status of the flood" "$status" 0
attack attach-silent
expect_status 0 "$millrace" pub still.alive x

say "more sessions than there is room for"
attack_counted refused_sessions sessions-hoard
expect_match "what the bus says" "$said" 'refused: -28 .+'
few() { [ "$("$millrace" status --json | jq .clients)" -lt 10 ]; }
wait_for "they are closed again" few
expect_status 0 "$millrace" pub still.alive x

say "admin socket"
attack_socket=$run/admin.sock
attack admin-garbage
expect_status 0 "$millrace" status
attack admin-silent
expect_status 0 "$millrace" status
attack_socket=''
honest_end

say "the link between the two processes: control comes back to it"
honest_start 5
attack_socket=$run/dataplane.sock
attack_counted bad_link_messages link-garbage
attack_socket=''
sub_start again 'again.>' --json -n 1
"$millrace" pub again.here x
wait_child "$pid" "sub again"
honest_end

bus_stop

if [ "$(id -u)" -eq 0 ]; then
	say "a user who may not attach does not fill the log"
	cp "$hostile" "$dir/hostile"
	chmod 755 "$dir" "$dir/hostile"
	bus_start --set access.users=1
	chmod 755 "$run"
	before=$(stat -c %s "$bus_log")
	setpriv --reuid=65534 --regid=65534 --clear-groups "$dir/hostile" attach-refused \
		"$run/attach.sock" >"$dir/attack-refused.out" 2>&1 || fail "$(tail -3 "$dir/attack-refused.out")"
	wait_for "the rest is counted" has_line "$bus_log" 'attach refused not_logged='
	figures "5,000 refusals make $(($(stat -c %s "$bus_log") - before)) bytes of log"
	expect_above "bytes left of 20,000" $((20000 - $(stat -c %s "$bus_log") + before)) 0
	expect_match "log" "$(cat "$bus_log")" 'name="nobody\\u009b"'
	bus_stop
fi
