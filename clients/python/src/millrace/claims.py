# SPDX-License-Identifier: Apache-2.0
"""Claims: room in the ring to the bus, into which payloads are written without a copy.

While a claim is open most calls of its client raise EDEADLK: write, and commit or abort.
"""
import sys
from typing import TYPE_CHECKING, Any, Optional, Type, TypeVar

from ._native import ffi, lib

if TYPE_CHECKING:
    from .subjects import PublisherBase

Self = TypeVar("Self")
_getrefcount = getattr(sys, "getrefcount", None)


class _Claimed:
    """What both kinds of claims have in common."""

    def __init__(self, publisher: "PublisherBase", first: Any, size: int) -> None:
        self._publisher = publisher
        self._owner: Any = ffi.buffer(first, size) if size else bytearray()
        self._memory = memoryview(self._owner)
        self._open = True

    @property
    def open(self) -> bool:
        """False after commit() and abort(), and when the publisher is closed."""
        return self._open and not self._publisher.closed

    def __enter__(self: Self) -> Self:
        return self

    def abort(self) -> None:
        """Gives the room up. Does nothing after commit()."""
        if not self._open:
            return
        self._open = False
        self._memory.release()
        if not self._publisher.closed:
            lib.mr_publisher_abort(self._publisher._pointer())

    def _commit(self, function: Any, number: int) -> None:
        p = self._publisher._pointer()
        if not self._open:
            raise ValueError("the claim was committed or aborted before")
        self._refuse_views()
        self._publisher.connection._check(function(p, number))
        self._open = False

    def _refuse_views(self) -> None:
        """The memory is the bus's after a commit: a view of it that the program keeps would change
        messages. The owner's references tell of views, as for payloads of callbacks."""
        try:
            self._memory.release()
            kept = False
        except BufferError:
            kept = True
        owner, self._owner = self._owner, None
        if kept or _getrefcount is not None and _getrefcount(owner) > 2:
            self._open = False
            lib.mr_publisher_abort(self._publisher._pointer())
            raise BufferError("a view of the claim is still in use: the claim was aborted")


class Claim(_Claimed):
    """Room for one message, made by claim() of a publisher:

        with publisher.claim(1000) as claim:
            claim.payload[:5] = b"hello"
            claim.commit(5)

    The end of the `with` commits the whole payload, unless commit() or abort() was called; an exception
    aborts.
    """

    def __init__(self, publisher: "PublisherBase", place: Any, size: int) -> None:
        super().__init__(publisher, place, size)
        self._size = size

    @property
    def payload(self) -> memoryview:
        """The room to write into. Keep no view of it beyond commit() and abort()."""
        return self._memory

    def commit(self, size: Optional[int] = None) -> None:
        """Publishes the first `size` bytes; by default all."""
        if size is not None and not 0 <= size <= self._size:
            raise ValueError(f"the claim has {self._size} bytes")
        self._commit(lib.mr_publisher_commit, self._size if size is None else size)

    def __exit__(self, kind: Optional[Type[BaseException]], error: Any, trace: Any) -> None:
        if kind is not None:
            self.abort()
        elif self.open:
            self.commit()


class BatchClaim(_Claimed):
    """Room for many messages of one size, made by claim_batch() of a publisher. claim[i] is the room of
    message i, len(claim) the number of messages that there is room for. The end of the `with` commits
    all."""

    def __init__(self, publisher: "PublisherBase", first: Any, stride: int, size: int,
                 count: int) -> None:
        super().__init__(publisher, first, stride * (count - 1) + size)
        self._stride, self._size, self._count = stride, size, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> memoryview:
        if not 0 <= number < self._count:
            raise IndexError(f"the claim has {self._count} messages")
        start = number * self._stride
        return self._memory[start:start + self._size]

    def commit(self, count: Optional[int] = None) -> None:
        """Publishes the first `count` messages, each with all its bytes; by default all."""
        if count is not None and not 0 <= count <= self._count:
            raise ValueError(f"the claim has {self._count} messages")
        self._commit(lib.mr_publisher_commit_batch, self._count if count is None else count)

    def __exit__(self, kind: Optional[Type[BaseException]], error: Any, trace: Any) -> None:
        if kind is not None:
            self.abort()
        elif self.open:
            self.commit()
