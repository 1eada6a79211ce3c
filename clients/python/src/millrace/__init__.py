# SPDX-License-Identifier: Apache-2.0
"""millrace: the client of the millrace message bus, over libmillrace.

    with millrace.connect() as client:
        client.publish("orders.eu.created", b"{}")
"""
from ._native import MODE, lib as _lib
from .admin import Admin, ClientRow, CounterRow, DeadLetter, QueueRow, SubjectRow, WorkerRow
from .aio import AsyncClient
from .aio_objects import (AsyncConsumer, AsyncPublisher, AsyncQueue, AsyncService, AsyncStream,
                          AsyncSubscription)
from .claims import BatchClaim, Claim
from .client import Client, Consumer, Publisher, Queue, Service, Stream, Subscription, connect
from .core import Timer
from .errors import Error, NoResponders, NotConnected, Timeout, text_of as _text_of
from .headers import Headers
from .message import Delivery, Message, Part, Request
from .options import (Event, Payload, Ping, Policy, Priority, Promise, QueueOptions, Severity,
                      SingleActive, Stats, WhenAway, WhenExpired, WhenFull)
from .queues import Output
from .streams import Parts


def library_version() -> str:
    """The version of libmillrace, such as "0.2.0"."""
    return _text_of(_lib.mr_version())


__all__ = [
    "Admin", "AsyncClient", "AsyncConsumer", "AsyncPublisher", "AsyncQueue", "AsyncService",
    "AsyncStream", "AsyncSubscription", "BatchClaim", "Claim", "Client", "ClientRow", "Consumer",
    "CounterRow", "DeadLetter", "Delivery", "Error", "Event", "Headers", "MODE", "Message",
    "NoResponders", "NotConnected", "Output", "Part", "Parts", "Payload", "Ping", "Policy",
    "Priority", "Promise", "Publisher", "Queue", "QueueOptions", "QueueRow", "Request", "Service",
    "Severity", "SingleActive", "Stats", "Stream", "SubjectRow", "Subscription", "Timeout", "Timer",
    "WhenAway", "WhenExpired", "WhenFull", "WorkerRow", "connect", "library_version",
]
