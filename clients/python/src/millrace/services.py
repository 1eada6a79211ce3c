# SPDX-License-Identifier: Apache-2.0
"""What services of Client and AsyncClient have in common."""
from typing import Any, Callable, Optional

from ._native import entry, ffi, lib
from .core import Connection, Receiving, Sink
from .errors import Error
from .headers import HeadersIn, build, c_text
from .message import Request
from .options import Payload, QueueOptions, copy_fields, data_of


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
