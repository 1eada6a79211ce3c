# SPDX-License-Identifier: Apache-2.0
"""doc_page: the commands, outputs and files that a Markdown page or a manual page shows.

A page is read into a list of steps, in the order of the page. HTML comments of one line are the markers,
which readers do not see; a marker stands right before its block:

    <!-- bus: OPTIONS -->          a bus runs before the first step, at /tmp/mr, with these options of `up`
    <!-- network: -->              what follows needs root, and runs in a network namespace of its own
    <!-- run: KEY=VALUE ... -->    about the next block of commands, ```sh
        in=NAME         the terminal (default: main)
        until=REGEX     the last command stays in the foreground; go on when it printed this
        lines="NAME[:REGEX] ..."   one word for each line: its terminal, and its `until`
        every           also the first thing that each later terminal runs
        status=N        exit status of one of its commands (default: all 0)
        seconds=N       time that it may take (default 120)
        skip=REASON     is not run
        needs=PROGRAM   is not run, nor its output compared, where the program is not installed
    <!-- prints: KEY=VALUE ... --> about the next block of output, ```text
        in=NAME         the terminal, since its command was ready (default: that of the commands before it)
        match=HOW       exact (default): all that was printed, where `...` stands for anything in a line, and
                        alone for any lines; digits: the same, each number and blank may differ; part: these
                        lines are among those that were printed, in this order; none: is not compared
    <!-- press: ctrl-c in=NAME --> the reader presses Ctrl-C in that terminal, or Ctrl-Z: ctrl-z
    <!-- file: NAME -->            the next block, of any language, is a file that the reader saves
"""
import collections
import re
import shlex

Step = collections.namedtuple("Step", "kind line keys text")
FLAGS = {"run": {"every"}, "press": {"ctrl-c", "ctrl-z"}}
KEYS = {"run": {"in", "until", "lines", "status", "seconds", "skip", "needs"} | FLAGS["run"],
        "prints": {"in", "match"}, "press": {"in"} | FLAGS["press"], "bus": None, "file": None, "network": None}


class PageError(Exception):
    """A marker or a block that cannot be read."""


def marker(line, number):
    """(kind, keys) of a line that is a marker, else None."""
    found = re.fullmatch(r"\s*<!--\s*(run|prints|press|bus|file|network):\s*(.*?)\s*-->\s*", line)
    if not found:
        return None
    kind, rest = found[1], found[2]
    if kind in ("bus", "file", "network"):
        return kind, {"rest": rest}
    keys = {}
    for word in shlex.split(rest):
        key, _, value = word.partition("=")
        if key not in KEYS[kind] or (not value and key not in FLAGS.get(kind, ())):
            raise PageError(f"line {number}: {word!r} is no key of a marker {kind}:")
        keys[key] = value
    return kind, keys


def block_step(language, held, line, text):
    """The step of one fenced block, or None if it is only to be read."""
    kind, keys = held or (None, {})
    if kind == "file":
        return Step("file", line, {"name": keys["rest"]}, text)
    if language == "sh":
        if kind not in (None, "run"):
            raise PageError(f"line {line}: commands after a marker {kind}:")
        return Step("run", line, keys, text)
    if language == "text":
        if kind not in (None, "prints"):
            raise PageError(f"line {line}: output after a marker {kind}:")
        return Step("prints", line, keys, text)
    if kind is not None:
        raise PageError(f"line {line}: a marker {kind}: before a block in {language or 'no language'}")
    return Step("program", line, {}, text) if language == "c" else None


def read_page(text):
    """The steps of a Markdown page."""
    steps = []
    held = fence = None
    for number, line in enumerate(text.splitlines(), 1):
        if fence is not None:
            if line.strip() == "```":
                step = block_step(fence[0], held, fence[1], "\n".join(fence[2]) + "\n")
                steps += [step] if step else []
                fence = held = None
            else:
                fence[2].append(line[fence[3]:])
            continue
        opened = re.match(r"( *)```(\S*)\s*$", line)
        found = marker(line, number)
        if opened:
            fence = (opened[2], number, [], len(opened[1]))
        elif found and found[0] in ("bus", "press", "network"):
            steps.append(Step(found[0], number, found[1], ""))
        elif found:
            held = found
        elif line.strip() and held:
            raise PageError(f"line {number}: text between a marker and its block")
    if fence is not None:
        raise PageError(f"line {fence[1]}: the block does not end")
    return steps


def unescape(text):
    """The text of a manual page's literal display, as it is shown."""
    return text.replace("\\-", "-").replace("\\e", "\\").replace("\\(aq", "'").replace("\\&", "")


def displays(text):
    """(section, compact, line, text) of each literal display of a manual page, an mdoc(7) file."""
    section = None
    shown = None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(".Sh "):
            section = line[4:].strip()
        if line.startswith(".Bd -literal"):
            shown = (section, "-compact" in line, number, [])
        elif line.startswith(".Ed") and shown:
            yield (*shown[:3], unescape("\n".join(shown[3])) + "\n")
            shown = None
        elif shown:
            shown[3].append(line)
