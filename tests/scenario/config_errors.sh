#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# config_errors: a configuration with a mistake is refused, with file, line and the expected value.
. "$(dirname "$0")/../support/lib.sh"

# refused LINE WHAT: the file on standard input is refused, naming its line.
refused() {
	local line=$1 what=$2

	cat >"$dir/bad.yaml"
	expect_status 1 "$millrace" up --run-dir "$run" --config "$dir/bad.yaml"
	expect_match "refusal" "$errors" "bad\.yaml:$line: $what"
	expect_match "refusal" "$errors" 'expected'
}

say "unknown keys"
refused 2 '.*cuont' <<YAML
workers:
  cuont: 2
YAML
refused 1 '.*wrokers' <<YAML
wrokers:
  count: 2
YAML

say "values of the wrong type"
refused 2 '.*count.*many' <<YAML
workers:
  count: many
YAML
refused 3 '.*poll.*often' <<YAML
workers:
  count: 1
  poll: often
YAML

say "values out of range"
refused 3 '.*count.*33' <<YAML
# a comment
workers:
  count: 33
YAML
refused 2 '.*up_ring_bytes' <<YAML
channels:
  up_ring_bytes: 300000
YAML
refused 2 '.*clients_max.*0' <<YAML
channels:
  clients_max: 0
YAML

say "no YAML at all"
expect_status 1 "$millrace" up --run-dir "$run" --config <(printf 'workers: [\n')
expect_status 1 "$millrace" up --run-dir "$run" --config "$dir/absent.yaml"
expect_match refusal "$errors" 'absent\.yaml.*([Nn]o such file|not found)'

say "on the command line"
expect_status 1 "$millrace" up --run-dir "$run" --set workers.count=none
expect_match refusal "$errors" 'workers\.count.*none.*expected'
expect_status 1 "$millrace" up --run-dir "$run" --set nothing.like=this
expect_match refusal "$errors" 'nothing'

say "a CPU that is not there, in one line"
expect_status 1 "$millrace" up --run-dir "$run" --cpus 1023
expect_match refusal "$errors" 'workers\.cpus names a CPU .*cpu=1023 allowed='
expect_equal "words of DPDK's own" "$(grep -c EAL <<<"$errors" || true)" 0

say "the annotated example is good"
bus_start --config "$top/docs/millrace.yaml"
"$millrace" pub a.b c
bus_stop
