# SPDX-License-Identifier: Apache-2.0
"""Errors of the library as exceptions."""
import errno
from typing import Any, Dict, Type

from ._native import ffi, lib

# Python knows this number by its other name.
_NAMES = {**errno.errorcode, errno.EDEADLK: "EDEADLK"}


class Error(OSError):
    """A call of the library failed. `errno` is the number, `name` its name, `strerror` the text of
    the library."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(number, text)
        self.name: str = _NAMES.get(number, str(number))

    def __str__(self) -> str:
        return f"{self.name}: {self.strerror}"


class NoResponders(Error):
    """EHOSTUNREACH: nobody subscribes to the subject of a request, or no worker serves a service."""


class Timeout(Error, TimeoutError):
    """ETIMEDOUT: no answer, no message or no room within the time given."""


class NotConnected(Error):
    """ENOTCONN: the bus is away, or the client is closed. Later calls reconnect."""


_kinds: Dict[int, Type[Error]] = {
    errno.EHOSTUNREACH: NoResponders,
    errno.ETIMEDOUT: Timeout,
    errno.ENOTCONN: NotConnected,
}


def text_of(pointer: Any) -> str:
    """A text of the library, which ends with a zero byte."""
    return str(ffi.string(pointer).decode("utf-8", "replace"))


def error_of(code: int, text: str = "") -> Error:
    """The exception for a negative errno value; without a text, the library's general one."""
    number = -code
    return _kinds.get(number, Error)(number, text or text_of(lib.mr_error_text(code)))
