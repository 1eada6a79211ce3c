#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# idle_memory: a client over UDP takes memory when it uses it, and returns it when it is idle.
. "$(dirname "$0")/../support/lib.sh"
. "$top/tests/support/net.sh"
net_needs

# Meson sets it; malloc would then write to all memory that it gives, and none would be untouched.
unset MALLOC_PERTURB_

clients=50
kib_max=64

net_pair 1
bus_start --set workers.poll=adaptive --set sessions.heartbeat_ms=500 --set sessions.per_address_max=200 \
	--port "$(net_af_xdp)"
as=("${net_in[@]}")
expect_status 0 "$build/tests/support/idle_clients" "udp://$net_bus4:7400" $clients
figures "a client over UDP that does nothing: $output KiB"
expect_above "room below $kib_max KiB a client" $((kib_max + 1 - output)) 0
expect_status 0 "$build/tests/support/idle_clients" "udp://$net_bus4:7400" 8 4
read -r _ after <<<"$(tr '\n' ' ' <<<"$output")"
figures "a client over UDP that is idle again: $after KiB"
expect_above "room below $kib_max KiB a client" $((kib_max + 1 - after)) 0

as=()
bus_stop
