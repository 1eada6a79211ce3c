# SPDX-License-Identifier: Apache-2.0
"""doc_terminal: a bash on a pseudo-terminal, to which commands are given as a reader types them."""
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

ROWS, COLUMNS = 40, 120
# Waits end as soon as their condition holds, so these limits only say when something is wrong. Busy machines are slow.
SECONDS_TO_BEGIN = 120
SECONDS_TO_STOP = 60


class TerminalError(Exception):
    """A command that failed, or did not end or print in its time."""


def set_up(fd):
    """No echo, so that the output alone is read; a size, for programs that ask."""
    modes = termios.tcgetattr(fd)
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(fd, termios.TCSANOW, modes)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))


class Terminal:
    """One bash. `text` is all that it has printed, `seen` how much of it was compared, `ready` how much was
    printed when the command in its foreground was ready."""

    def __init__(self, directory, scratch, environment, inside=()):
        self.master, slave = pty.openpty()
        set_up(slave)
        self.scratch = pathlib.Path(scratch)
        self.text = ""
        self.seen = self.ready = self.blocks = 0
        self.busy = False
        self.bash = subprocess.Popen(
            [*inside, "bash", "--noprofile", "--norc", "--noediting", "-i"], cwd=directory, stdin=slave, stdout=slave,
            stderr=slave, start_new_session=True, close_fds=True, preexec_fn=take_terminal,
            env={**environment, "PS1": "", "PS2": "", "TERM": "dumb"})
        os.close(slave)
        self.run("set +o history\n", {0}, SECONDS_TO_BEGIN)
        self.seen = len(self.text)

    def read(self, seconds):
        """Takes what was printed, waiting up to `seconds` for something; false when the terminal is closed."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.master, 65536).decode(errors="replace")
        except OSError:
            return False
        self.text += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", data).replace("\r", "")
        return bool(data)

    def wait(self, condition, seconds, what):
        """Until the condition holds for the text; fails after `seconds`."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() >= end or not self.read(min(0.2, max(0.0, end - time.monotonic()))):
                raise TerminalError(f"{what} after {seconds} s; it printed:\n{self.unseen()}")

    def unseen(self):
        """What was printed and not compared yet, without the marks of this class and bash's job lines."""
        lines = self.text[self.seen:].split("\n")
        return "\n".join(line for line in lines if not re.match(r"@@|\[\d+\]", line))

    def type(self, text):
        os.write(self.master, text.encode())

    def begin(self, block, then=""):
        """Gives a block to bash. It stands in a file, so that no command reads the next one as its input."""
        self.blocks += 1
        file = self.scratch / f"block-{self.blocks}-{self.bash.pid}"
        file.write_text(f"mkdir {file}.begun 2>/dev/null || return\nprintf '\\n@@begun %s\\n' {self.blocks}\n"
                        + "trap 'printf \"\\n@@failed %s %s\\n\" $? \"$BASH_COMMAND\"' ERR\n"
                        + block + "\ntrap - ERR\n")
        # bash may lose a line that comes while it deals with Ctrl-C; a block that is given twice runs once.
        self.repeat(f". {file}{then}\n", f"\n@@begun {self.blocks}\n", SECONDS_TO_BEGIN, "bash does not answer")

    def repeat(self, line, answer, seconds, what):
        """Types a line, again each second, until the answer is printed."""
        start = len(self.text)
        end = time.monotonic() + seconds
        while answer not in self.text[start:]:
            if time.monotonic() >= end:
                raise TerminalError(f"{what} after {seconds} s")
            self.type("\n" + line)
            again = time.monotonic() + 1
            while answer not in self.text[start:] and time.monotonic() < again:
                self.read(0.1)

    def run(self, block, statuses, seconds):
        """Runs a block until it ends; a command whose exit status is not in `statuses` fails it."""
        if self.busy:
            raise TerminalError("a command is in the foreground of this terminal")
        start = len(self.text)
        done = f"\n@@done {self.blocks + 1}\n"
        self.begin(block, f"; printf '\\n@@done %s\\n' {self.blocks + 1}")
        self.wait(lambda: done in self.text[start:], seconds, "the commands did not end")
        for status, command in re.findall(r"\n@@failed (\d+) (.*)", self.text[start:]):
            if int(status) not in statuses:
                raise TerminalError(f"exit status {status} of: {command}; it printed:\n{self.unseen()}")
        if statuses != {0} and "@@failed" not in self.text[start:]:
            raise TerminalError(f"no command exited with {max(statuses)}")

    def run_until(self, block, pattern, seconds):
        """Runs a block whose last command stays in the foreground, until it has printed the pattern."""
        if self.busy:
            raise TerminalError("a command is in the foreground of this terminal")
        start = len(self.text)
        self.begin(block)
        self.busy = True
        self.wait(lambda: re.search(pattern, self.text[start:]) or "@@failed" in self.text[start:], seconds,
                  f"{pattern!r} was not printed")
        self.ready = len(self.text)
        if "@@failed" in self.text[start:]:
            raise TerminalError(f"a command failed:\n{self.text[start:]}")

    def settled(self):
        """True if nothing can print here any more: bash is alone, and all output has been read."""
        alone = members([self]) == [self.bash.pid]
        before = len(self.text)
        self.read(0)
        return alone and len(self.text) == before

    def press(self, key):
        """Ctrl-C or Ctrl-Z; then the foreground is free.

        The key is lost when it comes before bash has started the program. So it is pressed again every 5 s.
        """
        self.blocks += 1
        self.busy = False
        end = time.monotonic() + SECONDS_TO_STOP
        while True:
            self.type(key)
            try:
                self.repeat(f"printf '\\n@@free %s\\n' {self.blocks}\n", f"\n@@free {self.blocks}\n", 5,
                            "the foreground is not free")
                return
            except TerminalError:
                if time.monotonic() >= end:
                    raise


def close_all(terminals):
    """Ends everything that was started in these terminals, at the same time: bash, and all processes of its session."""
    bashes = sorted(terminal.bash.pid for terminal in terminals)
    signal_sessions(terminals, signal.SIGINT)
    signal_sessions(terminals, signal.SIGCONT)  # what is stopped takes its SIGINT now
    drain_until(terminals, lambda: members(terminals) == bashes, SECONDS_TO_STOP)
    signal_sessions(terminals, signal.SIGKILL)
    drain_until(terminals, lambda: not members(terminals), SECONDS_TO_STOP)
    for terminal in terminals:
        terminal.bash.wait()
        os.close(terminal.master)


def drain_until(terminals, condition, seconds):
    """Waits for a condition; reads meanwhile, because a program that cannot write does not end."""
    end = time.monotonic() + seconds
    open_ones = list(terminals)
    while not condition() and time.monotonic() < end:
        open_ones = [terminal for terminal in open_ones if terminal.read(0)]
        time.sleep(0.05)


def members(terminals):
    """The processes in the sessions of these terminals that still run."""
    sessions = {str(terminal.bash.pid) for terminal in terminals}
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(") ")[2].split() if entry.name.isdigit() else []
        except OSError:
            continue
        if len(fields) > 3 and fields[3] in sessions and fields[0] != "Z":
            found.append(int(entry.name))
    return sorted(found)


def signal_sessions(terminals, number):
    for pid in members(terminals):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def take_terminal():
    """In the child: the pseudo-terminal on descriptor 0 controls the new session."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
