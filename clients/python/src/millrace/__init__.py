# SPDX-License-Identifier: Apache-2.0
"""millrace: the client of the millrace message bus, over libmillrace.

    with millrace.connect() as client:
        client.publish("orders.eu.created", b"{}")
"""
from ._native import MODE, lib as _lib
from .aio import (AsyncClient, AsyncConsumer, AsyncPublisher, AsyncQueue, AsyncService,
                  AsyncSubscription)
from .client import Client, Consumer, Publisher, Queue, Service, Subscription, connect
from .errors import Error, NoResponders, NotConnected, Timeout, text_of as _text_of
from .headers import Headers
from .message import Delivery, Message, Request
from .options import (Payload, Ping, Policy, Priority, Promise, QueueOptions, Stats, WhenAway,
                      WhenFull)


def library_version() -> str:
    """The version of libmillrace, such as "0.1.0"."""
    return _text_of(_lib.mr_version())


__all__ = [
    "AsyncClient", "AsyncConsumer", "AsyncPublisher", "AsyncQueue", "AsyncService",
    "AsyncSubscription", "Client", "Consumer", "Delivery", "Error", "Headers", "MODE", "Message",
    "NoResponders", "NotConnected", "Payload", "Ping", "Policy", "Priority", "Promise", "Publisher",
    "Queue", "QueueOptions", "Request", "Service", "Stats", "Subscription", "Timeout", "WhenAway",
    "WhenFull", "connect", "library_version",
]
