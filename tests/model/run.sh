#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run: checks every state of a model with spin: its assertions, runs that stand still, and each of its ltl
# properties.
#
#   run.sh MODEL.pml    exits with 77 without spin; prints the number of states
set -euo pipefail

model=$(readlink -f "$1")
command -v spin >/dev/null || {
	echo "skip: spin is not installed"
	exit 77
}
work=$(mktemp -d /tmp/mr-model.XXXXXX)
trap 'rm -rf "$work"' EXIT
cd "$work"
cp "$model" model.pml

# check NAME PAN_ARGUMENT...
check() {
	local name=$1

	shift
	./pan "$@" >"$name.out" 2>&1 || true
	if ! grep -q 'errors: 0' "$name.out" || grep -q 'max search depth too small\|search not completed' "$name.out"; then
		cat "$name.out"
		[ ! -e model.pml.trail ] || spin -t -p -g model.pml | tail -80
		echo "FAILED: $(basename "$model"): $name"
		exit 1
	fi
	echo "$(basename "$model"): $name: $(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$name.out" | head -1) states, no error"
}

# Without warnings: spin generated this code.
spin -a model.pml >spin.out
cc -w -O2 -DSAFETY -DMEMLIM=2048 -DNOCLAIM -o pan pan.c
check "assertions and end states" -m1000000
sed -n 's/^ltl \([a-z_]*\) .*/\1/p' model.pml | while read -r property; do
	cc -w -O2 -DMEMLIM=2048 -o pan pan.c
	check "$property" -a -m1000000 -N "$property"
done
