# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# hostile: attacks a bus with tests/support/hostile, while honest clients work. Sourced after lib.sh.

hostile=$build/tests/support/hostile
[ -x "$hostile" ] || fail "$hostile is not built"

# attack NAME [COUNT]: makes the attack as planned; sets `said` to its output.
attack() {
	local name=$1 began

	began=$(date +%s%N)
	shift
	timeout -k 5 120 "$hostile" "$name" "${attack_socket:-$run/attach.sock}" "$@" \
		>"$dir/attack-$name.out" 2>"$dir/attack-$name.err" </dev/null ||
		fail "attack $name: $(cat "$dir/attack-$name.out" "$dir/attack-$name.err")"
	said=$(cat "$dir/attack-$name.out")
	say "attack $name, $((($(date +%s%N) - began) / 1000000)) ms${said:+: $(tail -n 1 <<<"$said")}"
}

# attack_counted COUNTER NAME [COUNT]: makes the attack as planned; the counter must rise.
attack_counted() {
	local name=$1 before

	shift
	counter_exists "$name" || fail "there is no counter $name"
	before=$(counter "$name")
	attack "$@"
	wait_for "counter $name rises after $1" counter_above "$name" "$before"
}

# Honest clients: a verified bench, and a subscriber that must get every line of a publisher.
honest_start() {
	pids_before=$(dataplane_pid)/$(control_pid)
	bench_start bench --subscribers 2 --window 4096 --seconds "${1:-8}"
	honest_pid=$pid
}

honest_end() {
	bench_end bench "$honest_pid"
	expect_equal "processes of the bus" "$(dataplane_pid)/$(control_pid)" "$pids_before"
	sub_start after 'after.>' --json -n 1
	"$millrace" pub after.the.attack whole
	wait_child "$pid" "sub after"
	expect_json "$dir/after.out" .payload '"whole"'
}
