# SPDX-License-Identifier: Apache-2.0
"""What queues and consumers of Client and AsyncClient have in common."""
import dataclasses
import errno
from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

from ._native import entry, ffi, lib
from .core import Connection, Owned, Receiving, Sink
from .errors import Error, error_of
from .headers import HeadersIn, build, c_text
from .message import Delivery
from .options import Payload, Priority, Promise, QueueOptions, copy_queue_options, data_of


def c_push(payload: Payload, headers: Optional[HeadersIn], priority: Priority, ttl_ms: int,
           delay_ms: int, at_ms: int, key: Optional[str] = None, ticket: int = 0, every_ms: int = 0,
           cron: Optional[str] = None, attempts: int = 0) -> Tuple[Any, Any]:
    """A struct mr_push, and the memory that it points to."""
    block, data = build(headers), ffi.from_buffer(data_of(payload))
    memory = ffi.from_buffer(block)
    push = ffi.new("struct mr_push *")
    if block:
        push.headers, push.header_bytes = ffi.cast("char *", memory), len(block)
    push.payload, push.bytes = ffi.cast("void *", data), len(data)
    push.priority, push.ttl_ms, push.delay_ms, push.at_ms = priority, ttl_ms, delay_ms, at_ms
    push.ticket, push.every_ms, push.attempts = ticket, every_ms, attempts
    texts = [ffi.new("char[]", c_text(text)) if text is not None else ffi.NULL for text in (key, cron)]
    push.key, push.cron = texts
    return push, (block, memory, data, texts)


def _open_queue(client: Any, name: Any, options: Any, out: Any) -> int:
    return int(lib.mr_queue_open_sized(client, name, options, out,
                                       ffi.sizeof("struct mr_push_options")))


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
        texts = copy_queue_options(options, c_options)  # kept for the call
        self._sink = Sink(connection, self._came_out)
        c_options.on_outcome, c_options.arg = entry["mrpy_on_outcome"], self._sink.handle
        try:
            self._open("mr_queue", _open_queue, c_text(name), c_options)
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
                 priority: Priority = Priority.NORMAL, id: int = 0, publisher: int = 0,
                 ttl_ms: int = 0, delay_ms: int = 0, at_ms: int = 0, key: Optional[str] = None,
                 ticket: int = 0, every_ms: int = 0, cron: Optional[str] = None,
                 attempts: int = 0) -> Optional[int]:
        """Pushes one message if there is room. Returns its number, 0 without a promise; None: the ring
        or the window of open pushes is full. `ttl_ms`: time to live; `delay_ms`, or `at_ms` since 1970:
        not delivered before; `key`: messages of one key go to one consumer in order, with
        Policy.KEY_SHARED; `ticket`, of ticket(): cancel() takes back what waits; `every_ms` or `cron`,
        with a ticket: the queue repeats the message; `attempts`: failed ones elsewhere, of a message that is
        moved."""
        push, memory = c_push(payload, headers, priority, ttl_ms, delay_ms, at_ms, key, ticket, every_ms,
                              cron, attempts)
        push.id, push.publisher = id, publisher
        out = ffi.new("uint64_t *")
        code = lib.mr_push_with_sized(self._pointer(), push, out, ffi.sizeof("struct mr_push"))
        if code == -errno.EAGAIN:
            return None
        self.connection._check(code)
        return int(out[0])

    def ticket(self) -> int:
        """A new number for a push that waits, by which cancel() finds it."""
        return int(lib.mr_queue_ticket(self._pointer()))

    def cancel(self, ticket: int) -> None:
        """Takes back the messages with this ticket that are not due, and ends what repeats with it. Waits
        for the answer. ESRCH: there is none."""
        self._pointer()
        self.connection.cancel(self.name, ticket)

    def close(self) -> None:
        """Closes the handle, and forgets pushes that are not accepted: settle() the client before."""
        if self._p != ffi.NULL:
            p, self._p = self._pointer(), ffi.NULL
            lib.mr_queue_close(p)
            self._sink.drop()


@dataclasses.dataclass
class Output:
    """A message for settle_and_push(). The fields are those of Queue.push()."""
    queue: QueueBase
    payload: Payload = b""
    headers: Optional[HeadersIn] = None
    priority: Priority = Priority.NORMAL
    ttl_ms: int = 0
    delay_ms: int = 0
    at_ms: int = 0
    key: Optional[str] = None
    ticket: int = 0
    every_ms: int = 0
    cron: Optional[str] = None
    attempts: int = 0


class Step:
    """The arguments of mr_settle_and_push(), and the memory that they point to."""

    def __init__(self, delivery: Delivery, outputs: Sequence[Output], reject: bool, delay_ms: int,
                 at_least_once: bool, timeout_ms: int) -> None:
        self.delivery = delivery
        self.input = ffi.new("struct mr_delivery *")
        self.input.consumer, self.input.tag = delivery.consumer._pointer(), delivery.tag
        self.input.publisher, self.input.id = delivery.publisher, delivery.id
        self.options = ffi.new("struct mr_settle_options *")
        self.options.when_refused, self.options.delay_ms = reject, delay_ms
        self.options.at_least_once, self.options.timeout_ms = at_least_once, timeout_ms
        self.count = len(outputs)
        self.outputs = ffi.new("struct mr_output []", max(self.count, 1))
        self._memory = []
        for c_output, o in zip(self.outputs, outputs):
            kept = c_push(o.payload, o.headers, o.priority, o.ttl_ms, o.delay_ms, o.at_ms, o.key,
                          o.ticket, o.every_ms, o.cron, o.attempts)
            self._memory.append(kept)
            c_output.queue, c_output.push = o.queue._pointer(), kept[0]

    def run(self, function: Callable[..., int], *arguments: Any) -> int:
        """Calls one of the two functions, and notes what it did with the delivery."""
        code = function(self.input, self.outputs, self.count, self.options, *arguments,
                        ffi.sizeof("struct mr_settle_options"), ffi.sizeof("struct mr_push"))
        self.delivery.settled = self.delivery.settled or code == 0
        return int(code)


def _consume(client: Any, queue: Any, options: Any, callback: Any, arg: Any, out: Any) -> int:
    return int(lib.mr_consume_sized(client, queue, options, callback, arg, out,
                                    ffi.sizeof("struct mr_consume_options")))


class Limits(NamedTuple):
    """Options of one consumer, not of its queue."""
    tag: Optional[str] = None
    rate: float = 0
    prefetch_bytes: int = 0
    exclusive: bool = False
    renew_max_ms: int = 0


class ConsumerBase(Receiving[Delivery]):
    """A consumer of a queue."""

    def __init__(self, connection: Connection, queue: str,
                 callback: Optional[Callable[[Delivery], object]], prefetch: int, weight: int,
                 manual: bool, options: Optional[QueueOptions], limits: Limits) -> None:
        # The prefetch bounds what is unsettled, and so the inbox.
        super().__init__(connection, 65535, False, callback)
        self.queue = queue
        self._manual = manual
        self._handed: List[Delivery] = []
        c_options = ffi.new("struct mr_consume_options *")
        c_options.prefetch, c_options.weight = prefetch, weight
        # What waits in the inbox is not done: the C library must not settle it.
        c_options.manual = manual or callback is None
        texts = copy_queue_options(options, c_options)  # kept for the call
        c_tag = ffi.NULL if limits.tag is None else ffi.new("char[]", c_text(limits.tag))
        c_options.tag, c_options.rate = c_tag, limits.rate
        c_options.prefetch_bytes, c_options.exclusive = limits.prefetch_bytes, limits.exclusive
        c_options.auto_renew, c_options.renew_max_ms = limits.renew_max_ms > 0, limits.renew_max_ms
        self._sink = Sink(connection, self._arrived, self._recalled)
        try:
            self._open("mr_consumer", _consume, c_text(queue), c_options,
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

    def pause(self) -> None:
        """Stops the deliveries until `resume`; what was sent already still comes."""
        self.connection._check(lib.mr_consumer_pause(self._pointer()))

    def resume(self) -> None:
        """Ends a `pause`, but not a pause by an operator."""
        self.connection._check(lib.mr_consumer_resume(self._pointer()))

    def retry_delay(self, delay_ms: int) -> None:
        """Sets the delay of rejected deliveries without one, while the queue has no back-off."""
        lib.mr_consumer_retry_delay(self._pointer(), delay_ms)

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
