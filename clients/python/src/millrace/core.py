# SPDX-License-Identifier: Apache-2.0
"""What Client and AsyncClient have in common: the C client, its callbacks, and its objects.

Nothing here waits for messages. A C callback puts what arrives into an Inbox, or gives it to the
program's function; an exception of that function is kept and raised when the C call has returned.
"""
import collections
import errno
import os
import threading
import warnings
import weakref
from typing import (Any, Callable, Deque, Generic, List, Optional, Sequence, Set, Tuple, TypeVar,
                    Union)

from ._native import entry, ffi, lib
from .errors import Error, NotConnected, error_of, text_of
from .headers import HeadersIn, build, c_text
from .options import Event, Payload, Ping, Severity, Stats, WhenAway, data_of, milliseconds

#: Messages that an iterated subscription keeps unless `pending_max` says otherwise.
PENDING_MAX = 4096

T = TypeVar("T")
_clients: "weakref.WeakSet[Connection]" = weakref.WeakSet()


class Sink:
    """The argument of C callbacks: runs functions of the program and keeps their exceptions."""

    def __init__(self, connection: "Connection", first: Callable[..., None],
                 second: Optional[Callable[..., None]] = None,
                 third: Optional[Callable[..., None]] = None) -> None:
        self.connection = connection
        self.first = first
        self.second = second
        self.third = third
        self.handle = ffi.new_handle(self)
        connection._sinks.add(self)

    def run_first(self, *arguments: Any) -> None:
        self._run(self.first, arguments)

    def run_second(self, *arguments: Any) -> None:
        if self.second is not None:
            self._run(self.second, arguments)

    def run_third(self, *arguments: Any) -> None:
        if self.third is not None:
            self._run(self.third, arguments)

    def _run(self, function: Callable[..., None], arguments: Tuple[Any, ...]) -> None:
        connection = self.connection
        connection._inside += 1
        try:
            function(*arguments)
        except BaseException as error:  # also KeyboardInterrupt: nothing may pass through C
            self.keep(error)
        finally:
            connection._inside -= 1

    def keep(self, error: BaseException) -> None:
        self.connection._raised.append(error)

    def drop(self) -> None:
        self.connection._sinks.discard(self)


class Inbox(Generic[T]):
    """What has arrived and was not read. A bounded list: one more than `most` is dropped and counted
    in `missed`, unless it is `kept`: then the owner stops receiving instead."""

    def __init__(self, most: int, kept: bool) -> None:
        if most < 1:
            raise ValueError("pending_max is at least 1")
        self.items: Deque[T] = collections.deque()
        self.most = most
        self.kept = kept
        self.missed = 0
        self.waiters: List[Callable[[], None]] = []

    def notify(self) -> None:
        """Wakes the tasks that wait for an item."""
        for wake in self.waiters:
            wake()

    def put(self, item: T) -> None:
        if len(self.items) >= self.most and not self.kept:
            self.missed += 1
            return
        self.items.append(item)
        self.notify()

    @property
    def full(self) -> bool:
        return self.kept and len(self.items) >= self.most


class Connection:
    """Base of Client and AsyncClient. One thread uses it: the one that made it, or adopt()s it."""

    def __init__(self, address: Union[str, Sequence[str], None] = None, *, name: Optional[str] = None,
                 connect_timeout: Optional[float] = None, request_timeout: Optional[float] = None,
                 spin_us: int = 0, reconnect: bool = True,
                 on_state: Optional[Callable[[bool, Optional[Error]], object]] = None,
                 on_gap: Optional[Callable[[int, int], object]] = None,
                 when_away: WhenAway = WhenAway.KEEP, away_bytes_max: int = 0) -> None:
        self._c: Any = ffi.NULL
        self._sinks: Set[Sink] = set()
        self._objects: "weakref.WeakSet[Owned]" = weakref.WeakSet()
        self._kept: List["Inbox[Any]"] = []
        self._raised: List[BaseException] = []
        self._inside = 0
        self._forked = False
        self._reconnect = reconnect
        self._on_state = on_state
        self._on_gap = on_gap
        self._log_sink: Optional[Sink] = None
        # wake() and post() of other threads: the C client is there, and posts are in their order.
        self._gate = threading.RLock()
        self._posted: Deque[Tuple[Callable[..., object], Tuple[Any, ...]]] = collections.deque()
        self._owner = threading.get_ident()
        self._request_timeout = 5.0 if request_timeout is None else request_timeout
        options = ffi.new("struct mr_options *")
        where = address if address is None or isinstance(address, str) else ",".join(address)
        texts = [ffi.NULL if text is None else ffi.new("char[]", c_text(text))
                 for text in (where, name)]
        options.name = texts[1]
        options.connect_timeout_ms = milliseconds(connect_timeout, 0)
        options.request_timeout_ms = milliseconds(request_timeout, 0)
        options.spin_us = spin_us
        options.no_reconnect = not reconnect
        options.when_away = when_away
        options.away_bytes_max = away_bytes_max
        sink = Sink(self, self._state_changed, self._gap_found)
        self._post_sink = Sink(self, self._run_posted)
        options.on_state, options.on_gap = entry["mrpy_on_state"], entry["mrpy_on_gap"]
        options.arg = sink.handle
        out = ffi.new("struct mr_client **")
        # Also without a compiler: mr_connect() itself gives the errors of release 0.1.0.
        code = lib.mr_connect_sized(texts[0], options, out, ffi.sizeof("struct mr_options"))
        if code < 0:
            raise error_of(code, text_of(lib.mr_error(ffi.NULL)))
        self._c = out[0]
        _clients.add(self)

    # ---- the thread, the C client, errors

    def adopt(self) -> None:
        """Gives the client to the calling thread. The thread that had it must be done with it."""
        if self._inside:
            raise RuntimeError("a client cannot change its thread within a callback")
        self._owner = threading.get_ident()

    def _enter(self) -> Any:
        """The C client, for a call of the right thread."""
        if self._owner != threading.get_ident():
            raise RuntimeError("this client belongs to another thread: see adopt()")
        if self._c == ffi.NULL:
            if self._forked:
                raise RuntimeError("this client belongs to the parent process: connect anew")
            raise NotConnected(errno.ENOTCONN, "the client is closed")
        return self._c

    def _failed(self, code: int) -> Error:
        return error_of(code, text_of(lib.mr_error(self._c)))

    def _check(self, code: int) -> int:
        """The result of a C call, or its error."""
        if code < 0:
            raise self._failed(code)
        return code

    def _take_raised(self) -> Optional[BaseException]:
        """The exceptions of callbacks since the last call, as one."""
        raised, self._raised = self._raised, []
        if len(raised) <= 1:
            return raised[0] if raised else None
        return BaseExceptionGroup("several callbacks failed", raised)

    def _raise_kept(self) -> None:
        error = self._take_raised()
        if error is not None:
            raise error

    def _state_changed(self, connected: bool, error: int) -> None:
        if not connected:
            self._hand(self._end_streams)
        if self._on_state is not None:
            self._hand(self._on_state, bool(connected), self._failed(error) if error < 0 else None)

    def _end_streams(self) -> None:
        for thing in list(self._objects):
            thing._connection_lost()

    def _gap_found(self, missed: int, missed_total: int) -> None:
        if self._on_gap is not None:
            self._hand(self._on_gap, missed, missed_total)

    # ---- what C callbacks bring

    #: True: messages for callbacks of the program may show memory of the bus.
    _borrows = True

    def _hand(self, function: Callable[..., object], *arguments: Any) -> None:
        """Runs a function of the program, or one that changes what the program sees."""
        function(*arguments)

    def _changed(self) -> None:
        """A call has changed when the client has work: an event loop looks anew."""

    def _run_posted(self) -> None:
        with self._gate:
            function, arguments = self._posted.popleft()
        self._hand(function, *arguments)

    # ---- other threads, timers, events

    def wake(self) -> None:
        """Ends a wait of the client's thread, or the next one. Any thread may call it."""
        with self._gate:
            lib.mr_client_wake(self._c)

    def post(self, function: Callable[..., object], *arguments: Any) -> None:
        """Has function(*arguments) run by the thread that processes the client, as a callback. Any
        thread may call it. Raises EAGAIN when 1024 wait; close() drops those that wait."""
        with self._gate:
            if self._c == ffi.NULL:
                raise NotConnected(errno.ENOTCONN, "the client is closed")
            self._posted.append((function, arguments))
            code = lib.mr_client_post(self._c, entry["mrpy_on_post"], self._post_sink.handle)
            if code < 0:
                self._posted.pop()
                raise error_of(code, text_of(lib.mr_error(ffi.NULL)))

    def timer(self, function: Callable[[], object]) -> "Timer":
        """Opens a timer, which runs the function within the calls that process. Its start() starts
        it."""
        return Timer(self, function)

    def on_log(self, function: Optional[Callable[[Severity, Event, str], object]],
               severity: Severity = Severity.WARNING) -> None:
        """Hands events of the library to a function; None ends that. It must not use the client."""
        c = self._enter()
        before, self._log_sink = self._log_sink, None
        if function is None:
            lib.mr_log_hook(c, severity, ffi.NULL, ffi.NULL)
        else:
            told = function
            self._log_sink = Sink(self, lambda s, e, text: self._hand(told, Severity(s), Event(e),
                                                                      text_of(text)))
            lib.mr_log_hook(c, severity, entry["mrpy_on_log"], self._log_sink.handle)
        if before is not None:
            before.drop()

    def _close(self) -> None:
        """Closes the C client. Its objects are closed with it."""
        if self._c == ffi.NULL:
            return
        c = self._enter()
        if self._inside:
            raise RuntimeError("a client cannot be closed within its own callback")
        with self._gate:
            self._c = ffi.NULL
        lib.mr_close(c)
        self._forget()

    def _forget(self) -> None:
        self._c = ffi.NULL
        self._posted.clear()
        for thing in list(self._objects):
            thing._p = ffi.NULL
        _clients.discard(self)

    def __del__(self) -> None:
        if getattr(self, "_c", ffi.NULL) != ffi.NULL:
            warnings.warn(f"{type(self).__name__} was not closed; its session ends with the process",
                          ResourceWarning, source=self)

    # ---- what is alike with and without asyncio

    @property
    def closed(self) -> bool:
        """True after close(), and in a process forked from the one that connected."""
        return bool(self._c == ffi.NULL)

    @property
    def connected(self) -> bool:
        """True while there is a session with all subscriptions and publishers in place."""
        return bool(lib.mr_connected(self._enter()))

    def stats(self) -> Stats:
        """The counters of this client."""
        out = ffi.new("struct mr_client_stats *")
        lib.mr_client_stats(self._enter(), out)
        return Stats(**{name: getattr(out, name) for name in Stats.__dataclass_fields__})

    def message_bytes_max(self) -> int:
        """The largest headers and payload together that the bus takes."""
        return int(lib.mr_message_bytes_max(self._enter()))

    def body_bytes_max(self, subject: str) -> int:
        """The largest headers and payload together that go unfragmented."""
        return int(lib.mr_body_bytes_max(self._enter(), c_text(subject)))

    def publish(self, subject: str, payload: Payload = b"",
                headers: Optional[HeadersIn] = None) -> None:
        """Publishes one message, best effort. Waits for room in the ring up to `request_timeout`."""
        c, block, data = self._enter(), build(headers), ffi.from_buffer(data_of(payload))
        self._check(lib.mr_publish_with(c, c_text(subject), block or ffi.NULL, len(block), data,
                                        len(data)))

    def reply(self, reply_token: Tuple[int, int], payload: Payload = b"",
              headers: Optional[HeadersIn] = None) -> None:
        """Answers the message with this `reply_token`."""
        c, block, data = self._enter(), build(headers), ffi.from_buffer(data_of(payload))
        self._check(lib.mr_reply_with(c, reply_token, block or ffi.NULL, len(block), data, len(data)))

    def cancel(self, queue: str, ticket: int) -> None:
        """Takes back the messages of a queue that have this ticket and are not due, also those of another
        client of the same user, and ends what repeats with it. Waits for the answer. ESRCH: there is
        none."""
        self._check(lib.mr_queue_cancel(self._enter(), c_text(queue), ticket))

    def cork(self, on: bool) -> None:
        """With cork on, publishes and replies gather until flush(). Turning it off flushes."""
        lib.mr_cork(self._enter(), on)

    def flush(self) -> None:
        """Lets the bus see all that was published."""
        self._check(lib.mr_flush(self._enter()))

    def ping(self, timeout: Optional[float] = None) -> Ping:
        """Measures the round trip to control."""
        handled, whole = ffi.new("uint64_t *"), ffi.new("uint64_t *")
        self._check(lib.mr_ping(self._enter(), milliseconds(timeout, -1), handled, whole))
        return Ping(handled[0], whole[0])

    def _many_options(self, timeout: Optional[float], replies_max: int, stall: Optional[float],
                      headers: Optional[HeadersIn]) -> Tuple[Any, Any]:
        """Options of a request with many replies, and the memory of its headers."""
        block = build(headers)
        memory = ffi.from_buffer(block)
        options = ffi.new("struct mr_request_many_options *")
        options.replies_max = replies_max
        options.timeout_ms = 0 if timeout is None else milliseconds(timeout, 0) or 1
        options.stall_ms = milliseconds(stall, 0)
        if block:
            options.headers, options.header_bytes = ffi.cast("char *", memory), len(block)
        return options, memory

    def _call_options(self, timeout: Optional[float], retries: Optional[int], wait: bool,
                      headers: Optional[HeadersIn]) -> Tuple[Any, Any]:
        """Options of a call, and the memory of its headers."""
        block = build(headers)
        memory = ffi.from_buffer(block)
        options = ffi.new("struct mr_call_options *")
        options.timeout_ms = milliseconds(timeout, 0)
        if retries is not None:
            options.retries = retries or 2**32 - 1
        options.wait = wait
        if block:
            options.headers, options.header_bytes = ffi.cast("char *", memory), len(block)
        return options, memory


class Owned:
    """A C object of a client: `_p` is NULL when it is closed."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._out: Any = ffi.new("void **")
        connection._objects.add(self)

    @property
    def _p(self) -> Any:
        return self._out[0]

    @_p.setter
    def _p(self, pointer: Any) -> None:
        self._out[0] = pointer

    @property
    def closed(self) -> bool:
        """True after close() of this or of its client."""
        return bool(self._p == ffi.NULL)

    def _connection_lost(self) -> None:
        """The session has ended, and with it what it had begun."""

    def _pointer(self) -> Any:
        self.connection._enter()
        if self._p == ffi.NULL:
            raise error_of(-errno.ENOENT, f"the {type(self).__name__} is closed")
        return self._p

    def _call(self, function: Callable[..., int], *arguments: Any) -> int:
        return self.connection._check(function(self._pointer(), *arguments))

    def _open(self, kind: str, function: Callable[..., int], *arguments: Any) -> None:
        """Calls a C function that makes a struct `kind`; its last parameter is where to write it."""
        # The library may hand messages out before the call returns, and has written this by then.
        self._out = ffi.new(f"struct {kind} **")
        self.connection._check(function(self.connection._enter(), *arguments, self._out))


class Timer(Owned):
    """A timer of a client, made by its timer()."""

    def __init__(self, connection: Connection, function: Callable[[], object]) -> None:
        super().__init__(connection)
        self._sink = Sink(connection, lambda: connection._hand(function))
        try:
            self._open("mr_timer", lib.mr_timer_open, entry["mrpy_on_timer"], self._sink.handle)
        except BaseException:
            self._sink.drop()
            raise

    def start(self, delay: float, period: float = 0) -> None:
        """Starts it, or sets it anew: it expires after `delay` seconds, and again after each
        `period`."""
        self._call(lib.mr_timer_start, milliseconds(delay, 0), milliseconds(period, 0))
        self.connection._changed()

    def stop(self) -> None:
        """Stops it; start() starts it again."""
        lib.mr_timer_stop(self._pointer())

    def close(self) -> None:
        """Stops and frees it."""
        if self._p != ffi.NULL:
            p, self._p = self._pointer(), ffi.NULL
            lib.mr_timer_close(p)
            self._sink.drop()

    def __enter__(self) -> "Timer":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.close()


class Readable(Generic[T]):
    """Something with an inbox that is read."""

    inbox: Inbox[T]

    def _refuse_ended(self) -> None:
        """Raises if nothing comes any more."""
        raise NotImplementedError


class Receiving(Owned, Readable[T]):
    """An object that receives: by a function of the program, or into an inbox that is read."""

    def __init__(self, connection: Connection, most: int, kept: bool,
                 function: Optional[Callable[..., object]]) -> None:
        super().__init__(connection)
        self.inbox = Inbox(most, kept)
        self._function = function
        self._sink: Optional[Sink] = None
        if kept and function is None:
            connection._kept.append(self.inbox)

    @property
    def missed(self) -> int:
        """Messages dropped here because `pending_max` of them were not read."""
        return self.inbox.missed

    @property
    def ended(self) -> bool:
        """True when no more messages come."""
        return self.closed

    def _refuse_ended(self) -> None:
        self._pointer()
        if self.ended:
            raise error_of(-errno.ENOENT, f"the {type(self).__name__} has ended")

    def _notify(self) -> None:
        """Wakes the tasks that read."""
        self.inbox.notify()

    def _take_many(self, items: List[T], most: int) -> List[T]:
        """Adds to the items those that are there, up to `most`."""
        while len(items) < most and self.inbox.items:
            items.append(self.inbox.items.popleft())
        return items

    def _unkeep(self) -> None:
        """What is unread holds the client back no more."""
        if self.inbox in self.connection._kept:
            self.connection._kept.remove(self.inbox)

    def _arrived_one(self, item: T) -> None:
        """One that the program reads."""
        self.connection._hand(self.inbox.put, item)

    def _close_with(self, function: Callable[..., int]) -> None:
        if self._p == ffi.NULL:
            return
        p, self._p = self._pointer(), ffi.NULL
        code = function(p)
        if self._sink is not None:
            self._sink.drop()
        self._unkeep()
        self._notify()
        # Ended here; the library goes on to ask the bus, or there is no bus to ask.
        if code not in (0, -errno.ETIMEDOUT, -errno.ENOTCONN):
            self.connection._check(code)


def _forget_in_child() -> None:
    """After fork(): the child must not use clients of its parent, not even to close them."""
    for client in list(_clients):
        client._forked = True
        client._forget()


os.register_at_fork(after_in_child=_forget_in_child)
