# SPDX-License-Identifier: Apache-2.0
"""What queues and consumers of Client and AsyncClient have in common."""
import errno
from typing import Any, Callable, List, Optional

from ._native import entry, ffi, lib
from .core import Connection, Owned, Receiving, Sink
from .errors import Error, error_of
from .headers import HeadersIn, build, c_text
from .message import Delivery
from .options import Payload, Priority, Promise, QueueOptions, copy_fields, data_of


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
        self._handed: List[Delivery] = []
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
        for delivery in self._handed:
            if delivery.tag == tag:
                delivery.recalled = True

    def _settle_handed(self) -> None:
        """Without `manual`: the program asks for more deliveries, so those before are done."""
        handed, self._handed = self._handed, []
        for delivery in handed:
            if delivery.settled or delivery.recalled or self._manual:
                continue
            try:
                delivery.ack()
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
