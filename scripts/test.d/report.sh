# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# report: counts results and prints them, one line each. Sourced by scripts/test.

passed_count=0
failed_names=()
failed_causes=() # a line for each of them
skipped_names=()

# True if the name matches an --only, or no --only was given. A step runs if a test in it may match.
wanted() {
	local pattern

	[ "${#only[@]}" -gt 0 ] || return 0
	for pattern in "${only[@]}"; do
		[[ $1 == *"$pattern"* ]] && return 0
	done
	return 1
}

passed() {
	passed_count=$((passed_count + 1))
	printf 'ok       %s\n' "$1"
}

# Lines of a log that say what went wrong, and lines with such words that do not.
cause_words='FAIL|WRONG|[Ww]rong|not ok|[Aa]ssertion|ERROR|[Ee]rror:|Traceback|runtime error|in vain'
cause_words+='|but expected|, expected|Segmentation|core dumped|[Tt]imed out'
no_cause_words='(^|[^0-9])0 (wrong|fail|error)|^ *(ok|PASS)[: ]|[Ff]ail(ed|ures?)?:? +0$'

# Prints at most N lines of a log that say what went wrong.
causes() {
	grep -aE -- "$cause_words" "$1" | grep -avE -- "$no_cause_words" | cut -c -300 | head -n "$2"
}

# failed NAME REASON [LOG [LINES]]: counts it; prints the lines of its log that say what went wrong, then the end of
# the log. A log of this script may be cut in the middle by those who show it.
failed() {
	local cause=''

	failed_names+=("$1")
	printf 'FAILED   %s: %s\n' "$1" "$2"
	if [ -n "${3:-}" ]; then
		cause=$(causes "$3" 1)
		if [ -n "$cause" ]; then
			echo "    what went wrong:"
			causes "$3" 30 | sed 's/^/    ! /'
		else
			cause=$(grep -a . "$3" | tail -n 1 | cut -c -300)
		fi
		echo "    the end of its output:"
		show_log "$3" "${4:-100}"
	fi
	failed_causes+=("$2${cause:+: ${cause#"${cause%%[![:space:]]*}"}}")
}

skipped() {
	skipped_names+=("$1")
	printf 'skipped  %s: %s\n' "$1" "$2"
}

# Prints the end of a log.
show_log() {
	sed 's/^/    | /' <(tail -n "${2:-100}" "$1")
}

# Runs a command as one test; its output goes to a log, which is printed if it fails. Status 77 means
# skipped, with the last line of output as the reason.
run_one() {
	local name=$1 log status=0

	shift
	wanted "$name" || return 0
	log=$logs/${name//[\/: ]/-}.log
	"$@" >"$log" 2>&1 || status=$?
	case $status in
	0) passed "$name" ;;
	77) skipped "$name" "$(tail -n 1 "$log")" ;;
	*)
		failed "$name" "exit status $status" "$log"
		;;
	esac
}

# follow_tests NAME LOG COMMAND...: runs `meson test`; each test that passes is shown as it ends. Failures are shown
# by report_meson, with their output.
follow_tests() {
	local prefix=$1 log=$2 line shown=$SECONDS ended=0 of='?'

	shift 2
	while true; do
		if read -r -t 8 line; then
			printf '%s\n' "$line" >&7
			[[ $line =~ ^([0-9]+)/([0-9]+)\ .*/\ ([^ ]+)\ +(OK|EXPECTEDFAIL|FAIL|TIMEOUT|ERROR)\ +([0-9.]+)s ]] || continue
			ended=${BASH_REMATCH[1]} of=${BASH_REMATCH[2]} shown=$SECONDS
			case ${BASH_REMATCH[4]} in
			OK | EXPECTEDFAIL) printf 'ok       %s: %s  %s s\n' "$prefix" "${BASH_REMATCH[3]}" "${BASH_REMATCH[5]}" ;;
			*) printf 'failed   %s: %s  (its output follows when all have run)\n' "$prefix" "${BASH_REMATCH[3]}" ;;
			esac
		elif [ $? -gt 128 ]; then # nothing came for 8 s
			printf '         %s: %s of %s tests have ended; the last one %s s ago\n' "$prefix" "$ended" "$of" \
				"$((SECONDS - shown))"
		else
			break
		fi
	done 7>"$log" < <("$@" 2>&1 </dev/null)
}

# Prints the results of `meson test` from its log, which has one JSON object a line.
report_meson() {
	local prefix=$1 json=$2 name result reason figures

	while IFS=$'\t' read -r name result reason figures; do
		name="$prefix: $name"
		case $result in
		OK | EXPECTEDFAIL)
			passed_count=$((passed_count + 1)) # follow_tests has shown it
			[ -z "$figures" ] || printf '%b\n' "$figures" | sed "s/^/           ${name#"$prefix: "}: /"
			;;
		SKIP) skipped "$name" "$reason" ;;
		*)
			jq -r --arg name "${name#"$prefix: "}" \
				'select(.name | endswith(" / " + $name) or . == $name) | (.stdout // ""), (.stderr // "")' "$json" \
				>"$logs/failed.tmp"
			failed "$name" "$result" "$logs/failed.tmp"
			rm -f "$logs/failed.tmp"
			;;
		esac
	done < <(jq -r '[(.name | sub("^.* / "; "")), .result,
		(((.stdout // "") + "\n" + (.stderr // "")) | [scan("(?m)^skip: (.*)$")] | flatten | last // "no reason given"),
		((.stdout // "") | [scan("(?m)^== (.*)$")] | flatten | join("\n"))
		] | @tsv' "$json")
}

# The failures again, a line each, and the totals.
summary() {
	local line i

	for i in "${!failed_names[@]}"; do
		printf 'failed   %s: %s\n' "${failed_names[$i]}" "${failed_causes[$i]}"
	done
	line="$passed_count passed, ${#failed_names[@]} failed"
	[ "${#skipped_names[@]}" -eq 0 ] || line+=", ${#skipped_names[@]} skipped"
	echo "$line"
	[ "${#failed_names[@]}" -eq 0 ]
}
