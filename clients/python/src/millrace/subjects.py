# SPDX-License-Identifier: Apache-2.0
"""What subscriptions and publishers of Client and AsyncClient have in common."""
import errno
from typing import Any, Callable, Optional

from ._native import entry, ffi, lib
from .core import Connection, Owned, Receiving, Sink
from .headers import HeadersIn, build, c_text
from .message import Message
from .options import Payload, Promise, data_of


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
