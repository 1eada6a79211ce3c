#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# abi: programs built with the header of release 0.1.0, and with one that has more fields than this library knows, run
# with this library.
. "$(dirname "$0")/../support/lib.sh"

programs=$build/tests/support/abi

# imports PROGRAM: the functions of the library that it needs.
imports() { nm -D --undefined-only "$programs/$1" | grep -oE '\bmr_[a-z_]+' | sort -u; }

say "they need the functions that they were built for"
expect_match "release 0.1.0" "$(imports abi_old)" '^mr_connect$'
expect_no_match "release 0.1.0" "$(imports abi_old)" '_sized|mr_version_'
expect_match "more fields" "$(imports abi_longer)" '^mr_connect_sized$'
expect_no_match "more fields" "$(imports abi_longer)" '^mr_(connect|subscribe|call|serve|client_stats)$'

bus_start

for program in abi_old abi_now abi_longer; do
	say "$program: subjects, queues, services"
	expect_status 0 "$programs/$program"
	expect_equal "$program" "$output" 'all done'
done

say "an option that the library does not know is refused, with the cause"
expect_status 1 env MILLRACE_UNKNOWN=1 "$programs/abi_longer"
expect_match "what it says" "$errors" 'mr_connect: .*library 0\.2\.0 .*older than the program'

bus_stop
