# SPDX-License-Identifier: Apache-2.0
"""What subscriptions and publishers of Client and AsyncClient have in common."""
import errno
from typing import Any, Callable, List, Optional, Sequence

from ._native import entry, ffi, lib
from .claims import BatchClaim, Claim
from .core import Connection, Owned, Receiving, Sink
from .headers import HeadersIn, build, c_text
from .message import Message, read_stamp
from .options import Payload, Promise, data_of


def _expired(message: Message) -> Optional[BufferError]:
    try:
        message._expire()
    except BufferError as error:
        return error
    return None


class SubscriptionBase(Receiving[Message]):
    """A subscription."""

    def __init__(self, connection: Connection, pattern: str,
                 callback: Optional[Callable[[Message], object]], group: Optional[str], prefix: bool,
                 promise: Promise, high_water: int, pending_max: int, time: bool, sender: bool,
                 batch: Optional[Callable[[List[Message]], object]]) -> None:
        if callback is not None and batch is not None:
            raise ValueError("a subscription has either a callback or a batch callback")
        super().__init__(connection, pending_max, promise != Promise.BEST_EFFORT, callback or batch)
        self.pattern = pattern
        self._stamps = time or sender
        options = ffi.new("struct mr_subscribe_options *")
        name = ffi.NULL if group is None else ffi.new("char[]", c_text(group))
        options.group, options.prefix = name, prefix
        options.promise, options.high_water = promise, high_water
        options.time, options.sender = time, sender
        self._on_end: Optional[Callable[[], object]] = None
        each = ffi.NULL if batch is not None else entry["mrpy_on_message"]
        if batch is not None:
            options.batch = entry["mrpy_on_messages"]
        self._sink = Sink(connection, self._arrived, self._come_to_end)
        if batch is not None:
            self._sink.first = self._arrived_many

        def subscribe(*arguments: Any) -> int:
            return int(lib.mr_subscribe_sized(*arguments,
                                              ffi.sizeof("struct mr_subscribe_options")))

        try:
            self._open("mr_subscription", subscribe, c_text(pattern), options, each,
                       self._sink.handle)
        except BaseException:
            self._sink.drop()
            raise
        lib.mr_subscription_on_end(self._p, entry["mrpy_on_end"], self._sink.handle)

    def _message(self, m: Any, borrow: bool) -> Message:
        message = Message(self.connection, m, borrow)
        if self._stamps:
            message._stamp = read_stamp(m)
        return message

    def _arrived(self, m: Any) -> None:
        if self._function is None:
            self._arrived_one(self._message(m, borrow=False))
            return
        message = self._message(m, borrow=self.connection._borrows)
        try:
            self.connection._hand(self._function, message)
        finally:
            message._expire()

    def _arrived_many(self, first: Any, count: int, stride: int) -> None:
        assert self._function is not None
        m = ffi.new("struct mr_message *", first[0])
        messages: List[Message] = []
        for start in range(0, count * stride, stride) if count > 1 else (0,):
            m.subject = first.subject + start
            m.headers = first.headers + start if m.header_bytes else ffi.NULL
            m.payload = ffi.cast("char *", first.payload) + start
            messages.append(self._message(m, borrow=self.connection._borrows))
        try:
            self.connection._hand(self._function, messages)
        finally:
            kept = [error for error in map(_expired, messages) if error is not None]
            if kept:
                raise kept[0]

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

    def try_send_batch(self, payloads: Sequence[Payload]) -> int:
        """Publishes as many of the payloads as there is room for, and returns how many, counted from the
        first."""
        memory = [ffi.from_buffer(data_of(payload)) for payload in payloads]
        buffers = ffi.new("struct mr_buffer[]", len(memory))
        for buffer, data in zip(buffers, memory):
            buffer.data, buffer.bytes = ffi.cast("void *", data), len(data)
        code = lib.mr_publisher_send_batch(self._pointer(), buffers, len(memory))
        return 0 if code == -errno.EAGAIN else self.connection._check(code)

    def try_claim(self, size: int) -> Optional[Claim]:
        """Claims room in the ring for one payload of up to `size` bytes; None: there is none."""
        place = ffi.new("void **")
        code = lib.mr_publisher_claim(self._pointer(), size, place)
        if code == -errno.EAGAIN:
            return None
        self.connection._check(code)
        return Claim(self, place[0], size)

    def try_claim_batch(self, size: int, count: int) -> Optional[BatchClaim]:
        """Claims room for up to `count` payloads of `size` bytes; None: there is none."""
        first, stride = ffi.new("void **"), ffi.new("size_t *")
        code = lib.mr_publisher_claim_batch(self._pointer(), size, count, first, stride)
        if code in (0, -errno.EAGAIN):
            return None
        return BatchClaim(self, first[0], stride[0], size, self.connection._check(code))

    def _try_request(self, data: Any, timeout_ms: int, sink: Sink) -> Optional[bool]:
        """Sends a request if there is room. None: there is none."""
        code = lib.mr_publisher_request(self._pointer(), data, len(data), timeout_ms,
                                        entry["mrpy_on_reply"], sink.handle)
        return None if code == -errno.EAGAIN else self.connection._check(code) == 0

    def close(self) -> None:
        """Closes the publisher. Promised messages are settled before by settle() of the client."""
        if self._p != ffi.NULL:
            p, self._p = self._pointer(), ffi.NULL
            lib.mr_publisher_close(p)
