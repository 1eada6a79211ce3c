#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""longer: writes the public headers as a later release might have them, in one file: with a field
`unknown` at the end of each struct whose size is a parameter.

    longer.py CLIENT OUT    CLIENT: the folder of millrace.h"""
import pathlib
import re
import sys

client, out = map(pathlib.Path, sys.argv[1:])
GROW = ("options", "client_stats", "publisher_options", "subscribe_options", "push_options", "push", "consume_options",
        "serve_options", "call_options")

text = (client / "millrace.h").read_text()
text = re.sub(r'#include "(millrace/\w+\.h)"', lambda found: (client / found[1]).read_text(), text)
text = text.replace('#error "include millrace.h: it includes this file"', "")
for name in GROW:
    text, count = re.subn(rf"^(struct mr_{name} \{{\n.*?)^\}};", r"\1\tunsigned long unknown;\n};", text, count=1,
                          flags=re.MULTILINE | re.DOTALL)
    if count != 1:
        sys.exit(f"longer.py: struct mr_{name} was not found")
out.write_text(text)
