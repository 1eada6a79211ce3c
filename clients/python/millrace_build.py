# SPDX-License-Identifier: Apache-2.0
"""Builds the C part of the package, millrace._millrace, against millrace.h and libmillrace.

    MILLRACE_INCLUDE, MILLRACE_LIB   directories of millrace.h and of libmillrace.so. Without them
                                     pkg-config is asked for millrace.
"""
import importlib.util
import os
import pathlib
import shlex
import subprocess
import sys
from typing import Any, Dict, List

from cffi import FFI

HERE = pathlib.Path(__file__).resolve().parent


def _declarations() -> str:
    # The package itself cannot be imported before it is built.
    spec = importlib.util.spec_from_file_location("_cdef", HERE / "src/millrace/_cdef.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.declarations(compiled=True))


def _pkg_config(option: str) -> List[str]:
    done = subprocess.run(["pkg-config", option, "millrace"], capture_output=True, text=True)
    return shlex.split(done.stdout) if done.returncode == 0 else []


def library() -> Dict[str, Any]:
    """Where the header and the library are, as arguments of set_source()."""
    if "MILLRACE_INCLUDE" in os.environ or "MILLRACE_LIB" in os.environ:
        return {"include_dirs": [os.environ.get("MILLRACE_INCLUDE", "/usr/include")],
                "library_dirs": [os.environ.get("MILLRACE_LIB", "/usr/lib")],
                "libraries": ["millrace"]}
    try:
        return {"extra_compile_args": _pkg_config("--cflags"),
                "extra_link_args": _pkg_config("--libs") or ["-lmillrace"]}
    except FileNotFoundError:
        return {"libraries": ["millrace"]}


ffibuilder = FFI()
ffibuilder.cdef(_declarations())
ffibuilder.set_source("millrace._millrace", "#include <millrace.h>\n", **library())

if __name__ == "__main__":
    ffibuilder.compile(tmpdir=sys.argv[1] if len(sys.argv) > 1 else ".", verbose=True)
