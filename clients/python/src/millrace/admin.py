# SPDX-License-Identifier: Apache-2.0
"""Administration of a bus of this host, over its admin socket."""
import dataclasses
from typing import Any, Callable, List, Optional, Type, TypeVar

from ._native import entry, ffi, lib
from .errors import error_of, text_of
from .headers import Headers, c_text, parse

# Options of mr_admin_edit(), by their names in QueueOptions: bits of enum mr_admin_option.
_EDITS = {"policy": 1, "when_full": 2, "messages_max": 4, "bytes_max": 8, "age_max_ms": 16,
          "ack_timeout_ms": 32, "max_deliver": 64, "breaker_failures": 256, "breaker_reset_ms": 512,
          "breaker_probes": 1024, "when_expired": 2048, "aging_s": 4096, "single_active": 8192,
          "in_flight_per_key": 16384}
_EDITS_TEXT = {"key_from": 32768, "dead_letter": 1048576, "owner": 2097152,
               "description": 4194304}
# Named retry_min_ms and so on: fields of struct mr_queue_retry.
_EDITS_RETRY = {"min_ms": 65536, "max_ms": 131072, "factor": 262144, "jitter": 524288}

T = TypeVar("T")
Self = TypeVar("Self")


@dataclasses.dataclass(frozen=True)
class QueueRow:
    """A queue or a service; struct mr_admin_queue says what each field means."""
    name: str
    service: bool
    paused: bool
    circuit_open: bool
    worker: int
    consumers: int
    ready: int
    delayed: int
    outstanding: int
    bytes: int
    oldest_ms: int
    dead_ready: int
    pushed: int
    accepted: int
    refused: int
    duplicates: int
    delivered: int
    redelivered: int
    acked: int
    dead: int
    expired: int
    replies: int
    failures: int


@dataclasses.dataclass(frozen=True)
class ClientRow:
    """A client; struct mr_admin_client says what each field means."""
    name: str
    session: int
    opened_ns: int
    remote: bool
    worker: int
    subscriptions: int
    uid: int
    gid: int
    pid: int
    rx_messages: int
    rx_bytes: int
    tx_messages: int
    tx_bytes: int
    missed: int
    rejected: int
    backlog_bytes: int
    held_messages: int


@dataclasses.dataclass(frozen=True)
class SubjectRow:
    """A subscription of a client; `group` is empty without one."""
    pattern: str
    group: str
    session: int
    prefix: bool


@dataclasses.dataclass(frozen=True)
class WorkerRow:
    """A worker; struct mr_admin_worker says what each field means."""
    worker: int
    cpu: int
    silent_ms: int
    rx_messages: int
    rx_bytes: int
    tx_messages: int
    tx_bytes: int
    published: int
    delivered: int


@dataclasses.dataclass(frozen=True)
class CounterRow:
    """A counter of the bus, with its meaning as `text`."""
    scope: str
    index: int
    name: str
    value: int
    text: str


@dataclasses.dataclass(frozen=True)
class DeadLetter:
    """A dead letter. `bytes` is the size of the whole; `headers` and `payload` are what the bus shows."""
    age_ms: int
    bytes: int
    headers: Headers
    payload: memoryview


class _Rows:
    """The argument of C callbacks for one list."""

    def __init__(self, convert: Callable[[Any], Any]) -> None:
        self._convert = convert
        self.rows: List[Any] = []
        self.error: Optional[BaseException] = None
        self.handle = ffi.new_handle(self)

    def run_first(self, row: Any) -> None:
        try:
            if self.error is None:
                self.rows.append(self._convert(row))
        except BaseException as error:  # nothing may pass through C
            self.keep(error)

    def keep(self, error: BaseException) -> None:
        self.error = error


def _fields(kind: Type[T], struct: str) -> Callable[[Any], T]:
    """What makes a dataclass of the struct with the same names."""
    pointer = ffi.typeof(f"struct {struct} *")

    def convert(row: Any) -> T:
        values = {}
        row = ffi.cast(pointer, row)
        for field in dataclasses.fields(kind):
            value = getattr(row, field.name)
            values[field.name] = value if isinstance(value, (int, bool)) else text_of(value)
        return kind(**values)

    return convert


def _dead_letter(row: Any) -> DeadLetter:
    r = ffi.cast("struct mr_admin_dead_letter *", row)
    headers = parse(r.headers, r.header_bytes) if r.header_bytes else Headers()
    payload = ffi.buffer(r.payload, r.payload_bytes)[:] if r.payload_bytes else b""
    return DeadLetter(r.age_ms, r.bytes, headers, memoryview(payload))


class Admin:
    """A connection to the admin socket of a bus of this host; needs no client.

    One thread at a time may use it. Calls wait at most 8 s for the answer, and for each further
    part of it: under asyncio use `await asyncio.to_thread(admin.queues)`.
    """

    def __init__(self, address: Optional[str] = None) -> None:
        self._a: Any = ffi.NULL
        out = ffi.new("struct mr_admin **")
        where = ffi.NULL if address is None else ffi.new("char[]", c_text(address))
        self._check(lib.mr_admin_open(where, out))
        self._a = out[0]

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_a", ffi.NULL) != ffi.NULL:
            self.close()

    def close(self) -> None:
        """Closes the connection."""
        a, self._a = self._a, ffi.NULL
        lib.mr_admin_close(a)

    def queues(self) -> List[QueueRow]:
        """The queues."""
        return self._list(_fields(QueueRow, "mr_admin_queue"), "queue", lib.mr_admin_queues, False)

    def services(self) -> List[QueueRow]:
        """The services."""
        return self._list(_fields(QueueRow, "mr_admin_queue"), "queue", lib.mr_admin_queues, True)

    def clients(self) -> List[ClientRow]:
        """The clients."""
        return self._list(_fields(ClientRow, "mr_admin_client"), "client", lib.mr_admin_clients)

    def subjects(self) -> List[SubjectRow]:
        """The subscriptions."""
        return self._list(_fields(SubjectRow, "mr_admin_subject"), "subject", lib.mr_admin_subjects)

    def workers(self) -> List[WorkerRow]:
        """The workers."""
        return self._list(_fields(WorkerRow, "mr_admin_worker"), "worker", lib.mr_admin_workers)

    def counters(self) -> List[CounterRow]:
        """All counters of the bus."""
        return self._list(_fields(CounterRow, "mr_admin_counter"), "counter", lib.mr_admin_counters)

    def dead_letters(self, queue: str, count: int = 16) -> List[DeadLetter]:
        """The oldest dead letters of a queue, which stay there. The bus shows at most 16."""
        return self._list(_dead_letter, "dead_letter", lib.mr_admin_dead_letters, c_text(queue), count)

    def purge(self, queue: str) -> int:
        """Drops the messages of a queue that are not delivered. Returns how many."""
        dropped = ffi.new("uint64_t *")
        self._check(lib.mr_admin_purge(self._a, c_text(queue), dropped))
        return int(dropped[0])

    def redrive(self, queue: str, count: int = 0) -> int:
        """Moves dead letters back into their queue, the oldest first; 0: all. Returns how many."""
        moved = ffi.new("uint64_t *")
        self._check(lib.mr_admin_redrive(self._a, c_text(queue), count, moved))
        return int(moved[0])

    def edit(self, queue: str, *, service: bool = False, **options: Any) -> None:
        """Changes options of a queue, or with `service` of a service: all that `millrace queue
        edit` changes. The names are those of QueueOptions."""
        values, edits = ffi.new("struct mr_admin_options *"), 0
        kept: List[Any] = []  # texts that `values` points to
        for name, value in options.items():
            if name in _EDITS_TEXT:
                kept.append(ffi.new("char[]", c_text(value)))
                edits |= _EDITS_TEXT[name]
                setattr(values, name, kept[-1])
            elif name.startswith("retry_") and name[6:] in _EDITS_RETRY:
                edits |= _EDITS_RETRY[name[6:]]
                setattr(values.retry, name[6:], value)
            elif name in _EDITS:
                edits |= _EDITS[name]
                setattr(values.queue, name, value)
            else:
                known = [*_EDITS, *_EDITS_TEXT, *(f"retry_{n}" for n in _EDITS_RETRY)]
                raise TypeError(f"{name} cannot be changed: {', '.join(known)} can")
        self._check(lib.mr_admin_edit_with_sized(self._a, c_text(queue), service, edits, values,
                                                 ffi.sizeof("struct mr_admin_options")))

    def bind(self, queue: str, subject: str) -> int:
        """Binds a queue to a subject or pattern: what is published there goes into the queue,
        which is made if there is none. Returns the number of its bindings."""
        bindings = ffi.new("unsigned *")
        self._check(lib.mr_admin_bind(self._a, c_text(queue), c_text(subject), bindings))
        return int(bindings[0])

    def unbind(self, queue: str, subject: Optional[str] = None) -> int:
        """Removes a binding; without a subject all of the queue. Returns the number of those
        that are left."""
        bindings = ffi.new("unsigned *")
        text = ffi.NULL if subject is None else c_text(subject)
        self._check(lib.mr_admin_unbind(self._a, c_text(queue), text, bindings))
        return int(bindings[0])

    def _list(self, convert: Callable[[Any], T], kind: str, function: Callable[..., int],
              *arguments: Any) -> List[T]:
        rows = _Rows(convert)
        receive = ffi.cast(f"mr_admin_{kind}_fn *", entry["mrpy_on_row"])
        code = function(self._a, *arguments, receive, rows.handle)
        if rows.error is not None:
            raise rows.error
        self._check(code)
        return rows.rows

    def _check(self, code: int) -> None:
        if code < 0:
            raise error_of(code, text_of(lib.mr_error(ffi.NULL)))
