# SPDX-License-Identifier: Apache-2.0
"""The client for asyncio: no thread, the event loop watches the client's descriptor.

Messages are copied as they arrive. An iterated subscription keeps `pending_max` of them. Beyond that
it drops and counts them; with a promise, the client stops reading instead, until half is read.
"""
import asyncio
import collections
import errno
import threading
from typing import (Any, Awaitable, Callable, Deque, List, Optional, ParamSpec, Sequence,
                    Set, Tuple, Type, TypeVar, Union)

from ._native import entry, ffi, lib
from .aio_objects import (AsyncConsumer, AsyncPublisher, AsyncQueue, AsyncService, AsyncStream,
                          AsyncSubscription, notified, settled)
from .core import PENDING_MAX, Connection, Readable, Receiving, Sink
from .errors import Error, NotConnected, error_of
from .headers import HeadersIn, c_text
from .message import Delivery, Message, Part, Request
from .options import Payload, Promise, QueueOptions, data_of, milliseconds
from .queues import Limits

T = TypeVar("T")
P = ParamSpec("P")
Self = TypeVar("Self")

# Messages handled before other tasks run.
_BURST = 256
# Room in the ring and what the bus has taken from it are not announced: they are looked for, s.
_LOOK_S = 0.002
# A client that does not read still sends heartbeats, s.
_PAUSED_S = 0.05


class AsyncClient(Connection):
    """A connection to a bus, made in a running event loop, for `async with`.

    The constructor, subscribe(), publisher(), queue(), consume(), serve() and ping() wait for an answer
    of the bus and hold the event loop meanwhile, normally for less than a millisecond. `await
    AsyncClient.open(...)` and `await client.opening(client.subscribe, ...)` let other tasks run.
    """

    def __init__(self, address: Union[str, Sequence[str], None] = None, **options: Any) -> None:
        self._prepare(asyncio.get_running_loop())
        super().__init__(address, **options)
        self._watch()

    def _prepare(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._futures: "Set[asyncio.Future[Any]]" = set()
        self._active: "List[asyncio.Future[None]]" = []
        self._tasks: "Set[asyncio.Task[None]]" = set()
        self._scheduled = False
        self._paused = False
        self._timer: Optional[asyncio.TimerHandle] = None
        # The thread that has the client for an opening call, and what callbacks brought there.
        self._borrower: Optional[int] = None
        self._returned = threading.Event()
        self._deferred: Deque[Tuple[Callable[..., object], Tuple[Any, ...]]] = collections.deque()
        self._deferring = False
        self._turn = asyncio.Lock()
        self._openings: "Set[asyncio.Task[Any]]" = set()

    def _watch(self) -> None:
        self._fd = self._check(lib.mr_fd(self._c))
        self._loop.add_reader(self._fd, self._ready)
        self._kick()

    @classmethod
    async def open(cls, address: Union[str, Sequence[str], None] = None,
                   **options: Any) -> "AsyncClient":
        """Connects in another thread, while other tasks run. The options are those of the
        constructor."""
        loop = asyncio.get_running_loop()
        client = cls.__new__(cls)
        client._prepare(loop)

        def connect() -> None:
            Connection.__init__(client, address, **options)

        connecting = loop.run_in_executor(None, connect)
        try:
            await asyncio.shield(connecting)
        except asyncio.CancelledError:
            connecting.add_done_callback(client._abandon)
            raise
        client.adopt()
        client._watch()
        return client

    def _abandon(self, connecting: "asyncio.Future[None]") -> None:
        """Nobody waits for the connection any more."""
        if connecting.exception() is None:
            self.adopt()
            self._close()

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Any, trace: Any) -> None:
        await self.close()

    # ---- opening calls in another thread

    async def opening(self, function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Runs a call of this client that waits for the bus in another thread, while other tasks run:
        `await client.opening(client.subscribe, "orders.>")`.

        Callbacks run in the event loop, after the call. Other calls of this client wait for its end;
        other such calls take their turns. If the awaiting task is cancelled, what the call opens is
        closed.
        """
        running = self._loop.create_task(self._in_turn(lambda: function(*arguments, **options)))
        self._openings.add(running)
        running.add_done_callback(self._openings.discard)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(self._drop_opened)
            raise

    async def _in_turn(self, call: Callable[[], T]) -> T:
        async with self._turn:
            self._enter()
            if self._timer is not None:
                self._timer.cancel()
            if not self._paused:
                self._loop.remove_reader(self._fd)
            self._returned.clear()
            self._borrower = 0  # nobody's, until the thread runs
            try:
                return await self._loop.run_in_executor(None, self._borrow, call)
            finally:
                self._take_back()

    def _borrow(self, call: Callable[[], T]) -> T:
        self._borrower = threading.get_ident()
        try:
            return call()
        finally:
            self._borrower = None
            self._returned.set()

    def _take_back(self) -> None:
        self._run_deferred()
        if self._c == ffi.NULL:
            return
        if self._paused:
            self._later()
        else:
            self._loop.add_reader(self._fd, self._ready)
            self._kick()

    def _drop_opened(self, running: "asyncio.Task[Any]") -> None:
        if running.cancelled() or running.exception() is not None or self._c == ffi.NULL:
            return
        closing = getattr(running.result(), "close", None)
        if closing is not None:
            task = self._loop.create_task(closing())
            self._openings.add(task)
            task.add_done_callback(self._openings.discard)

    @property
    def _lent(self) -> bool:
        return self._borrower == threading.get_ident()

    @property
    def _borrows(self) -> bool:  # type: ignore[override]
        return not self._lent

    def _enter(self) -> Any:
        if self._lent and self._c != ffi.NULL:
            return self._c
        if self._owner == threading.get_ident():
            if self._borrower is not None:
                self._returned.wait()
            self._run_deferred()
        return super()._enter()

    def _hand(self, function: Callable[..., object], *arguments: Any) -> None:
        if self._lent:
            self._deferred.append((function, arguments))
        else:
            function(*arguments)

    def _run_deferred(self) -> None:
        """In the thread of the loop: what callbacks brought in the other one, in its order."""
        if self._deferring or not self._deferred:
            return
        self._deferring = True
        while self._deferred:
            function, arguments = self._deferred.popleft()
            try:
                function(*arguments)
            except BaseException as error:
                self._raised.append(error)
        self._deferring = False
        self._report()

    async def close(self) -> None:
        """Waits up to 1 s for what was published and promised, and ends the session. Requests that
        are open fail with NotConnected; handlers of services are cancelled."""
        if self._c == ffi.NULL:
            return
        while self._openings:
            await asyncio.wait(list(self._openings))
        if self._c == ffi.NULL:
            return
        self._enter()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await self.settle(1.0)
        except Error:
            pass  # as mr_close(), which waits too
        if self._c == ffi.NULL:
            return
        self._loop.remove_reader(self._fd)
        if self._timer is not None:
            self._timer.cancel()
        self._close()
        self._report()
        for future in list(self._futures):
            if not future.done():
                future.set_exception(NotConnected(errno.ENOTCONN, "the client was closed"))
        self._wake_all()

    # ---- the event loop

    def _ready(self) -> None:
        """The descriptor is readable, or more messages may be there."""
        self._scheduled = False
        if self._c == ffi.NULL or self._borrower is not None:
            return  # closed, or the end of the opening call looks
        handled = lib.mr_process(self._enter(), 0 if self._paused else _BURST)
        self._report()
        active, self._active = self._active, []
        for future in active:
            if not future.done():
                future.set_result(None)
        if not self._paused and any(inbox.full for inbox in self._kept):
            self._paused = True
            self._loop.remove_reader(self._fd)
        if self._paused:
            self._later()
        elif handled > 0:
            self._kick()

    def _later(self) -> None:
        """While paused, the client is processed for its heartbeats alone."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(_PAUSED_S, self._ready)

    def _kick(self) -> None:
        if not self._lent and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._ready)

    def _changed(self) -> None:
        self._kick()

    def _resume(self) -> None:
        """Messages were read. Begins to receive again when no promised inbox is over its half."""
        if not self._paused or self._c == ffi.NULL:
            return
        if all(len(inbox.items) * 2 <= inbox.most for inbox in self._kept):
            self._paused = False
            if self._borrower is None:
                self._loop.add_reader(self._fd, self._ready)
                self._kick()

    def _report(self) -> None:
        """Gives the exceptions of callbacks to the event loop's handler."""
        error = self._take_raised()
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise error
        if error is not None:
            self._loop.call_exception_handler(
                {"message": "a callback of a millrace client failed", "exception": error})

    def _wake_all(self) -> None:
        for thing in list(self._objects):
            if isinstance(thing, Receiving):
                thing._notify()

    def _state_changed(self, connected: bool, error: int) -> None:
        self._hand(self._wake_all)
        super()._state_changed(connected, error)

    def _made(self, thing: T) -> T:
        """After a call that waited for the bus: what it left unread is served soon."""
        self._kick()
        return thing

    async def _until(self, attempt: Callable[[], Optional[T]], timeout: Optional[float],
                     what: str) -> T:
        """Repeats the attempt, at each activity of the client, until it returns something."""
        seconds = self._request_timeout if timeout is None else timeout
        end = self._loop.time() + seconds
        self._kick()
        while True:
            done = attempt()
            if done is not None:
                return self._made(done)
            if self._loop.time() >= end:
                raise error_of(-errno.ETIMEDOUT, what)
            future: "asyncio.Future[None]" = self._loop.create_future()
            self._active.append(future)
            await asyncio.wait([future], timeout=_LOOK_S)
            if future in self._active:
                self._active.remove(future)

    async def _next(self, owner: "Readable[T]", timeout: Optional[float]) -> T:
        milliseconds(timeout, 0)
        items = owner.inbox.items
        try:
            async with asyncio.timeout(timeout) as limit:
                while not items:
                    owner._refuse_ended()
                    if not self._reconnect and not self.connected:
                        raise NotConnected(errno.ENOTCONN, "the connection was lost")
                    await notified(owner, self._loop)
        except TimeoutError:
            if not limit.expired():
                raise
            if not items:
                raise error_of(-errno.ETIMEDOUT, "no message in time") from None
        item = items.popleft()
        self._resume()
        return item

    async def _fill(self, owner: "Readable[T]", most: int, seconds: float) -> None:
        """Waits until so many items are there, at most for the time."""
        milliseconds(seconds, 0)
        if seconds == 0:
            return
        try:
            async with asyncio.timeout(seconds) as limit:
                while len(owner.inbox.items) < most:
                    owner._refuse_ended()
                    await notified(owner, self._loop)
        except TimeoutError:
            if not limit.expired():
                raise

    # ---- subjects

    def subscribe(self, pattern: str, callback: Optional[Callable[[Message], object]] = None, *,
                  group: Optional[str] = None, prefix: bool = False,
                  promise: Promise = Promise.BEST_EFFORT, high_water: int = 0,
                  pending_max: int = PENDING_MAX, time: bool = False, sender: bool = False,
                  batch: Optional[Callable[[List[Message]], object]] = None) -> "AsyncSubscription":
        """Subscribes to subjects. Without a callback, iterate over the result with `async for`. An
        exception of the callback goes to the event loop's exception handler.

        `time` and `sender` ask the bus to say when it took each message and who sent it; a bus that does
        not show senders refuses that with EPERM. `batch` is a callback for many messages at a time."""
        return self._made(AsyncSubscription(self, pattern, callback, group, prefix, promise,
                                            high_water, pending_max, time, sender, batch))

    async def request(self, subject: str, payload: Payload = b"", timeout: Optional[float] = None,
                      headers: Optional[HeadersIn] = None) -> Message:
        """Sends a request and returns the first reply. Raises NoResponders if nobody subscribes."""
        return (await self._gather(subject, payload, headers, timeout, 1, None))[0]

    async def request_many(self, subject: str, payload: Payload = b"",
                           headers: Optional[HeadersIn] = None, timeout: Optional[float] = None,
                           replies_max: int = 0, stall: Optional[float] = None) -> List[Message]:
        """Sends a request and returns the replies of several responders, at least one. It ends after
        `replies_max` of them, `timeout` seconds, or `stall` seconds without a reply."""
        return await self._gather(subject, payload, headers, timeout, replies_max, stall)

    async def _gather(self, subject: str, payload: Payload, headers: Optional[HeadersIn],
                      timeout: Optional[float], most: int, stall: Optional[float]) -> List[Message]:
        future: "asyncio.Future[List[Message]]" = self._future()
        replies: List[Message] = []

        def arrived(reply: Any, error: int) -> None:
            if reply != ffi.NULL:
                self._hand(replies.append, Message(self, reply, borrow=False))
                return
            sink.drop()
            self._hand(settled, future, replies, error)

        data = ffi.from_buffer(data_of(payload))
        options, memory = self._many_options(timeout, most, stall, headers)
        c = self._enter()
        sink = Sink(self, arrived)
        code = lib.mr_request_many_async(c, c_text(subject), data, len(data), options,
                                         entry["mrpy_on_reply"], sink.handle)
        return await self._answer_of(code, sink, future)

    def _future(self) -> "asyncio.Future[Any]":
        future: "asyncio.Future[Any]" = self._loop.create_future()
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return future

    async def _answer_of(self, code: int, sink: Sink, future: "asyncio.Future[T]") -> T:
        if code < 0:
            sink.drop()
            future.cancel()
            raise self._failed(code)
        self._kick()
        return await future

    def publisher(self, subject: str, promise: Promise = Promise.BEST_EFFORT,
                  publisher: Optional[str] = None, next_id: int = 0) -> "AsyncPublisher":
        """Opens a subject for many messages, with a promise for them."""
        return self._made(AsyncPublisher(self, subject, promise, publisher, next_id))

    async def settle(self, timeout: float = 5.0) -> None:
        """Waits until all that was promised is accepted. Raises the error of a refused message."""
        await self._polled(lib.mr_settle, timeout, "not all was accepted in time")

    async def drain(self, timeout: float = 5.0) -> None:
        """Waits until the bus has taken all that was published."""
        await self._polled(lib.mr_drain, timeout, "not all was taken in time")

    async def finish(self, timeout: float = 5.0) -> None:
        """Ends the work in order, before close(): drains the subscriptions, settles deliveries and
        promises, and lets the bus take what was published."""
        await self._polled(lib.mr_client_drain, timeout, "not all was done in time")

    async def _polled(self, function: Callable[[Any, int], int], timeout: float, what: str) -> None:
        def attempt() -> Optional[bool]:
            code = function(self._enter(), 0)
            self._report()
            away = code == -errno.ENOTCONN and self._reconnect
            if code == -errno.ETIMEDOUT or away:
                return None
            return self._check(code) == 0

        await self._until(attempt, timeout, what)

    # ---- queues and services

    def queue(self, name: str, promise: Promise = Promise.AT_LEAST_ONCE, *,
              publisher: Optional[str] = None, next_id: int = 0,
              options: Optional[QueueOptions] = None,
              on_outcome: Optional[Callable[[int, Optional[Error]], object]] = None) -> "AsyncQueue":
        """Opens a queue for pushing, and makes it if there is none."""
        return self._made(AsyncQueue(self, name, promise, publisher, next_id, options, on_outcome))

    def consume(self, queue: str, callback: Optional[Callable[[Delivery], object]] = None, *,
                prefetch: int = 0, weight: int = 0, manual: bool = False,
                options: Optional[QueueOptions] = None, tag: Optional[str] = None, rate: float = 0,
                prefetch_bytes: int = 0, exclusive: bool = False, renew_max_ms: int = 0) -> "AsyncConsumer":
        """Consumes from a queue, and makes it if there is none. Without `manual` a delivery is
        acknowledged when the callback returns, or when the next one is asked for. `tag` names the
        consumer in lists, `rate` limits it to so many messages a second, `prefetch_bytes` to so many
        unsettled bytes; with `exclusive` one consumer gets all messages, and the others stand by.
        `renew_max_ms`: a callback may take so long, whatever the queue's time-out."""
        limits = Limits(tag, rate, prefetch_bytes, exclusive, renew_max_ms)
        return self._made(AsyncConsumer(self, queue, callback, prefetch, weight, manual, options, limits))

    def dead_letters(self, queue: str, callback: Optional[Callable[[Delivery], object]] = None, *,
                     prefetch: int = 0, manual: bool = False) -> "AsyncConsumer":
        """Consumes the dead letters of a queue, which are the queue NAME.dead unless it was made with
        another `dead_letter`."""
        return self.consume(f"{queue}.dead", callback, prefetch=prefetch, manual=manual)

    def serve(self, name: str,
              handler: Optional[Callable[[Request], Awaitable[Optional[Payload]]]] = None, *,
              prefetch: int = 0, options: Optional[QueueOptions] = None, streams: bool = False,
              window: int = 0, pending_max: int = PENDING_MAX) -> "AsyncService":
        """Becomes a worker of a service. The handler is a coroutine function; `prefetch` of them run at
        a time, one by default. If it raises, the caller gets EREMOTEIO. Streaming requests are refused
        unless `streams` is true: `async for part in request.parts` reads their further parts, of which
        `window` are in flight per request."""
        return self._made(AsyncService(self, name, handler, prefetch, options, streams, window,
                                       pending_max))

    async def call(self, service: str, payload: Payload = b"", headers: Optional[HeadersIn] = None,
                   timeout: Optional[float] = None, retries: Optional[int] = None, wait: bool = False,
                   on_part: Optional[Callable[[Message], object]] = None) -> Message:
        """Calls a service and returns the final reply; `on_part` gets partial ones. `timeout` limits
        each attempt. Raises NoResponders if no worker serves it; with `wait` it waits for one."""
        future: "asyncio.Future[Message]" = self._future()

        def arrived(reply: Any, more: bool, error: int) -> None:
            message = Message(self, reply, borrow=False) if reply != ffi.NULL else None
            if more:
                self._hand(part, message)
                return
            sink.drop()
            self._hand(settled, future, message, error)

        def part(message: Message) -> None:
            if on_part is not None and not future.done():
                on_part(message)

        data = ffi.from_buffer(data_of(payload))
        options, memory = self._call_options(timeout, retries, wait, headers)
        c = self._enter()
        sink = Sink(self, arrived)
        code = lib.mr_call_async(c, c_text(service), data, len(data), options,
                                 entry["mrpy_on_call"], sink.handle)
        return await self._answer_of(code, sink, future)

    def stream(self, service: str, payload: Payload = b"",
               callback: Optional[Callable[[Part], object]] = None, *,
               headers: Optional[HeadersIn] = None, timeout: Optional[float] = None,
               wait: bool = False, pending_max: int = PENDING_MAX) -> "AsyncStream":
        """Calls a service with a request in parts, of which this is the first; send() sends the others.
        `timeout` counts from the last message of either side. Replies come to the callback, to `async
        for`, or to result()."""
        return AsyncStream(self, service, payload, callback, timeout, wait, headers, pending_max)
