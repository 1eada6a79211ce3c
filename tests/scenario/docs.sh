#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# docs: the commands of README, tutorial, how-to pages, concepts and manual pages work as they stand there, and print
# what the pages say. tests/tools/doc-commands runs them, each page in a directory of its own.
. "$(dirname "$0")/../support/lib.sh"

command -v python3 >/dev/null || skip "python3 is not installed"
command -v pkg-config >/dev/null || skip "pkg-config is not installed"

# All pages together take half a minute, and several on a busy machine. Over its limit doc-commands stops its pages,
# and says where each of them was.
limit_s=600
patience_s=$((limit_s + 200))
start commands "$top/tests/tools/doc-commands" --build "$build" --limit "$limit_s"
commands=$pid
wait_for "the pages are through" child_ended "$commands"
status=0
wait "$commands" || status=$?
cat "$dir/commands.out"
expect_equal "exit status of doc-commands" "$status" 0
figures "$(grep '^== ' "$dir/commands.out" | cut -c 4-)"
