#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# cpp_examples: the programs of clients/cpp/examples work on a real bus as their comments say, and the C++ header adds
# ownership and exceptions without a leak.
. "$(dirname "$0")/../support/lib.sh"
. "$top/tests/support/same_examples.sh"
[ -x "$build/clients/cpp/example_publish" ] || skip "the C++ examples are not built"

# An example by its name; a program, so that exit statuses and signals are those of the example.
mkdir "$dir/bin"
cat >"$dir/bin/example" <<-EOF
	#!/bin/sh
	name=\$1
	shift
	exec "$build/clients/cpp/example_\$name" "\$@"
EOF
chmod +x "$dir/bin/example"

bus_start --set sessions.show_sender=true
same_examples C++ "$dir/bin/example"

say "ownership, exceptions, names"
expect_status 0 "$build/tests/support/cpp_behaviour"
expect_match "the last behaviour" "$output" the_next_of_several_addresses

say "options of queues"
expect_status 0 "$build/tests/support/cpp_queues"
expect_match "the last behaviour" "$output" outputs_are_pushed_without_waiting

say "publishes while the bus is away"
start away "$build/tests/support/cpp_behaviour" away
away=$pid
wait_for "its clients are connected" has_line "$dir/away.out" '^connected$'
bus_stop
wait_for "it has published" has_line "$dir/away.out" '^away$'
bus_start --set sessions.show_sender=true
wait_child "$away" "the program whose bus went"
expect_equal "its exit status: $(tail -n 1 "$dir/away.out")" "$status" 0
bus_stop
