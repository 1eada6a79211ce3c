#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# docs_root: in a bare Debian, `scripts/quickstart` and then every command of the tutorial and of the README's tour work
# as they are typed. Makes the root with mmdebstrap, copies the tree into it, and installs and builds there.
#
#   MILLRACE_DOCS_ROOT=1 tests/scenario/docs_root.sh      as root; some minutes, 2 GB, and a package mirror
. "$(dirname "$0")/../support/lib.sh"

[ -n "${MILLRACE_DOCS_ROOT:-}" ] || skip "downloads and builds for minutes: MILLRACE_DOCS_ROOT=1 runs it"
[ "$(id -u)" -eq 0 ] || skip "needs root"
command -v mmdebstrap >/dev/null || skip "mmdebstrap is not installed: scripts/deps docs"
patience_s=1800

root=$dir/root
# Mounts are in a namespace of their own, which ends with the command: nothing of this host is below the root then.
# shellcheck disable=SC2016
inside='mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && mount --rbind /sys "$0/sys" && mount -t tmpfs tmpfs "$0/tmp" &&
	exec chroot "$0" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
	bash -c "cd /root/millrace && $1"'

# in_root NAME COMMAND: runs it there, in the tree; its output is in NAME.out.
in_root() {
	say "in the bare root: $2"
	start "$1" unshare --mount --pid --fork --kill-child --propagation private bash -c "$inside" "$root" "$2"
	wait_child "$pid" "$1"
	tail -n 15 "$dir/$1.out"
	expect_equal "exit status of: $2" "$status" 0
}

say "a bare Debian: mmdebstrap --variant=minbase bookworm"
start mmdebstrap mmdebstrap --quiet --variant=minbase bookworm "$root"
wait_child "$pid" mmdebstrap
expect_equal "exit status of mmdebstrap" "$status" 0
cp /etc/resolv.conf "$root/etc/resolv.conf"
mkdir -p "$root/root/millrace"
(cd "$top" && git ls-files -z --cached --others --exclude-standard | tar --null -T - -c) | tar -x -C "$root/root/millrace"

in_root quickstart "scripts/quickstart"
in_root commands "tests/tools/doc-commands --as-typed --build build docs/tutorial.md README.md"
figures "$(grep '^== ' "$dir/commands.out" | cut -c 4-)"
