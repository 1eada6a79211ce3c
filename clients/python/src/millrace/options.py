# SPDX-License-Identifier: Apache-2.0
"""Choices, options and counters: those of millrace.h, with its names."""
import dataclasses
import enum
import math
from typing import Any, List, Optional, Union

from ._native import ffi
from .headers import c_text

Payload = Union[bytes, bytearray, memoryview, str]


class Promise(enum.IntEnum):
    """What is promised for the messages of a publisher, queue handle or subscription."""
    BEST_EFFORT = 0
    AT_LEAST_ONCE = 1
    EXACTLY_ONCE = 2


class WhenAway(enum.IntEnum):
    """The fate of best-effort publishes while the bus is away."""
    KEEP = 0
    WAIT = 1
    DROP_OLDEST = 2
    FAIL = 3


class Policy(enum.IntEnum):
    """How a queue chooses the consumer of the next message."""
    DEFAULT = 0
    LEAST_RECENTLY_USED = 1
    ROUND_ROBIN = 2
    LEAST_OUTSTANDING = 3
    RANDOM = 4
    WEIGHTED = 5
    KEY_SHARED = 6


class WhenFull(enum.IntEnum):
    """The answer to a push that finds the queue full."""
    DEFAULT = 0
    WAIT = 1
    REFUSE = 2
    DROP_OLDEST = 3
    DEAD_LETTER = 4


class WhenExpired(enum.IntEnum):
    """What becomes of a message whose time to live is over."""
    DEFAULT = 0
    DISCARD = 1
    DEAD_LETTER = 2


class SingleActive(enum.IntEnum):
    """Whether one consumer of a queue gets all messages, and the others stand by."""
    DEFAULT = 0
    NO = 1
    YES = 2


class Priority(enum.IntEnum):
    """Priority of a message within its queue: low is level 1, normal 4, high 7 of the levels 0 to 9."""
    NORMAL = 0
    HIGH = 1
    LOW = 2
    LEVEL_0 = 16
    LEVEL_1 = 17
    LEVEL_2 = 18
    LEVEL_3 = 19
    LEVEL_4 = 20
    LEVEL_5 = 21
    LEVEL_6 = 22
    LEVEL_7 = 23
    LEVEL_8 = 24
    LEVEL_9 = 25


class Severity(enum.IntEnum):
    """How important an event of the library is."""
    ERROR = 0
    WARNING = 1
    INFO = 2


class Event(enum.IntEnum):
    """The kind of an event of the library. One that this package does not know is OTHER."""
    OTHER = -1
    DISCONNECTED = 0
    CONNECTED = 1
    RETRY = 2
    GAP = 3
    REFUSED = 4
    MALFORMED = 5
    UNMATCHED = 6
    MISSED = 7
    LOST = 8

    @classmethod
    def _missing_(cls, value: object) -> "Event":
        return cls.OTHER


@dataclasses.dataclass(frozen=True)
class QueueOptions:
    """Options of a queue or service, used by the client that makes it. 0 and None: the default of the bus,
    which agrees with any.

    Queues only: `key_from`, "header NAME" or "token N", is the key of a message that is pushed without
    one, with Policy.KEY_SHARED. The `retry_` fields are the back-off of failed attempts: the delay after the
    first and the longest one, the growth in hundredths, the random part in percent. `dead_letter` names the
    queue that gets the dead letters, or is "none" or "default"."""
    policy: Policy = Policy.DEFAULT
    when_full: WhenFull = WhenFull.DEFAULT
    messages_max: int = 0
    bytes_max: int = 0
    age_max_ms: int = 0
    ack_timeout_ms: int = 0
    max_deliver: int = 0
    not_idempotent: bool = False
    breaker_failures: int = 0
    breaker_reset_ms: int = 0
    breaker_probes: int = 0
    when_expired: WhenExpired = WhenExpired.DEFAULT
    aging_s: int = 0
    single_active: SingleActive = SingleActive.DEFAULT
    in_flight_per_key: int = 0
    key_from: Optional[str] = None
    retry_min_ms: int = 0
    retry_max_ms: int = 0
    retry_factor: int = 0
    retry_jitter: int = 0
    dead_letter: Optional[str] = None


@dataclasses.dataclass(frozen=True)
class Stats:
    """Counters of a client since it connected; struct mr_client_stats says what each counts."""
    published: int
    received: int
    missed: int
    unmatched: int
    malformed: int
    reconnects: int
    session: int
    worker: int
    frames_sent: int
    frames_received: int
    frames_lost: int
    frames_duplicate: int
    frames_strange: int
    unsent: int
    reliable_sent: int
    reliable_received: int
    retransmits: int
    retransmit_timeouts: int
    frames_held: int
    rtt_us: int
    duplicates: int
    lost: int
    kept: int


@dataclasses.dataclass(frozen=True)
class Ping:
    """Times of a round trip to control, ns."""
    handled_ns: int
    round_ns: int


_RETRY = {"retry_min_ms": "min_ms", "retry_max_ms": "max_ms", "retry_factor": "factor",
          "retry_jitter": "jitter"}
_TEXTS = ("key_from", "dead_letter")


def copy_queue_options(options: Optional[QueueOptions], struct: Any) -> List[Any]:
    """Writes the options into the struct that has them as fields `queue`, `retry`, `key_from` and
    `dead_letter`. Returns the memory of the texts."""
    memory: List[Any] = []
    for name, value in vars(options or QueueOptions()).items():
        if name in _RETRY:
            setattr(struct.retry, _RETRY[name], value)
        elif name not in _TEXTS:
            setattr(struct.queue, name, value)
        elif value is not None:
            memory.append(ffi.new("char[]", c_text(value)))
            setattr(struct, name, memory[-1])
    return memory


def copy_service_options(options: Optional[QueueOptions], struct: Any) -> None:
    """Writes the options into a struct mr_queue_options. Those that only queues have are refused."""
    for name, value in vars(options or QueueOptions()).items():
        if name not in _RETRY and name not in _TEXTS:
            setattr(struct, name, value)
        elif value:
            raise ValueError(f"{name} is an option of queues, not of services")


def milliseconds(seconds: Optional[float], none: int) -> int:
    """Whole ms, at least 1 for a time that is not 0; `none` without a time."""
    if seconds is None:
        return none
    if seconds < 0:
        raise ValueError("a timeout is 0 or more seconds, or None")
    return min(math.ceil(seconds * 1000), 2**31 - 1)


def data_of(payload: Payload) -> Union[bytes, bytearray, memoryview]:
    """A payload as bytes; a str in UTF-8."""
    return payload.encode() if isinstance(payload, str) else payload
