# SPDX-License-Identifier: Apache-2.0
"""The client without asyncio: calls that wait, and iterators."""
import errno
import time
from typing import Any, Callable, Iterator, List, Optional, Sequence, Type, TypeVar, Union

from ._native import entry, ffi, lib
from .claims import BatchClaim, Claim
from .core import PENDING_MAX, Connection, Readable, Sink
from .errors import Error, error_of
from .headers import HeadersIn, build, c_text
from .message import Delivery, Message, Part, Request
from .options import Payload, Priority, Promise, QueueOptions, data_of, milliseconds
from .queues import ConsumerBase, Limits, Output, QueueBase, Step
from .services import ServiceBase
from .streams import StreamBase
from .subjects import PublisherBase, SubscriptionBase

T = TypeVar("T")
Self = TypeVar("Self")

# A signal that comes just before the library sleeps would wait for the next message. Python sees it
# after this time at the latest.
_SLEEP_S_MAX = 1.0


class Deadline:
    """The end of a wait; without a timeout there is none."""

    def __init__(self, timeout: Optional[float]) -> None:
        milliseconds(timeout, 0)
        self._at = None if timeout is None else time.monotonic() + timeout

    def left(self, most: float) -> float:
        """Seconds to wait now, at most `most`."""
        return most if self._at is None else max(0.0, min(most, self._at - time.monotonic()))

    @property
    def over(self) -> bool:
        return self._at is not None and time.monotonic() >= self._at


class Client(Connection):
    """A connection to a bus. Use it in one thread, in a `with` statement, and wait() or iterate: the
    library works within calls only, also for heartbeats and reconnection."""

    _woken = False

    def wake(self) -> None:
        """Ends a wait() of the client's thread, or the next one. Any thread may call it."""
        self._woken = True
        super().wake()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Any, trace: Any) -> None:
        self.close()

    def close(self) -> None:
        """Waits up to 1 s for what was published, and ends the session."""
        self._close()
        self._raise_kept()

    # ---- waiting

    def process(self, most: int = 1024) -> int:
        """Handles the messages that are there, without waiting. Returns their number."""
        self._raise_kept()
        c = self._enter()
        self._refuse_full()
        code = lib.mr_process(c, most)
        self._raise_kept()
        if code == -errno.ENOTCONN and self._reconnect:
            return 0
        return self._check(code)

    def wait(self, timeout: Optional[float] = None) -> int:
        """Waits for a message and handles those that are there. Returns their number, 0 after the
        time and after wake(). While the bus is away it waits for the reconnection."""
        deadline = Deadline(timeout)
        while True:
            handled = self._step(deadline.left(_SLEEP_S_MAX))
            if handled > 0 or deadline.over or self._woken:
                self._woken = False
                return handled

    def fileno(self) -> int:
        """A descriptor that is readable when process() has work."""
        return self._check(lib.mr_fd(self._enter()))

    def _step(self, seconds: float) -> int:
        """One wait of the library. Raises the exceptions of callbacks."""
        self._raise_kept()
        c = self._enter()
        self._refuse_full()
        code = lib.mr_wait(c, milliseconds(seconds, -1))
        self._raise_kept()
        if code == -errno.ENOTCONN and self._reconnect:
            return 0
        return self._check(code)

    def _refuse_full(self) -> None:
        for inbox in self._kept:
            if inbox.full:
                raise Error(errno.ENOBUFS, f"a subscription with a promise, or a stream, has {inbox.most} "
                                           "unread messages: read it, or give it a callback")

    def _next(self, owner: "Readable[T]", timeout: Optional[float]) -> T:
        deadline = Deadline(timeout)
        items = owner.inbox.items
        while not items:
            owner._refuse_ended()
            self._step(deadline.left(_SLEEP_S_MAX))
            if not items and deadline.over:
                raise error_of(-errno.ETIMEDOUT, "no message in time")
        return items.popleft()

    def _fill(self, owner: "Readable[T]", most: int, seconds: float) -> None:
        """Waits until so many items are there, at most for the time."""
        deadline = Deadline(seconds)
        while len(owner.inbox.items) < most and not deadline.over:
            owner._refuse_ended()
            self._step(deadline.left(_SLEEP_S_MAX))

    # ---- subjects

    def subscribe(self, pattern: str, callback: Optional[Callable[[Message], object]] = None, *,
                  group: Optional[str] = None, prefix: bool = False,
                  promise: Promise = Promise.BEST_EFFORT, high_water: int = 0,
                  pending_max: int = PENDING_MAX, time: bool = False, sender: bool = False,
                  batch: Optional[Callable[[List[Message]], object]] = None) -> "Subscription":
        """Subscribes to subjects. With a callback, wait() and other calls that wait give it the
        messages; without one, iterate over the result.

        `time` and `sender` ask the bus to say when it took each message and who sent it; a bus that does
        not show senders refuses that with EPERM. `batch` is a callback for many messages at a time."""
        return Subscription(self, pattern, callback, group, prefix, promise, high_water, pending_max,
                            time, sender, batch)

    def request(self, subject: str, payload: Payload = b"", headers: Optional[HeadersIn] = None,
                timeout: Optional[float] = None) -> Message:
        """Sends a request and returns the first reply. Raises NoResponders if nobody subscribes."""
        self._raise_kept()
        c, block, data = self._enter(), build(headers), ffi.from_buffer(data_of(payload))
        reply = ffi.new("struct mr_message *")
        code = lib.mr_request_with(c, c_text(subject), block or ffi.NULL, len(block), data, len(data),
                                   milliseconds(timeout, -1), reply)
        return self._reply_of(code, reply)

    def request_many(self, subject: str, payload: Payload = b"", headers: Optional[HeadersIn] = None,
                     timeout: Optional[float] = None, replies_max: int = 0,
                     stall: Optional[float] = None) -> List[Message]:
        """Sends a request and returns the replies of several responders, at least one. It ends after
        `replies_max` of them, `timeout` seconds, or `stall` seconds without a reply."""
        self._raise_kept()
        c, data = self._enter(), ffi.from_buffer(data_of(payload))
        options, memory = self._many_options(timeout, replies_max, stall, headers)
        replies: List[Message] = []
        sink = Sink(self, lambda reply, error: replies.append(Message(self, reply, borrow=False)))
        try:
            code = lib.mr_request_many(c, c_text(subject), data, len(data), options,
                                       entry["mrpy_on_reply"], sink.handle)
            error = self._failed(code) if code < 0 else None
        finally:
            sink.drop()
        if not self._inside:
            self._raise_kept()
        if error is not None:
            raise error
        return replies

    def _reply_of(self, code: int, reply: Any) -> Message:
        error = None if code == 0 else self._failed(code)
        message = None if error else Message(self, reply, borrow=False)
        if not self._inside:
            self._raise_kept()
        if error is not None:
            raise error
        assert message is not None
        return message

    def publisher(self, subject: str, promise: Promise = Promise.BEST_EFFORT,
                  publisher: Optional[str] = None, next_id: int = 0) -> "Publisher":
        """Opens a subject for many messages, with a promise for them."""
        return Publisher(self, subject, promise, publisher, next_id)

    def settle(self, timeout: float = 5.0) -> None:
        """Waits until all that was promised is accepted. Raises the error of a refused message."""
        self._raise_kept()
        code = lib.mr_settle(self._enter(), milliseconds(timeout, 0))
        self._raise_kept()
        self._check(code)

    def drain(self, timeout: float = 5.0) -> None:
        """Waits until the bus has taken all that was published."""
        self._check(lib.mr_drain(self._enter(), milliseconds(timeout, 0)))

    def finish(self, timeout: float = 5.0) -> None:
        """Ends the work in order, before close(): drains the subscriptions, settles deliveries and
        promises, and lets the bus take what was published."""
        self._raise_kept()
        code = lib.mr_client_drain(self._enter(), milliseconds(timeout, 0))
        error = self._failed(code) if code < 0 else None
        self._raise_kept()
        if error is not None:
            raise error

    # ---- queues and services

    def queue(self, name: str, promise: Promise = Promise.AT_LEAST_ONCE, *,
              publisher: Optional[str] = None, next_id: int = 0,
              options: Optional[QueueOptions] = None,
              on_outcome: Optional[Callable[[int, Optional[Error]], object]] = None) -> "Queue":
        """Opens a queue for pushing, and makes it if there is none. `on_outcome` gets the number of
        each promised push, and None or the error."""
        return Queue(self, name, promise, publisher, next_id, options, on_outcome)

    def consume(self, queue: str, callback: Optional[Callable[[Delivery], object]] = None, *,
                prefetch: int = 0, weight: int = 0, manual: bool = False,
                options: Optional[QueueOptions] = None, tag: Optional[str] = None, rate: float = 0,
                prefetch_bytes: int = 0, exclusive: bool = False, renew_max_ms: int = 0) -> "Consumer":
        """Consumes from a queue, and makes it if there is none. Without `manual` a delivery is
        acknowledged when the callback returns, or when the next one is asked for. `tag` names the
        consumer in lists, `rate` limits it to so many messages a second, `prefetch_bytes` to so many
        unsettled bytes; with `exclusive` one consumer gets all messages, and the others stand by.
        `renew_max_ms`: a callback may take so long, whatever the queue's time-out."""
        limits = Limits(tag, rate, prefetch_bytes, exclusive, renew_max_ms)
        return Consumer(self, queue, callback, prefetch, weight, manual, options, limits)

    def dead_letters(self, queue: str, callback: Optional[Callable[[Delivery], object]] = None, *,
                     prefetch: int = 0, manual: bool = False) -> "Consumer":
        """Consumes the dead letters of a queue, which are the queue NAME.dead unless it was made with
        another `dead_letter`."""
        return self.consume(f"{queue}.dead", callback, prefetch=prefetch, manual=manual)

    def serve(self, name: str, handler: Optional[Callable[[Request], Optional[Payload]]] = None, *,
              prefetch: int = 0, options: Optional[QueueOptions] = None, streams: bool = False,
              on_part: Optional[Callable[[Request, Part], object]] = None, window: int = 0,
              pending_max: int = PENDING_MAX) -> "Service":
        """Becomes a worker of a service. The handler returns the final reply, or None if it has used
        request.respond(), or will. If it raises, the caller gets EREMOTEIO. Without a handler, iterate
        over the result. Wait or iterate at least once per heartbeat interval: 2.5 s by default.

        Streaming requests are refused unless `on_part` gets their further parts, or `streams` leaves them
        to `request.parts`. `window`: parts in flight per request."""
        return Service(self, name, handler, prefetch, options, streams, on_part, window, pending_max)

    def call(self, service: str, payload: Payload = b"", headers: Optional[HeadersIn] = None,
             timeout: Optional[float] = None, retries: Optional[int] = None,
             wait: bool = False) -> Message:
        """Calls a service and returns the final reply. `timeout` limits each attempt. Raises
        NoResponders if no worker serves it; with `wait` it waits for one."""
        self._raise_kept()
        c, data = self._enter(), ffi.from_buffer(data_of(payload))
        options, memory = self._call_options(timeout, retries, wait, headers)
        reply = ffi.new("struct mr_message *")
        code = lib.mr_call(c, c_text(service), data, len(data), options, reply)
        return self._reply_of(code, reply)

    def stream(self, service: str, payload: Payload = b"",
               callback: Optional[Callable[[Part], object]] = None, *,
               headers: Optional[HeadersIn] = None, timeout: Optional[float] = None,
               wait: bool = False, pending_max: int = PENDING_MAX) -> "Stream":
        """Calls a service with a request in parts, of which this is the first; send() sends the others.
        `timeout` counts from the last message of either side. Replies come to the callback, to the
        iterator, or to result()."""
        return Stream(self, service, payload, callback, timeout, wait, headers, pending_max)


class _Closing:
    """close() at the end of a `with` statement."""

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Any, trace: Any) -> None:
        self.close()


class Subscription(SubscriptionBase, _Closing):
    """A subscription; without a callback, an iterator over its messages, which ends with close()."""

    connection: Client

    def receive(self, timeout: Optional[float] = None) -> Message:
        """The next message. Raises Timeout."""
        return self.connection._next(self, timeout)

    def receive_many(self, most: int = 256, timeout: Optional[float] = None) -> List[Message]:
        """Waits for a message, and returns it with those that are there, up to `most`. Raises Timeout."""
        return self._take_many([self.receive(timeout)], most)

    def __iter__(self) -> Iterator[Message]:
        while self.inbox.items or not self.ended:
            try:
                message = self.receive()
            except Error:
                if self.ended:
                    return
                raise
            yield message

    def close(self) -> None:
        """Ends the subscription. Messages that came before can still be read."""
        self._close_with(lib.mr_unsubscribe)


class Consumer(ConsumerBase, _Closing):
    """A consumer; without a callback, an iterator over its deliveries."""

    connection: Client

    def pull(self, timeout: Optional[float] = None) -> Delivery:
        """The next delivery. Without `manual`, acknowledges the one before. Raises Timeout."""
        return self.pull_many(1, timeout)[0]

    def pull_many(self, most: int = 256, timeout: Optional[float] = None,
                  wait: float = 0) -> List[Delivery]:
        """Waits for a delivery, and returns it with those that are there, up to `most`. With `wait` it waits
        so many seconds more for them; more than `prefetch` unsettled ones never come. Without `manual`,
        acknowledges all those before. Raises Timeout."""
        self._settle_handed()
        deadline = Deadline(timeout)
        while not self._handed:
            left = None if timeout is None else deadline.left(timeout)
            # Not taken yet: an exception of a callback must not lose it.
            self.inbox.items.appendleft(self.connection._next(self, left))
            self.connection._fill(self, most, wait)
            self._handed = self._take_many([], most)
        return list(self._handed)

    def settle_and_push(self, delivery: Delivery, *outputs: Output, reject: bool = False,
                        delay_ms: int = 0, at_least_once: bool = False,
                        timeout: Optional[float] = None) -> None:
        """Pushes the outputs, waits until their queues have accepted them, and acknowledges the delivery:
        all of it, or nothing. If an output is refused, the delivery comes again after `delay_ms`, or
        with `reject` goes to the dead letters. A delivery that was not pushed exactly once is refused
        without `at_least_once`."""
        step = Step(delivery, outputs, reject, delay_ms, at_least_once, milliseconds(timeout, 0))
        self.connection._check(step.run(lib.mr_settle_and_push_sized))

    def __iter__(self) -> Iterator[Delivery]:
        while not self.closed:
            try:
                delivery = self.pull()
            except Error:
                if self.closed:
                    return
                raise
            yield delivery

    def close(self) -> None:
        """Ends the deliveries. Unsettled ones go to other consumers."""
        self.inbox.items.clear()
        self._close_with(lib.mr_consumer_close)


class Publisher(PublisherBase, _Closing):
    """A subject opened for many messages."""

    connection: Client

    def send(self, payload: Payload = b"", headers: Optional[HeadersIn] = None,
             timeout: Optional[float] = None) -> None:
        """Publishes one message. Processes while there is no room, up to `timeout` (by default the
        client's `request_timeout`): so a full subscriber holds a promising publisher back."""
        _until_room(self.connection, timeout, lambda: self.try_send(payload, headers) or None)

    def send_batch(self, payloads: Sequence[Payload], timeout: Optional[float] = None) -> None:
        """Publishes all payloads, a message each. Waits for room as send()."""
        sent = self.try_send_batch(payloads)
        while sent < len(payloads):
            rest = payloads[sent:]
            sent += _until_room(self.connection, timeout, lambda: self.try_send_batch(rest) or None)

    def claim(self, size: int, timeout: Optional[float] = None) -> Claim:
        """Claims room in the ring, to write a payload of up to `size` bytes without a copy. Waits for room
        as send()."""
        return _until_room(self.connection, timeout, lambda: self.try_claim(size))

    def claim_batch(self, size: int, count: int, timeout: Optional[float] = None) -> BatchClaim:
        """Claims room for up to `count` payloads of `size` bytes, at least one. Waits for room as send()."""
        return _until_room(self.connection, timeout, lambda: self.try_claim_batch(size, count))

    def request(self, payload: Payload = b"", timeout: Optional[float] = None) -> Message:
        """Sends a request and returns the first reply, as request() of the client."""
        client, data = self.connection, ffi.from_buffer(data_of(payload))
        if client._inside:
            raise error_of(-errno.EDEADLK, "a callback cannot wait for a reply")
        outcome: List[Union[Message, Error]] = []

        def arrived(reply: Any, error: int) -> None:
            sink.drop()
            outcome.append(client._failed(error) if error < 0 else Message(client, reply, borrow=False))

        sink = Sink(client, arrived)
        try:
            _until_room(client, None,
                        lambda: self._try_request(data, milliseconds(timeout, -1), sink))
        except BaseException:
            sink.drop()
            raise
        while not outcome:
            client._step(_SLEEP_S_MAX)
        if isinstance(outcome[0], Error):
            raise outcome[0]
        return outcome[0]


class Queue(QueueBase, _Closing):
    """A queue opened for pushing."""

    connection: Client

    def push(self, payload: Payload = b"", headers: Optional[HeadersIn] = None,
             priority: Priority = Priority.NORMAL, id: int = 0, publisher: int = 0,
             timeout: Optional[float] = None, ttl_ms: int = 0, delay_ms: int = 0,
             at_ms: int = 0, key: Optional[str] = None, ticket: int = 0, every_ms: int = 0,
             cron: Optional[str] = None, attempts: int = 0) -> int:
        """Pushes one message and returns its number, 0 without a promise. Processes while there is no
        room, up to `timeout` (by default the client's `request_timeout`)."""
        return _until_room(self.connection, timeout,
                           lambda: self.try_push(payload, headers, priority, id, publisher, ttl_ms,
                                                 delay_ms, at_ms, key, ticket, every_ms, cron,
                                                 attempts))


def _until_room(client: Client, timeout: Optional[float], attempt: Callable[[], Optional[T]]) -> T:
    """Processes until the attempt succeeds. Nothing tells of room in the ring: it is looked for."""
    done = attempt()
    if done is not None:
        return done
    deadline = Deadline(client._request_timeout if timeout is None else timeout)
    while not deadline.over:
        if client._inside:
            raise error_of(-errno.EAGAIN, "no room, and a callback cannot wait for it")
        client._step(deadline.left(0.001))
        done = attempt()
        if done is not None:
            return done
    raise error_of(-errno.ETIMEDOUT, "no room in time")


class Service(ServiceBase, _Closing):
    """A worker of a service; without a handler, an iterator over its requests."""

    connection: Client

    def __init__(self, connection: Client, name: str,
                 handler: Optional[Callable[[Request], Optional[Payload]]], prefetch: int,
                 options: Optional[QueueOptions], streams: bool = False,
                 on_part: Optional[Callable[[Request, Part], object]] = None, window: int = 0,
                 pending_max: int = PENDING_MAX) -> None:
        self._handler = handler
        super().__init__(connection, name, prefetch, options, self._handle if handler else None, True,
                         streams, on_part, window, pending_max)

    def _handle(self, request: Request) -> None:
        assert self._handler is not None
        try:
            reply = self._handler(request)
        except BaseException:
            self._give_up(request)
            raise
        self._answer(request, reply)

    def receive(self, timeout: Optional[float] = None) -> Request:
        """The next request. Raises Timeout."""
        return self.connection._next(self, timeout)

    def __iter__(self) -> Iterator[Request]:
        while not self.closed:
            try:
                request = self.receive()
            except Error:
                if self.closed:
                    return
                raise
            yield request

    def close(self) -> None:
        """Stops serving. Requests in hand go to other workers."""
        self.inbox.items.clear()
        self._close_with(lib.mr_service_close)


class Stream(StreamBase, _Closing):
    """A streaming request; without a callback, an iterator over its replies: partial ones, whose `more` is
    true, and the final one. An error of the call is raised after them."""

    connection: Client

    def send(self, payload: Payload = b"", more: bool = True, timeout: Optional[float] = None) -> None:
        """Sends the next part; the last one with `more` false. Processes while the worker grants no room,
        up to `timeout` (by default the client's `request_timeout`)."""
        _until_room(self.connection, timeout, lambda: self.try_send(payload, more) or None)

    def receive(self, timeout: Optional[float] = None) -> Part:
        """The next reply. Raises Timeout, and ENOENT after the final one."""
        return self.connection._next(self, timeout)

    def result(self, timeout: Optional[float] = None) -> Part:
        """Waits for the final reply, skipping partial ones that are unread. Raises Timeout, or the error of
        the call."""
        deadline = Deadline(timeout)
        while True:
            final = self._outcome()
            if final is not None:
                return final
            if deadline.over:
                raise error_of(-errno.ETIMEDOUT, "no final reply in time")
            self.connection._step(deadline.left(_SLEEP_S_MAX))

    def __iter__(self) -> Iterator[Part]:
        while self.inbox.items or not self.ended:
            yield self.receive()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Gives the call up if it has not ended."""
        self._close_stream()


def connect(address: Union[str, Sequence[str], None] = None, **options: Any) -> Client:
    """Connects to a bus: `shm:PATH`, `udp://HOST[:PORT]`, or by default that of mr_connect(3). Of
    several addresses the first that has a bus is used, and the others when it is lost. The options are those of Connection."""
    return Client(address, **options)
