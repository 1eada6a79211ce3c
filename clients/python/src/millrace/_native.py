# SPDX-License-Identifier: Apache-2.0
"""libmillrace itself: `ffi` and `lib` of cffi, and the functions that the library calls.

MODE is "compiled" if millrace._millrace was built against millrace.h. Without it, or with
MILLRACE_PYTHON=dlopen in the environment, libmillrace.so.0 (or the file that MILLRACE_LIBRARY names)
is loaded with the layouts of _cdef.py, and MODE is "dlopen".
"""
import importlib.util
import os
from types import TracebackType
from typing import Any, Callable, Dict, Optional, Type

from ._cdef import CALLBACKS, declarations

ffi: Any
lib: Any
MODE: str


def _load() -> None:
    global ffi, lib, MODE
    name = f"{__package__}._millrace"
    if os.environ.get("MILLRACE_PYTHON") != "dlopen" and importlib.util.find_spec(name) is not None:
        compiled = importlib.import_module(name)
        ffi, lib, MODE = compiled.ffi, compiled.lib, "compiled"
        if lib.mr_version_check(lib.MR_VERSION_NUMBER) < 0:
            raise ImportError(ffi.string(lib.mr_error(ffi.NULL)).decode())
        return
    import cffi  # type: ignore[import]
    ffi = cffi.FFI()
    ffi.cdef(declarations(compiled=False))
    lib = ffi.dlopen(os.environ.get("MILLRACE_LIBRARY", "libmillrace.so.0"))
    MODE = "dlopen"


_load()

#: Pointers to the functions of CALLBACKS, by name.
entry: Dict[str, Any] = {}


def _strayed(kind: Type[BaseException], error: BaseException, trace: Optional[TracebackType]) -> None:
    # An exception outside of Sink.run(): a signal handler raised at the edge. The sink keeps it.
    while trace is not None:
        arg = trace.tb_frame.f_locals.get("arg")
        if arg is not None:
            ffi.from_handle(arg).keep(error)
            return
        trace = trace.tb_next


def callback(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator: makes the function the entry `name` for the library. Its last parameter is `arg`."""
    def wrap(function: Callable[..., None]) -> Callable[..., None]:
        if MODE == "compiled":
            ffi.def_extern(name=name, onerror=_strayed)(function)
            entry[name] = getattr(lib, name)
        else:
            entry[name] = ffi.callback(f"void({CALLBACKS[name]})", function, onerror=_strayed)
        return function
    return wrap


@callback("mrpy_on_state")
def _on_state(c: Any, connected: bool, error: int, arg: Any) -> None:
    ffi.from_handle(arg).run_first(connected, error)


@callback("mrpy_on_gap")
def _on_gap(c: Any, missed: int, missed_total: int, arg: Any) -> None:
    ffi.from_handle(arg).run_second(missed, missed_total)


@callback("mrpy_on_message")
def _on_message(c: Any, message: Any, arg: Any) -> None:
    ffi.from_handle(arg).run_first(message)


@callback("mrpy_on_messages")
def _on_messages(c: Any, first: Any, count: int, stride: int, arg: Any) -> None:
    ffi.from_handle(arg).run_first(first, count, stride)


@callback("mrpy_on_part")
def _on_part(c: Any, tag: int, part: Any, more: bool, arg: Any) -> None:
    ffi.from_handle(arg).run_third(tag, part, more)


@callback("mrpy_on_reply")
def _on_reply(c: Any, reply: Any, error: int, arg: Any) -> None:
    ffi.from_handle(arg).run_first(reply, error)


@callback("mrpy_on_outcome")
def _on_outcome(c: Any, identity: int, error: int, arg: Any) -> None:
    ffi.from_handle(arg).run_first(identity, error)


@callback("mrpy_on_delivery")
def _on_delivery(c: Any, delivery: Any, arg: Any) -> None:
    ffi.from_handle(arg).run_first(delivery)


@callback("mrpy_on_recall")
def _on_recall(c: Any, tag: int, arg: Any) -> None:
    ffi.from_handle(arg).run_second(tag)


@callback("mrpy_on_work")
def _on_work(c: Any, work: Any, arg: Any) -> None:
    ffi.from_handle(arg).run_first(work)


@callback("mrpy_on_call")
def _on_call(c: Any, correlation: int, reply: Any, more: bool, error: int, arg: Any) -> None:
    ffi.from_handle(arg).run_first(reply, more, error)


@callback("mrpy_on_end")
def _on_end(c: Any, subscription: Any, arg: Any) -> None:
    ffi.from_handle(arg).run_second()


@callback("mrpy_on_timer")
def _on_timer(c: Any, timer: Any, arg: Any) -> None:
    ffi.from_handle(arg).run_first()


@callback("mrpy_on_post")
def _on_post(c: Any, arg: Any) -> None:
    ffi.from_handle(arg).run_first()


@callback("mrpy_on_log")
def _on_log(c: Any, severity: int, event: int, text: Any, arg: Any) -> None:
    ffi.from_handle(arg).run_first(severity, event, text)


@callback("mrpy_on_row")
def _on_row(row: Any, arg: Any) -> None:
    ffi.from_handle(arg).run_first(row)
