# SPDX-License-Identifier: Apache-2.0
"""What services of Client and AsyncClient have in common."""
from typing import Any, Callable, Dict, Optional

from ._native import entry, ffi, lib
from .core import PENDING_MAX, Connection, Receiving, Sink
from .errors import Error
from .headers import HeadersIn, build, c_text
from .message import Part, Request
from .options import Payload, QueueOptions, copy_service_options, data_of
from .streams import Parts, lost, recalled


class ServiceBase(Receiving[Request]):
    """A worker of a service."""

    def __init__(self, connection: Connection, name: str, prefetch: int,
                 options: Optional[QueueOptions], function: Optional[Callable[[Request], object]],
                 borrow: bool, streams: bool = False,
                 on_part: Optional[Callable[[Request, Part], object]] = None, window: int = 0,
                 pending_max: int = PENDING_MAX) -> None:
        super().__init__(connection, 65535, False, function)
        self.name = name
        self._borrow = borrow
        self._on_part = on_part
        self._parts_max = pending_max
        # Streaming requests in hand, by their tags.
        self._streams: Dict[int, Request] = {}
        c_options = ffi.new("struct mr_serve_options *")
        c_options.prefetch, c_options.window = prefetch, window
        if streams or on_part is not None:
            c_options.on_part = entry["mrpy_on_part"]
        copy_service_options(options, c_options.queue)
        self._sink = Sink(connection, self._arrived, self._recalled, self._part_arrived)
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
        if request.more:
            self.connection._hand(self._begin, request)
        if self._function is None:
            self._arrived_one(request)
            return
        try:
            self.connection._hand(self._function, request)
        finally:
            request._expire()

    def _begin(self, request: Request) -> None:
        self._streams[request.tag] = request
        if self._on_part is None:
            request._parts = Parts(self.connection, self._parts_max)

    def _part_arrived(self, tag: int, part: Any, more: bool) -> None:
        self.connection._hand(self._take_part, tag, Part(self.connection, part, more))

    def _take_part(self, tag: int, part: Part) -> None:
        request = self._streams.get(tag)
        if request is None:
            return  # answered, or given up
        if self._on_part is None:
            request.parts._put(part)
            return
        try:
            self._on_part(request, part)
        except BaseException:
            self._give_up(request)
            raise

    def _done(self, tag: int) -> None:
        """A request was answered or given up."""
        request = self._streams.pop(tag, None)
        if request is not None and request._parts is not None:
            request._parts._fail(recalled())

    def _connection_lost(self) -> None:
        streams, self._streams = self._streams, {}
        for request in streams.values():
            request.recalled = True
            if request._parts is not None:
                request._parts._fail(lost())

    def _notify(self) -> None:
        super()._notify()
        for request in self._streams.values():
            if request._parts is not None and self.closed:
                request._parts._fail(recalled())
            elif request._parts is not None:
                request._parts.inbox.notify()

    def _recalled(self, tag: int) -> None:
        self.connection._hand(self._forget_tag, tag)

    def _forget_tag(self, tag: int) -> None:
        for request in list(self.inbox.items):
            if request.tag == tag:
                self.inbox.items.remove(request)
        if tag in self._streams:
            self._streams[tag].recalled = True
            self._done(tag)

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
