# SPDX-License-Identifier: Apache-2.0
"""doc_pool: calls a function for several pages at the same time, each in a process of its own."""
import multiprocessing
import multiprocessing.connection
import signal
import time

SECONDS_TO_END = 150  # for a process that was told to stop: it closes its terminals


class Stopped(BaseException):
    """This process was told to stop. The page ends where it is, and closes what it has opened."""


def stop(number, _frame):
    signal.signal(number, signal.SIG_IGN)
    raise Stopped()


def cannot_stop():
    """What follows takes a bounded time and must be done."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def call(function, item, pipe):
    """In the child."""
    signal.signal(signal.SIGTERM, stop)
    pipe.send(function(item))
    pipe.close()


class Pool:
    """At most `jobs` processes. `results` yields (item, what the function returned), as they end."""

    def __init__(self, function, jobs, seconds):
        self.function, self.jobs = function, jobs
        self.end = time.monotonic() + seconds
        self.running = {}  # by the pipe for its result: (item, process)

    def start(self, item):
        ours, theirs = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.Process(target=call, args=(self.function, item, theirs))
        process.start()
        theirs.close()
        self.running[ours] = (item, process)

    def take(self, pipe):
        """The result of a process that has ended or sent it; None if it died without one."""
        item, process = self.running.pop(pipe)
        try:
            result = pipe.recv()
        except EOFError:
            result = None
        process.join()
        return item, result

    def results(self, items):
        waiting = list(items)
        try:
            while waiting or self.running:
                while waiting and len(self.running) < self.jobs and time.monotonic() < self.end:
                    self.start(waiting.pop(0))
                left = max(0.0, self.end - time.monotonic())
                done = multiprocessing.connection.wait(list(self.running), left)
                yield from [self.take(pipe) for pipe in done]
                if not done:
                    break
        finally:
            self.stop_all()
        yield from [self.take(pipe) for pipe in list(self.running)]
        yield from [(item, None) for item in waiting]

    def stop_all(self):
        """Tells the rest to stop, and waits for them; their results are in their pipes."""
        for _, process in self.running.values():
            process.terminate()
        end = time.monotonic() + SECONDS_TO_END
        for _, process in self.running.values():
            process.join(max(0.0, end - time.monotonic()))
            if process.is_alive():
                process.kill()
