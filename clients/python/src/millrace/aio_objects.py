# SPDX-License-Identifier: Apache-2.0
"""The objects of an AsyncClient: subscriptions, publishers, queues, consumers, services, streams."""
import asyncio
import errno
from typing import (TYPE_CHECKING, Any, AsyncIterator, Awaitable, Callable, List, Optional, Sequence, Type,
                    TypeVar)

from ._native import entry, ffi, lib
from .claims import BatchClaim, Claim
from .core import PENDING_MAX, Readable, Sink
from .errors import Error, error_of
from .headers import HeadersIn
from .message import Delivery, Message, Part, Request
from .options import Payload, Priority, QueueOptions, data_of, milliseconds
from .queues import ConsumerBase, Output, QueueBase, Step
from .services import ServiceBase
from .streams import StreamBase
from .subjects import PublisherBase, SubscriptionBase

if TYPE_CHECKING:
    from .aio import AsyncClient

Self = TypeVar("Self")


def settled(future: "asyncio.Future[Any]", result: Any, error: int) -> None:
    """The outcome of a request or a call, unless nobody waits for it any more."""
    if future.done():
        return
    if error < 0:
        future.set_exception(error_of(error))
    else:
        future.set_result(result)


async def notified(owner: "Readable[Any]", loop: asyncio.AbstractEventLoop) -> None:
    """Waits until something is put into the inbox, or its owner is closed."""
    future: "asyncio.Future[None]" = loop.create_future()

    def wake() -> None:
        if not future.done():
            future.set_result(None)

    owner.inbox.waiters.append(wake)
    try:
        await future
    finally:
        owner.inbox.waiters.remove(wake)


class _AsyncClosing:
    """close() at the end of an `async with` statement."""

    async def close(self) -> None:
        raise NotImplementedError

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Any, trace: Any) -> None:
        await self.close()


class AsyncSubscription(SubscriptionBase, _AsyncClosing):
    """A subscription; without a callback, an asynchronous iterator, which ends with close()."""

    connection: "AsyncClient"

    async def receive(self, timeout: Optional[float] = None) -> Message:
        """The next message. Raises Timeout."""
        return await self.connection._next(self, timeout)

    async def receive_many(self, most: int = 256, timeout: Optional[float] = None) -> List[Message]:
        """Waits for a message, and returns it with those that are there, up to `most`. Raises Timeout."""
        messages = self._take_many([await self.receive(timeout)], most)
        self.connection._resume()
        return messages

    async def __aiter__(self) -> AsyncIterator[Message]:
        while self.inbox.items or not self.ended:
            try:
                message = await self.receive()
            except Error:
                if self.ended:
                    return
                raise
            yield message

    async def close(self) -> None:
        """Ends the subscription. Messages that came before can still be read."""
        self._close_with(lib.mr_unsubscribe)
        self.connection._resume()


class AsyncConsumer(ConsumerBase, _AsyncClosing):
    """A consumer; without a callback, an asynchronous iterator over its deliveries."""

    connection: "AsyncClient"

    async def pull(self, timeout: Optional[float] = None) -> Delivery:
        """The next delivery. Without `manual`, acknowledges the one before. Raises Timeout."""
        return (await self.pull_many(1, timeout))[0]

    async def pull_many(self, most: int = 256, timeout: Optional[float] = None,
                        wait: float = 0) -> List[Delivery]:
        """Waits for a delivery, and returns it with those that are there, up to `most`. With `wait` it waits
        so many seconds more for them; more than `prefetch` unsettled ones never come. Without `manual`,
        acknowledges all those before. Raises Timeout."""
        self._settle_handed()
        self.connection._kick()
        loop = asyncio.get_running_loop()
        until = None if timeout is None else loop.time() + timeout
        while not self._handed:
            left = None if until is None else max(0.0, until - loop.time())
            # Not taken yet: a cancelled task must not lose it.
            self.inbox.items.appendleft(await self.connection._next(self, left))
            await self.connection._fill(self, most, wait)
            self._handed = self._take_many([], most)
        return list(self._handed)

    async def settle_and_push(self, delivery: Delivery, *outputs: Output, reject: bool = False,
                              delay_ms: int = 0, at_least_once: bool = False,
                              timeout: Optional[float] = None) -> None:
        """Pushes the outputs, and acknowledges the delivery when their queues have accepted them: all of
        it, or nothing. If an output is refused, the delivery comes again after `delay_ms`, or with
        `reject` goes to the dead letters. A delivery that was not pushed exactly once is refused without
        `at_least_once`. `timeout`: for room; the outcome takes as long as the queues do."""
        client = self.connection
        future: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()

        def ended(tag: int, error: int) -> None:
            sink.drop()
            client._hand(settled, future, None, error)

        def attempt() -> Optional[int]:
            code = step.run(lib.mr_settle_and_push_async_sized, entry["mrpy_on_outcome"],
                            sink.handle)
            return None if code == -errno.EAGAIN else client._check(code)

        sink = Sink(client, ended)
        step = Step(delivery, outputs, reject, delay_ms, at_least_once, 0)
        try:
            if attempt() is None:
                await client._until(attempt, timeout, "no room in time")
        except BaseException:
            sink.drop()
            raise
        client._kick()
        await future

    async def __aiter__(self) -> AsyncIterator[Delivery]:
        while not self.closed:
            try:
                delivery = await self.pull()
            except Error:
                if self.closed:
                    return
                raise
            yield delivery

    async def close(self) -> None:
        """Ends the deliveries. Unsettled ones go to other consumers."""
        self.inbox.items.clear()
        self._close_with(lib.mr_consumer_close)


class AsyncPublisher(PublisherBase, _AsyncClosing):
    """A subject opened for many messages."""

    connection: "AsyncClient"

    async def send(self, payload: Payload = b"", headers: Optional[HeadersIn] = None,
                   timeout: Optional[float] = None) -> None:
        """Publishes one message; waits for room up to `timeout` (default: `request_timeout`)."""
        if not self.try_send(payload, headers):
            await self.connection._until(lambda: self.try_send(payload, headers) or None, timeout,
                                         "no room in time")

    async def send_batch(self, payloads: Sequence[Payload], timeout: Optional[float] = None) -> None:
        """Publishes all payloads, a message each; waits for room as send()."""
        sent = self.try_send_batch(payloads)
        while sent < len(payloads):
            rest = payloads[sent:]
            sent += await self.connection._until(lambda: self.try_send_batch(rest) or None, timeout,
                                                 "no room in time")

    async def claim(self, size: int, timeout: Optional[float] = None) -> Claim:
        """Claims room in the ring, to write a payload of up to `size` bytes without a copy; waits for room
        as send(). Do not await anything while the claim is open."""
        return await self.connection._until(lambda: self.try_claim(size), timeout, "no room in time")

    async def claim_batch(self, size: int, count: int,
                          timeout: Optional[float] = None) -> BatchClaim:
        """Claims room for up to `count` payloads of `size` bytes, at least one; as claim()."""
        return await self.connection._until(lambda: self.try_claim_batch(size, count), timeout,
                                            "no room in time")

    async def request(self, payload: Payload = b"", timeout: Optional[float] = None) -> Message:
        """Sends a request and returns the first reply, as request() of the client."""
        client, data = self.connection, ffi.from_buffer(data_of(payload))
        future: "asyncio.Future[Message]" = client._future()

        def arrived(reply: Any, error: int) -> None:
            sink.drop()
            message = Message(client, reply, borrow=False) if reply != ffi.NULL else None
            client._hand(settled, future, message, error)

        sink = Sink(client, arrived)
        try:
            await client._until(lambda: self._try_request(data, milliseconds(timeout, -1), sink), None,
                                "no room in time")
        except BaseException:
            sink.drop()
            future.cancel()
            raise
        return await future

    async def close(self) -> None:  # type: ignore[override]
        """Closes the publisher."""
        super().close()


class AsyncQueue(QueueBase, _AsyncClosing):
    """A queue opened for pushing."""

    connection: "AsyncClient"

    async def push(self, payload: Payload = b"", headers: Optional[HeadersIn] = None,
                   priority: Priority = Priority.NORMAL, id: int = 0, publisher: int = 0,
                   timeout: Optional[float] = None, ttl_ms: int = 0, delay_ms: int = 0,
                   at_ms: int = 0, key: Optional[str] = None, ticket: int = 0, every_ms: int = 0,
                   cron: Optional[str] = None, attempts: int = 0) -> int:
        """Pushes one message and returns its number, 0 without a promise; waits for room up to
        `timeout` (default: `request_timeout`). settle() of the client waits for the outcome."""
        def attempt() -> Optional[int]:
            return self.try_push(payload, headers, priority, id, publisher, ttl_ms, delay_ms, at_ms,
                                 key, ticket, every_ms, cron, attempts)

        number = attempt()
        if number is None:
            number = await self.connection._until(attempt, timeout, "no room in time")
        return number

    async def close(self) -> None:  # type: ignore[override]
        """Closes the handle, and forgets pushes that are not accepted."""
        super().close()


class AsyncService(ServiceBase, _AsyncClosing):
    """A worker of a service; without a handler, an asynchronous iterator over its requests."""

    connection: "AsyncClient"

    def __init__(self, connection: "AsyncClient", name: str,
                 handler: Optional[Callable[[Request], Awaitable[Optional[Payload]]]], prefetch: int,
                 options: Optional[QueueOptions], streams: bool = False, window: int = 0,
                 pending_max: int = PENDING_MAX) -> None:
        self._handler = handler
        super().__init__(connection, name, prefetch, options, self._start if handler else None, False,
                         streams, None, window, pending_max)

    def _start(self, request: Request) -> None:
        task = self.connection._loop.create_task(self._handle(request))
        self.connection._tasks.add(task)
        task.add_done_callback(self.connection._tasks.discard)

    async def _handle(self, request: Request) -> None:
        assert self._handler is not None
        try:
            self._answer(request, await self._handler(request))
        except BaseException as error:
            self._give_up(request)
            if request._parts is not None and error is request._parts._error:
                return  # recalled, or the service was closed: nobody waits for a reply
            if isinstance(error, Exception):
                self.connection._raised.append(error)
                self.connection._report()
            else:
                raise

    async def receive(self, timeout: Optional[float] = None) -> Request:
        """The next request. Raises Timeout."""
        return await self.connection._next(self, timeout)

    async def __aiter__(self) -> AsyncIterator[Request]:
        while not self.closed:
            try:
                request = await self.receive()
            except Error:
                if self.closed:
                    return
                raise
            yield request

    async def close(self) -> None:
        """Stops serving. Requests in hand go to other workers."""
        self.inbox.items.clear()
        self._close_with(lib.mr_service_close)


class AsyncStream(StreamBase, _AsyncClosing):
    """A streaming request; without a callback, an asynchronous iterator over its replies: partial ones,
    whose `more` is true, and the final one. An error of the call is raised after them."""

    connection: "AsyncClient"

    async def send(self, payload: Payload = b"", more: bool = True,
                   timeout: Optional[float] = None) -> None:
        """Sends the next part; the last one with `more` false. Waits until the worker grants room, up to
        `timeout` (default: `request_timeout`)."""
        if not self.try_send(payload, more):
            await self.connection._until(lambda: self.try_send(payload, more) or None, timeout,
                                         "no room in time")

    async def receive(self, timeout: Optional[float] = None) -> Part:
        """The next reply. Raises Timeout, and ENOENT after the final one."""
        return await self.connection._next(self, timeout)

    async def result(self, timeout: Optional[float] = None) -> Part:
        """Waits for the final reply, skipping partial ones that are unread. Raises Timeout, or the error of
        the call."""
        try:
            async with asyncio.timeout(timeout) as limit:
                while True:
                    final = self._outcome()
                    self.connection._resume()
                    if final is not None:
                        return final
                    await notified(self, self.connection._loop)
        except TimeoutError:
            if not limit.expired():
                raise
            raise error_of(-errno.ETIMEDOUT, "no final reply in time") from None

    async def __aiter__(self) -> AsyncIterator[Part]:
        while self.inbox.items or not self.ended:
            yield await self.receive()
        if self._error is not None:
            raise self._error

    async def close(self) -> None:
        """Gives the call up if it has not ended."""
        self._close_stream()
        self.connection._resume()
