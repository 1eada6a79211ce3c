# SPDX-License-Identifier: Apache-2.0
"""Received messages.

A message given to a callback lies in memory of the bus until the callback returns: `payload` is then
released, and reading it raises ValueError. bytes(message) and message.copy() copy. All other messages
own their memory.
"""
import sys
from typing import TYPE_CHECKING, Any, Optional, Tuple

from ._native import ffi, lib
from .headers import Headers, HeadersIn, parse
from .options import Payload, Priority

if TYPE_CHECKING:
    from .core import Connection
    from .queues import ConsumerBase
    from .services import ServiceBase
    from .streams import Parts

_EMPTY = Headers()
_NO_STAMP: Tuple[int, int, str] = (0, 0, "")
_getrefcount = getattr(sys, "getrefcount", None)


class Message:
    """A message: `subject` (empty for replies and deliveries), `headers`, `payload`.

    `reply_token` is None unless the sender wants a reply; it may be kept, for Client.reply().
    """

    __slots__ = ("subject", "headers", "payload", "reply_token", "_connection", "_borrowed", "_stamp")

    payload: memoryview

    def __init__(self, connection: "Connection", message: Any, borrow: bool) -> None:
        m = message
        self._connection = connection
        self.subject: str = ffi.buffer(m.subject, m.subject_bytes)[:].decode("utf-8", "replace") \
            if m.subject_bytes else ""
        self.headers: Headers = parse(m.headers, m.header_bytes) if m.header_bytes else _EMPTY
        self.reply_token: Optional[Tuple[int, int]] = \
            (m.reply_token[0], m.reply_token[1]) if m.wants_reply else None
        self._borrowed: Any = None
        self._stamp = _NO_STAMP
        if m.payload_bytes == 0:
            self.payload = memoryview(b"")
        elif borrow:
            self._borrowed = ffi.buffer(m.payload, m.payload_bytes)
            with memoryview(self._borrowed) as writable:
                self.payload = writable.toreadonly()
        else:
            self.payload = memoryview(ffi.buffer(m.payload, m.payload_bytes)[:])

    def __bytes__(self) -> bytes:
        return bytes(self.payload)

    def __len__(self) -> int:
        return len(self.payload)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.subject!r}>"

    @property
    def text(self) -> str:
        """The payload as UTF-8 text."""
        return bytes(self.payload).decode()

    @property
    def time_ns(self) -> int:
        """When the bus took the message, nanoseconds since 1970-01-01 UTC; 0 unless the subscription has
        asked with `time=True`."""
        return self._stamp[0]

    @property
    def sender(self) -> int:
        """The session that published the message; 0 unless the subscription has asked with
        `sender=True`."""
        return self._stamp[1]

    @property
    def sender_name(self) -> str:
        """The name of the client that published the message; empty unless the subscription has asked."""
        return self._stamp[2]

    @property
    def wants_reply(self) -> bool:
        """True: the sender waits for reply()."""
        return self.reply_token is not None

    def copy(self) -> "Message":
        """A message of the same type that owns its memory."""
        other = type(self).__new__(type(self))
        for kind in type(self).__mro__:
            for name in getattr(kind, "__slots__", ()):
                setattr(other, name, getattr(self, name))
        other.payload, other._borrowed = memoryview(bytes(self.payload)), None
        return other

    def reply(self, payload: Payload = b"", headers: Optional[HeadersIn] = None) -> None:
        """Answers a message that wants a reply, now or later."""
        if self.reply_token is None:
            raise ValueError("the sender of this message wants no reply")
        self._connection.reply(self.reply_token, payload, headers)

    def _expire(self) -> None:
        """The memory of the payload goes back. BufferError if the program still has views of it."""
        borrowed, self._borrowed = self._borrowed, None
        if borrowed is None:
            return
        kept = False
        try:
            self.payload.release()
        except BufferError:
            kept = True
        # A slice has the same owner as the released view: it shows in the owner's references, which
        # are otherwise this function's and the counter's.
        if kept or _getrefcount is not None and _getrefcount(borrowed) > 2:
            raise BufferError("a view of the payload was kept beyond the callback: copy it with bytes()")


def read_stamp(m: Any) -> Tuple[int, int, str]:
    """Time and sender of a struct mr_message."""
    name, size = ffi.new("const char **"), ffi.new("size_t *")
    sender = int(lib.mr_message_sender(m, name, size))
    text = ffi.buffer(name[0], size[0])[:].decode("utf-8", "replace") if size[0] else ""
    return int(lib.mr_message_time_ns(m)), sender, text


class Part(Message):
    """A part of a streaming request, or a reply to one. `more`: others follow."""

    __slots__ = ("more",)

    def __init__(self, connection: "Connection", message: Any, more: bool) -> None:
        super().__init__(connection, message, borrow=False)
        self.more = bool(more)


class Delivery(Message):
    """A message of a queue.

    `redelivered` counts earlier deliveries, `attempts` those of them that failed. `level` is its priority
    from 0 to 9. `publisher` and `id` number it if its publisher promised exactly once. `recalled`: the bus
    took it back.
    """

    __slots__ = ("consumer", "tag", "redelivered", "attempts", "priority", "level", "publisher",
                 "id", "recalled", "settled")

    def __init__(self, consumer: "ConsumerBase", delivery: Any, borrow: bool) -> None:
        d = delivery
        super().__init__(consumer.connection, d.message, borrow)
        self.consumer = consumer
        self.tag: int = d.tag
        self.redelivered: int = d.redelivered
        self.attempts: int = lib.mr_delivery_attempts(d)
        self.priority = Priority(d.priority)
        self.level: int = lib.mr_delivery_priority(d)
        self.publisher: int = d.publisher
        self.id: int = d.id
        self.recalled = False
        self.settled = False

    @property
    def number(self) -> int:
        """The number by which the bus knows the delivery; 0: it is settled, or was recalled."""
        d = ffi.new("struct mr_delivery *")
        d.consumer, d.tag = self.consumer._pointer(), self.tag
        return int(lib.mr_delivery_number(d))

    def ack(self) -> None:
        """The work is done: the queue removes the message."""
        self._settle(lib.mr_ack)

    def nack(self, requeue: bool = True, delay_ms: int = 0, error: Optional[str] = None) -> None:
        """The work failed: the queue delivers it again after `delay_ms`, or after the delay of its
        back-off, up to its limit of attempts. Without `requeue`, or after the last attempt, it goes to the
        dead letters. `error`, one line, stays with the message in its header Millrace-Error."""
        if error is None:
            self._settle(lib.mr_nack, requeue, delay_ms)
        else:
            text = error.replace("\0", " ").encode(errors="replace")
            self._settle(lib.mr_nack_error, requeue, delay_ms, text)

    def give_back(self) -> None:
        """The work was not begun: another consumer gets it, and it does not count as an attempt."""
        self._settle(lib.mr_give_back)

    def progress(self) -> None:
        """The work goes on: restarts the acknowledgement time-out."""
        self.consumer._call(lib.mr_progress, self.tag)

    def _settle(self, function: Any, *arguments: Any) -> None:
        self.consumer._call(function, self.tag, *arguments)
        self.settled = True


class Request(Message):
    """A call that a worker of a service has in hand until its final reply. `more`: a streaming request, of
    which this is the first part."""

    __slots__ = ("service", "tag", "redelivered", "recalled", "settled", "more", "_parts")

    def __init__(self, service: "ServiceBase", work: Any, borrow: bool) -> None:
        d = work.delivery
        super().__init__(service.connection, d.message, borrow)
        self.service = service
        self.tag: int = d.tag
        self.redelivered: int = d.redelivered
        self.recalled = False
        self.settled = False
        self.more = bool(work.more)
        self._parts: "Optional[Parts]" = None

    @property
    def parts(self) -> "Parts":
        """The further parts of a streaming request, to iterate over. Not within a handler of Client, which
        cannot wait: use `on_part` there."""
        if self._parts is None:
            raise ValueError("this request has no parts to read: see `streams` of serve()")
        return self._parts

    def respond(self, payload: Payload = b"", headers: Optional[HeadersIn] = None,
                more: bool = False) -> None:
        """Sends the final reply; with `more` a partial one, which another must follow."""
        self.service._respond(self.tag, payload, headers, more)
        if not more:
            self._settle()

    def _settle(self) -> None:
        self.settled = True
        self.service._done(self.tag)

    @property
    def room(self) -> int:
        """Partial replies that the caller takes now."""
        return int(self.service._call(lib.mr_respond_room, self.tag))

    def fail(self, again: bool = False) -> None:
        """Gives the request up: the caller gets EREMOTEIO. With `again` a worker gets it again."""
        self.service._call(lib.mr_respond_failed, self.tag, again)
        self._settle()

    def progress(self) -> None:
        """The work goes on: restarts the acknowledgement time-out."""
        self.service._call(lib.mr_respond_progress, self.tag)
