#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# screens: every list, and top, on terminals of two sizes, with many clients, many queues and long names.
#
#   MILLRACE_SCREENS  directory for the captured screens; default: they are not kept
. "$(dirname "$0")/../support/lib.sh"

command -v tmux >/dev/null || skip "tmux is not installed"
export LC_ALL=C.UTF-8 TERM=screen
unset NO_COLOR COLUMNS TMUX
socket=$dir/tmux.sock
screens=${MILLRACE_SCREENS:-$dir/screens}
mkdir -p "$screens"

terminal() { tmux -u -f /dev/null -S "$socket" "$@"; }
stop_terminals() { terminal kill-server 2>/dev/null || true; }
leaving+=(stop_terminals)
# Without a session the server of the terminals would end between two lists.
terminal new-session -d -s keep "read -r _" \; set-option -g history-limit 5000

# capture FILE [-S -]: the screen, with -S - also what has left it; a line that was wrapped counts as one.
capture() { terminal capture-pane -t one -p -J "${@:2}" >"$1"; }

# terminal_start COLUMNSxROWS COMMAND: in a new terminal, where `~end~` follows its output.
terminal_start() {
	terminal kill-session -t one 2>/dev/null || true
	terminal new-session -d -s one -x "${1%x*}" -y "${1#*x}" "$2; echo '~end~'; read -r _"
}

# on_screen REGEX: some line of the screen matches it.
on_screen() { capture "$dir/now" && grep -qE -- "$1" "$dir/now"; }
# ended: the command of the terminal has ended; its whole output is in $dir/now.
ended() { capture "$dir/now" -S - && grep -q '^~end~' "$dir/now"; }

# Prints the widest line of each captured screen that is wider than its terminal.
too_wide() {
	python3 - "$screens" <<-'END'
		import pathlib, sys, unicodedata
		def width(line):
		    wide = lambda c: 2 if unicodedata.east_asian_width(c) in "WF" else 1
		    return sum(0 if unicodedata.combining(c) else wide(c) for c in line)
		for path in sorted(pathlib.Path(sys.argv[1]).glob("*x*.txt")):
		    columns = int(path.stem.split("-")[-1].split("x")[0])
		    line = max((l.rstrip() for l in path.read_text().splitlines()), key=width)
		    if width(line) > columns:
		        print(f"{path.stem}: {width(line)} columns: {line}")
	END
}

# expect_screen SIZE NAME HEADER COMMAND: its header matches.
expect_screen() {
	local file=$screens/$2-$1.txt

	terminal_start "$1" "$4"
	wait_for "$2 ends" ended
	sed '/^~end~/,$d' "$dir/now" >"$file"
	expect_match "header of $2 at $1" "$(head -n 1 "$file")" "$3"
}

bus_start --port "memif,socket=$dir/m.sock,address=10.77.0.1/24" --set channels.clients_max=256 \
	--set channels.up_ring_bytes=262144 --set channels.down_ring_bytes=262144
start crowd "$build/tests/support/crowd" "$MILLRACE_SERVER" 200 300
start server "$millrace" serve --exec cat "bestellung.prüfen.größe-und-gewicht"
wait_for "the crowd is there" has_line "$dir/crowd.out" ready
served() { [ "$("$millrace" services --json | jq length)" -eq 1 ]; }
wait_for "the service is there" served
missed() { [ "$("$millrace" clients --json | jq 'map(.missed) | max')" -gt 0 ]; }
wait_for "somebody misses messages" missed

for size in 80x24 200x60; do
	say "lists at $size"
	while IFS='|' read -r name header arguments; do
		# The terminal's shell takes the command.
		expect_screen "$size" "$name" "$header" "'$millrace' $arguments"
	done <<-'END'
		clients|^SESSION  +NAME .* IN/s  +OUT/s .*MISSED|clients
		subjects|^PATTERN .*CLIENT .*SESSION|subjects
		patterns|^PATTERN .*SUBSCRIPTIONS .*CLIENTS|subjects --patterns
		sessions|^SESSION .*NAME .*PEER .*LOST .*MISSED|sessions
		slow|^SESSION .*STATE .*FOR|sessions --slow
		queues|^QUEUE .*READY .*OUT .*OLDEST .*CONSUMERS|queues
		services|^SERVICE .*CIRCUIT +WAITING .*WORKERS|services
		workers|^ *WORKER .*STATE +BUSY% .*DROPPED|workers
		ports|^PORT .*LINK .*RX .*TX|ports
		who|^SESSION .*NAME .*REASON .*ENDED|who
		counters|^SCOPE .*NAME .*VALUE|counters
		status|^version|status
	END
done
expect_equal "rows of clients" "$(grep -c '^0x' "$screens/clients-80x24.txt")" \
	"$("$millrace" clients --json | jq length)"
expect_equal "rows of queues" "$(grep -c '^jobs' "$screens/queues-80x24.txt")" 300
names_of() { sed -n 's/^\(jobs[^ ]*\) .*/\1/p' "$1"; }
for size in 80x24 200x60; do
	expect_equal "names of queues at $size that look like others" \
		"$(names_of "$screens/queues-$size.txt" | sort | uniq -d | wc -l)" 0
done
terminal_start 40x24 "'$millrace' queues"
wait_for "queues at 40 columns" ended
expect_equal "different names of queues at 40 columns" "$(names_of "$dir/now" | sort -u | wc -l)" 300
expect_match "what is not there is said" "$(tail -n 1 "$screens/clients-80x24.txt")" '^[0-9]+ more columns: --wide'
expect_match "wide columns are there at 200" "$(head -n 1 "$screens/clients-200x60.txt")" 'USER .*ADDRESS .*PID'
expect_match "the busiest is first" "$(sed -n 2p "$screens/clients-80x24.txt")" 'Lager|worker|billing|注文|lève'
expect_match "what was missed is red" \
	"$("$millrace" clients --color always --filter 'missed>0' --limit 1)" $'\033\\[31m[0-9]+\033'

say "the whole width on demand"
expect_screen 80x24 limited '^NAME +AGE' "'$millrace' clients --columns name,age --sort name --limit 3"
expect_equal "lines" "$(wc -l <"$screens/limited-80x24.txt")" 4
terminal_start 80x24 "'$millrace' clients --wide --limit 1"
wait_for "clients --wide" ended
expect_above "characters with --wide" "$(head -n 1 "$dir/now" | wc -m)" 100

say "delete asks on a terminal"
queue=$("$millrace" queues --json --filter 'name~department-003' | jq -r '.[0].name')
terminal_start 80x24 "'$millrace' queue delete '$queue'"
wait_for "the question" on_screen 'with 3 messages and 0 dead letters\? \[y/N\]'
terminal send-keys -t one n Enter
wait_for "delete ends" ended
expect_match "what was done" "$(cat "$dir/now")" 'nothing was changed'
terminal_start 80x24 "'$millrace' queue delete --force '$queue'"
wait_for "delete --force ends" ended
expect_match "what was done" "$(cat "$dir/now")" '^deleted, with 3 messages and 0 dead letters'

# expect_top SIZE: it fills the terminal and no more.
expect_top() {
	local file=$screens/top-$1.txt

	wait_for "top at $1" on_screen '^q quit'
	cp "$dir/now" "$file"
	expect_equal "lines of top at $1" "$(wc -l <"$file")" "${1#*x}"
	expect_match "head of top" "$(head -n 1 "$file")" '^millrace  [-0-9: ]+  1 worker, 20[0-9] clients'
	expect_match "workers of top" "$(sed -n 3p "$file")" 'WORKER .*BUSY% +IN/s +OUT/s'
	expect_match "clients of top" "$(grep '^SESSION' "$file")" 'NAME .*IN/s +OUT/s .*MISSED'
}

say "top"
terminal_start 80x24 "'$millrace' top --interval 100"
expect_top 80x24
first=$(grep -m 1 '^0x' "$screens/top-80x24.txt")
expect_match "the busiest client is first" "$first" '^0x'
terminal send-keys -t one n
wait_for "a key changes the order" on_screen '\[name\]'
terminal send-keys -t one PageDown
wait_for "a key turns the page" on_screen 'PgUp/PgDn 2/'
terminal send-keys -t one r
wait_for "a key reverses the order" on_screen '\[reverse\]'
terminal resize-window -t one -x 200 -y 60
wait_for "top takes the new size" on_screen '^SESSION .*TRANSPORT'
terminal send-keys -t one q
wait_for "a key ends it" ended
terminal_start 200x60 "'$millrace' top --interval 100"
expect_top 200x60

expect_equal "lines that are wider than their terminal" "$(too_wide)" ''

say "top and kick as JSON"
"$millrace" top --json --interval 100 -n 2 --limit 3 >"$dir/top.out"
expect_equal "objects, one for each interval" "$(wc -l <"$dir/top.out")" 2
expect_equal "what they have" "$(jq -c '[(.workers | length), (.clients | length), (.seconds > 0)]' "$dir/top.out" | uniq)" \
	'[1,3,true]'
expect_equal "order of the clients" "$(jq '.clients | map(.rx_per_s + .tx_per_s) | . == (sort | reverse)' "$dir/top.out" | uniq)" true
session=$("$millrace" clients --json --filter 'name~^millrace serve' | jq -r '.[0].session')
expect_equal "kick --json" "$("$millrace" kick --json "$session")" "{\"session\":\"$session\",\"closed\":true}"

kill "${started[@]}"
stop_terminals
bus_stop
