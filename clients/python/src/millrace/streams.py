# SPDX-License-Identifier: Apache-2.0
"""Streaming requests: a call whose request has parts, for the caller and for the worker."""
import errno
from typing import Any, AsyncIterator, Callable, Iterator, Optional

from ._native import entry, ffi, lib
from .core import Connection, Inbox, Readable, Receiving, Sink
from .errors import Error, NotConnected, error_of
from .headers import HeadersIn, c_text
from .message import Part
from .options import Payload, data_of

class Parts(Readable[Part]):
    """The parts of a streaming request after its first: `for part in request.parts`, with an AsyncClient
    `async for`. Ends after the last one. Raises ENOENT when the request was answered or recalled."""

    def __init__(self, connection: Connection, most: int) -> None:
        self._connection = connection
        self.inbox = Inbox(most, True)
        #: True when the last part was received.
        self.complete = False
        self._error: Optional[Error] = None
        connection._kept.append(self.inbox)

    def _put(self, part: Part) -> None:
        self.inbox.put(part)
        if not part.more:
            self.complete = True
            self._over()

    def _fail(self, error: Error) -> None:
        if not self.complete and self._error is None:
            self._error = error
            self._over()

    def _over(self) -> None:
        if self.inbox in self._connection._kept:
            self._connection._kept.remove(self.inbox)
        self.inbox.notify()

    def _refuse_ended(self) -> None:
        self._connection._enter()
        if self._error is not None:
            raise self._error

    @property
    def _left(self) -> bool:
        return bool(self.inbox.items) or not self.complete

    def __iter__(self) -> Iterator[Part]:
        connection: Any = self._connection
        while self._left:
            yield connection._next(self, None)

    async def __aiter__(self) -> AsyncIterator[Part]:
        connection: Any = self._connection
        while self._left:
            yield await connection._next(self, None)


class StreamBase(Receiving[Part]):
    """A streaming request of the caller, and the replies to it."""

    def __init__(self, connection: Connection, service: str, payload: Payload,
                 callback: Optional[Callable[[Part], object]], timeout: Optional[float], wait: bool,
                 headers: Optional[HeadersIn], pending_max: int) -> None:
        # The worker sends as many partial replies as were read: none may be dropped.
        super().__init__(connection, pending_max, True, callback)
        self.service = service
        self._over = False
        self._error: Optional[Error] = None
        self._final: Optional[Part] = None
        self._sink = Sink(connection, self._arrived)
        data = ffi.from_buffer(data_of(payload))
        options, memory = connection._call_options(timeout, None, wait, headers)
        try:
            self._open("mr_stream", lib.mr_stream_open, c_text(service), data, len(data), options,
                       entry["mrpy_on_call"], self._sink.handle)
        except BaseException:
            self._sink.drop()
            self._unkeep()
            raise
        connection._changed()

    def _arrived(self, reply: Any, more: bool, error: int) -> None:
        if reply != ffi.NULL:
            self.connection._hand(self._take, Part(self.connection, reply, more))
        if not more:
            failure = self.connection._failed(error) if error < 0 else None
            self.connection._hand(self._end, failure)

    def _take(self, reply: Part) -> None:
        if not reply.more:
            self._final = reply
        if self._function is None:
            self.inbox.put(reply)
        else:
            self._function(reply)

    def _end(self, error: Optional[Error]) -> None:
        self._over, self._error = True, error
        self._unkeep()
        self.inbox.notify()

    @property
    def ended(self) -> bool:
        """True when no more replies come: after the final one, an error, or close()."""
        return self._over or self.closed

    def _refuse_ended(self) -> None:
        if self._error is not None:
            raise self._error
        if self._over:
            raise error_of(-errno.ENOENT, "the call has ended")
        self._pointer()

    def _outcome(self) -> Optional[Part]:
        """The final reply; None: not yet. Partial ones that nobody read are skipped."""
        self.inbox.items.clear()
        if self._over and self._error is None:
            return self._final
        self._refuse_ended()
        return None

    def try_send(self, payload: Payload = b"", more: bool = True) -> bool:
        """Sends the next part if the worker takes one now. False: it has granted no room yet."""
        if self._error is not None:
            raise self._error
        data = ffi.from_buffer(data_of(payload))
        code = lib.mr_stream_send(self._pointer(), data, len(data), more)
        if code == -errno.EAGAIN:
            return False
        self.connection._check(code)
        return True

    def _close_stream(self) -> None:
        def end(p: Any) -> int:
            lib.mr_stream_close(p)
            return 0

        self.inbox.items.clear()
        self._close_with(end)


def recalled() -> Error:
    """Why the parts of a request end early: it was answered, recalled, or its service closed."""
    return error_of(-errno.ENOENT, "the request is not in hand any more")


def lost() -> Error:
    """The same after a lost connection."""
    return NotConnected(errno.ENOTCONN, "the connection was lost")
