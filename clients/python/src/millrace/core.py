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
from .message import Delivery, Message, Request
from .options import (Event, Payload, Ping, Priority, Promise, QueueOptions, Severity, Stats, WhenAway,
                      copy_fields, data_of, milliseconds)

#: Messages that an iterated subscription keeps unless `pending_max` says otherwise.
PENDING_MAX = 4096

T = TypeVar("T")
_clients: "weakref.WeakSet[Connection]" = weakref.WeakSet()


class Sink:
    """The argument of C callbacks: runs functions of the program and keeps their exceptions."""

    def __init__(self, connection: "Connection", first: Callable[..., None],
                 second: Optional[Callable[..., None]] = None) -> None:
        self.connection = connection
        self.first = first
        self.second = second
        self.handle = ffi.new_handle(self)
        connection._sinks.add(self)

    def run_first(self, *arguments: Any) -> None:
        self._run(self.first, arguments)

    def run_second(self, *arguments: Any) -> None:
        if self.second is not None:
            self._run(self.second, arguments)

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
        code = lib.mr_connect(texts[0], options, out)
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
        if self._on_state is not None:
            self._hand(self._on_state, bool(connected), self._failed(error) if error < 0 else None)

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


class Receiving(Owned, Generic[T]):
    """An object that receives: by a function of the program, or into an inbox that is read."""

    def __init__(self, connection: Connection, most: int, kept: bool,
                 function: Optional[Callable[[T], object]]) -> None:
        super().__init__(connection)
        self.inbox: Inbox[T] = Inbox(most, kept)
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
        if self.inbox in self.connection._kept:
            self.connection._kept.remove(self.inbox)
        self.inbox.notify()
        # Ended here; the library goes on to ask the bus, or there is no bus to ask.
        if code not in (0, -errno.ETIMEDOUT, -errno.ENOTCONN):
            self.connection._check(code)


class SubscriptionBase(Receiving[Message]):
    """A subscription."""

    def __init__(self, connection: Connection, pattern: str,
                 callback: Optional[Callable[[Message], object]], group: Optional[str], prefix: bool,
                 promise: Promise, high_water: int, pending_max: int) -> None:
        super().__init__(connection, pending_max, promise != Promise.BEST_EFFORT, callback)
        self.pattern = pattern
        options = ffi.new("struct mr_subscribe_options *")
        name = ffi.NULL if group is None else ffi.new("char[]", c_text(group))
        options.group, options.prefix = name, prefix
        options.promise, options.high_water = promise, high_water
        self._on_end: Optional[Callable[[], object]] = None
        self._sink = Sink(connection, self._arrived, self._come_to_end)
        try:
            self._open("mr_subscription", lib.mr_subscribe, c_text(pattern), options,
                       entry["mrpy_on_message"], self._sink.handle)
        except BaseException:
            self._sink.drop()
            raise
        lib.mr_subscription_on_end(self._p, entry["mrpy_on_end"], self._sink.handle)

    def _arrived(self, m: Any) -> None:
        if self._function is None:
            self._arrived_one(Message(self.connection, m, borrow=False))
            return
        message = Message(self.connection, m, borrow=self.connection._borrows)
        try:
            self.connection._hand(self._function, message)
        finally:
            message._expire()

    def _come_to_end(self) -> None:
        self.connection._hand(self.inbox.notify)
        if self._on_end is not None:
            self.connection._hand(self._on_end)

    def on_end(self, function: Optional[Callable[[], object]]) -> None:
        """Sets the function that is called when the subscription has ended by unsubscribe_after(),
        drain() or finish() of the client."""
        self._on_end = function

    def unsubscribe_after(self, messages: int) -> None:
        """Ends the subscription after so many messages, counted from its start. Does not wait."""
        self._call(lib.mr_unsubscribe_after, messages)
        self.connection._changed()

    def drain(self) -> None:
        """Asks the bus for no more; the subscription ends when what the bus has given was handed out.
        Does not wait."""
        self._call(lib.mr_subscription_drain)
        self.connection._changed()

    @property
    def ended(self) -> bool:
        """True when no more messages come; those that wait can still be read."""
        return self.closed or bool(lib.mr_subscription_ended(self._p))

    @property
    def count(self) -> int:
        """Messages handed out so far."""
        return int(lib.mr_subscription_count(self._pointer()))


class PublisherBase(Owned):
    """A subject resolved to a number, with a promise for its messages."""

    def __init__(self, connection: Connection, subject: str, promise: Promise,
                 publisher: Optional[str], next_id: int) -> None:
        super().__init__(connection)
        self.subject = subject
        options = ffi.new("struct mr_publisher_options *")
        name = ffi.NULL if publisher is None else ffi.new("char[]", c_text(publisher))
        options.promise, options.publisher, options.next_id = promise, name, next_id
        self._open("mr_publisher", lib.mr_publisher_open_with, c_text(subject), options)

    def try_send(self, payload: Payload = b"", headers: Optional[HeadersIn] = None) -> bool:
        """Publishes one message if there is room. False: the ring or the window is full."""
        block, data = build(headers), ffi.from_buffer(data_of(payload))
        code = lib.mr_publisher_send_with(self._pointer(), block or ffi.NULL, len(block), data,
                                          len(data))
        if code == -errno.EAGAIN:
            return False
        self.connection._check(code)
        return True

    def close(self) -> None:
        """Closes the publisher. Promised messages are settled before by settle() of the client."""
        if self._p != ffi.NULL:
            p, self._p = self._pointer(), ffi.NULL
            lib.mr_publisher_close(p)


class QueueBase(Owned):
    """A queue opened for pushing."""

    def __init__(self, connection: Connection, name: str, promise: Promise,
                 publisher: Optional[str], next_id: int, options: Optional[QueueOptions],
                 on_outcome: Optional[Callable[[int, Optional[Error]], object]]) -> None:
        super().__init__(connection)
        self.name = name
        self._on_outcome = on_outcome
        c_options = ffi.new("struct mr_push_options *")
        publisher_name = ffi.NULL if publisher is None else ffi.new("char[]", c_text(publisher))
        c_options.promise, c_options.publisher, c_options.next_id = promise, publisher_name, next_id
        copy_fields(options, c_options.queue)
        self._sink = Sink(connection, self._came_out)
        c_options.on_outcome, c_options.arg = entry["mrpy_on_outcome"], self._sink.handle
        try:
            self._open("mr_queue", lib.mr_queue_open, c_text(name), c_options)
        except BaseException:
            self._sink.drop()
            raise

    def _came_out(self, identity: int, error: int) -> None:
        if self._on_outcome is not None:
            self.connection._hand(self._on_outcome, identity, error_of(error) if error < 0 else None)

    @property
    def unaccepted(self) -> int:
        """Pushes that the bus has not accepted yet."""
        return int(lib.mr_queue_unaccepted(self._pointer()))

    def try_push(self, payload: Payload = b"", headers: Optional[HeadersIn] = None,
                 priority: Priority = Priority.NORMAL, id: int = 0,
                 publisher: int = 0) -> Optional[int]:
        """Pushes one message if there is room. Returns its number, 0 without a promise; None: the ring
        or the window of open pushes is full."""
        block, data = build(headers), ffi.from_buffer(data_of(payload))
        memory = ffi.from_buffer(block)
        push = ffi.new("struct mr_push *")
        if block:
            push.headers, push.header_bytes = ffi.cast("char *", memory), len(block)
        push.payload, push.bytes = ffi.cast("void *", data), len(data)
        push.priority, push.id, push.publisher = priority, id, publisher
        out = ffi.new("uint64_t *")
        code = lib.mr_push_with(self._pointer(), push, out)
        if code == -errno.EAGAIN:
            return None
        self.connection._check(code)
        return int(out[0])

    def close(self) -> None:
        """Closes the handle, and forgets pushes that are not accepted: settle() the client before."""
        if self._p != ffi.NULL:
            p, self._p = self._pointer(), ffi.NULL
            lib.mr_queue_close(p)
            self._sink.drop()


class ConsumerBase(Receiving[Delivery]):
    """A consumer of a queue."""

    def __init__(self, connection: Connection, queue: str,
                 callback: Optional[Callable[[Delivery], object]], prefetch: int, weight: int,
                 manual: bool, options: Optional[QueueOptions]) -> None:
        # The prefetch bounds what is unsettled, and so the inbox.
        super().__init__(connection, 65535, False, callback)
        self.queue = queue
        self._manual = manual
        self._last: Optional[Delivery] = None
        c_options = ffi.new("struct mr_consume_options *")
        c_options.prefetch, c_options.weight = prefetch, weight
        # What waits in the inbox is not done: the C library must not settle it.
        c_options.manual = manual or callback is None
        copy_fields(options, c_options.queue)
        self._sink = Sink(connection, self._arrived, self._recalled)
        try:
            self._open("mr_consumer", lib.mr_consume, c_text(queue), c_options,
                       entry["mrpy_on_delivery"], self._sink.handle)
        except BaseException:
            self._sink.drop()
            raise
        lib.mr_consumer_on_recall(self._p, entry["mrpy_on_recall"], self._sink.handle)
        lib.mr_consumer_renew(self._p, callback is None)

    def _arrived(self, d: Any) -> None:
        self._p = d.consumer
        if self._function is None:
            self._arrived_one(Delivery(self, d, borrow=False))
            return
        delivery = Delivery(self, d, borrow=self.connection._borrows)
        try:
            self.connection._hand(self._function, delivery)
        finally:
            delivery._expire()

    def _recalled(self, tag: int) -> None:
        self.connection._hand(self._forget_tag, tag)

    def _forget_tag(self, tag: int) -> None:
        for delivery in list(self.inbox.items):
            if delivery.tag == tag:
                self.inbox.items.remove(delivery)
        if self._last is not None and self._last.tag == tag:
            self._last.recalled = True

    def _settle_last(self) -> None:
        """Without `manual`: the program asks for the next delivery, so the one before is done."""
        last, self._last = self._last, None
        if last is None or last.settled or last.recalled or self._manual:
            return
        try:
            last.ack()
        except Error as error:
            if error.name != "ENOENT":  # taken back meanwhile: another consumer gets it
                raise

    def renew(self, on: bool) -> None:
        """True: deliveries that the program holds are renewed while the client is processed."""
        lib.mr_consumer_renew(self._pointer(), on)

    @property
    def ack_timeout_ms(self) -> int:
        """The acknowledgement time-out of the queue, ms; 0: not known."""
        return int(lib.mr_consumer_ack_timeout_ms(self._pointer()))

    @property
    def max_deliver(self) -> int:
        """The limit of attempts of the queue; 0: none, or not known."""
        return int(lib.mr_consumer_max_deliver(self._pointer()))


class ServiceBase(Receiving[Request]):
    """A worker of a service."""

    def __init__(self, connection: Connection, name: str, prefetch: int,
                 options: Optional[QueueOptions], function: Optional[Callable[[Request], object]],
                 borrow: bool) -> None:
        super().__init__(connection, 65535, False, function)
        self.name = name
        self._borrow = borrow
        c_options = ffi.new("struct mr_serve_options *")
        c_options.prefetch = prefetch
        copy_fields(options, c_options.queue)
        self._sink = Sink(connection, self._arrived, self._recalled)
        try:
            self._open("mr_service", lib.mr_serve, c_text(name), c_options, entry["mrpy_on_work"],
                       self._sink.handle)
        except BaseException:
            self._sink.drop()
            raise
        lib.mr_service_on_recall(self._p, entry["mrpy_on_recall"], self._sink.handle)
        lib.mr_service_renew(self._p, True)

    def _arrived(self, work: Any) -> None:
        request = Request(self, work, borrow=self._borrow)
        if self._function is None:
            self._arrived_one(request)
            return
        try:
            self.connection._hand(self._function, request)
        finally:
            request._expire()

    def _recalled(self, tag: int) -> None:
        self.connection._hand(self._forget_tag, tag)

    def _forget_tag(self, tag: int) -> None:
        for request in list(self.inbox.items):
            if request.tag == tag:
                self.inbox.items.remove(request)

    def _answer(self, request: Request, reply: Optional[Payload]) -> None:
        """Sends what a handler returned. None: the handler has answered, or will."""
        if reply is None or request.settled:
            return
        try:
            request.respond(reply)
        except Error as error:
            if error.name != "ENOENT":  # the caller has stopped waiting
                raise

    def _give_up(self, request: Request) -> None:
        """The handler failed: the caller gets EREMOTEIO at once, not a time-out."""
        if request.settled or self._p == ffi.NULL:
            return
        try:
            request.fail()
        except Error as error:
            if error.name not in ("ENOENT", "ENOTCONN"):
                raise

    def _respond(self, tag: int, payload: Payload, headers: Optional[HeadersIn], more: bool) -> None:
        block, data = build(headers), ffi.from_buffer(data_of(payload))
        self._call(lib.mr_respond_with, tag, more, block or ffi.NULL, len(block), data, len(data))


def _forget_in_child() -> None:
    """After fork(): the child must not use clients of its parent, not even to close them."""
    for client in list(_clients):
        client._forked = True
        client._forget()


os.register_at_fork(after_in_child=_forget_in_child)
