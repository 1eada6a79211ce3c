#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# memif.sh: compares the bus and dpdk-testpmd, each behind a memif port, under the same generator.
# Needs neither root nor hugepages. See lib.sh for the options.
#
# The generator is memif's server and starts first: testpmd does not wait for its server.
. "$(dirname "$0")/lib.sh"

serve() {
	rm -f "$dir/m.sock"
	generator_start "$1" --memif "$dir/m.sock,server" "${@:2}"
	wait_for "the generator" grep -q '^waiting for the other end' "$dir/generator.log"
}

testpmd_run() {
	serve "$@"
	testpmd_start "net_memif0,role=client,socket=$dir/m.sock,socket-abstract=no,bsize=2048,rsize=11"
	generator_end "$1" "$pid"
}

bus_run() {
	serve "$@"
	bus_start "memif,socket=$dir/m.sock,address=10.77.0.1/24"
	generator_end "$1" "$pid"
}

compare testpmd_run bus_run
