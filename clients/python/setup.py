# SPDX-License-Identifier: Apache-2.0
"""Adds the C part to what pyproject.toml says. MILLRACE_PYTHON=dlopen leaves it out: such a package
needs no compiler to build, and loads libmillrace.so.0 when it is imported."""
import os
import pathlib
import sys

from setuptools import setup

# A build front end does not put this directory on the path.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

if os.environ.get("MILLRACE_PYTHON") == "dlopen":
    setup()
else:
    setup(cffi_modules=["millrace_build.py:ffibuilder"])
