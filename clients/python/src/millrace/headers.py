# SPDX-License-Identifier: Apache-2.0
"""Header blocks of messages: lines of `name: value`."""
import errno
from typing import Any, Iterable, Iterator, List, Mapping, Optional, Tuple, Union

from ._native import ffi, lib
from .errors import error_of

#: Headers to send: a mapping, or pairs if a name comes more than once.
HeadersIn = Union[Mapping[str, str], Iterable[Tuple[str, str]]]


class Headers:
    """Headers of a received message, in their order. Names are compared without case."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[Tuple[str, str]] = ()) -> None:
        self._pairs: List[Tuple[str, str]] = list(pairs)

    def __getitem__(self, name: str) -> str:
        """The value of the first header of that name; KeyError without one."""
        for other, value in self._pairs:
            if other.lower() == name.lower():
                return value
        raise KeyError(name)

    def get(self, name: str, default: Optional[str] = None) -> Optional[str]:
        """The value of the first header of that name, or `default`."""
        try:
            return self[name]
        except KeyError:
            return default

    def get_all(self, name: str) -> List[str]:
        """The values of all headers of that name."""
        return [value for other, value in self._pairs if other.lower() == name.lower()]

    def items(self) -> List[Tuple[str, str]]:
        """All headers as pairs, which may be sent again."""
        return list(self._pairs)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, _ in self._pairs])

    def __len__(self) -> int:
        return len(self._pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._pairs == other._pairs

    def __repr__(self) -> str:
        return f"Headers({self._pairs!r})"


def parse(block: Any, block_bytes: int) -> Headers:
    """The headers of a block in memory of the library; copies."""
    pairs = []
    cursor = ffi.new("size_t *")
    header = ffi.new("struct mr_header *")
    while lib.mr_headers_next(block, block_bytes, cursor, header):
        name = ffi.buffer(header.name, header.name_bytes)[:]
        value = ffi.buffer(header.value, header.value_bytes)[:]
        pairs.append((name.decode("utf-8", "replace"), value.decode("utf-8", "replace")))
    return Headers(pairs)


def build(headers: Union[HeadersIn, Headers, None]) -> bytes:
    """A header block; empty without headers. Raises Error EINVAL for a malformed name or value."""
    if headers is None:
        return b""
    pairs = list(headers.items()) if isinstance(headers, (Headers, Mapping)) else list(headers)
    if not pairs:
        return b""
    encoded = [(c_text(name), c_text(value)) for name, value in pairs]
    room = sum(len(name) + len(value) + 8 for name, value in encoded) + 32
    memory = ffi.new("char[]", room)
    block = ffi.new("struct mr_headers *")
    lib.mr_headers_init(block, memory, room)
    for (name, value), shown in zip(encoded, pairs):
        code = lib.mr_headers_add(block, name, value)
        if code < 0:
            raise error_of(code, f"malformed header {shown[0]!r}: {shown[1]!r}")
    return bytes(ffi.buffer(block.data, block.bytes)[:])


def c_text(text: str) -> bytes:
    """A text for a C string; one with a zero byte is EINVAL, because C would see only its start."""
    encoded = text.encode()
    if b"\0" in encoded:
        raise error_of(-errno.EINVAL, f"a zero byte in {text!r}")
    return encoded
