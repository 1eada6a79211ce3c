#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""json_schemas: compares output of `millrace VERB --json` with the schemas in docs/json.

    json_schemas.py SCHEMAS RECORDS VERBS [part]

RECORDS is a directory: in its file `index` a line has the name of a file with output, the schema that describes each
line of it (`queue#show`: docs/json/queue.schema.json, $defs/show), `plain` or `safe` (--json-safe), and the command.
VERBS are the verbs with --json. Faults are:

- a verb without a schema or output, a schema without a verb
- an action of a verb, such as `queue edit`, without output; the file `actions` in RECORDS lists them
- a line that is not JSON, or not as its schema says
- a key that no schema names
- without `part`: a key, or null where the schema allows it, that was never seen. The keyword x-unseen of a schema
  gives the reason why it need not be; a reason that begins with "null:" is one for null only
- a number above 2^53-1 in the output of --json-safe, a string for a number elsewhere
"""
import json
import pathlib
import sys

import jsonschema

SAFE_MAX = 2**53 - 1


def no_repetition(pairs):
    keys = [key for key, _ in pairs]
    for key in set(keys):
        if keys.count(key) > 1:
            raise ValueError(f"the key {key} comes twice")
    return dict(pairs)


def no_constant(name):
    raise ValueError(f"{name} is not JSON")


class Schema:
    """A schema, and the keys that were seen of each of its objects."""

    def __init__(self, path):
        self.verb = path.name.removesuffix(".schema.json")
        self.document = json.loads(path.read_text(), object_pairs_hook=no_repetition)
        self.definitions = self.document["$defs"]
        self.seen = set()
        self.faults = []
        jsonschema.Draft202012Validator.check_schema(self.document)

    def validator(self, name):
        root = {"$ref": f"#/$defs/{name}"} if name else {key: self.document[key] for key in self.document if key != "$defs"}
        return jsonschema.Draft202012Validator({**root, "$defs": self.definitions})

    def fits(self, node, value):
        return jsonschema.Draft202012Validator({**node, "$defs": self.definitions}).is_valid(value)

    def check(self, name, value, safe):
        """Compares a value with a definition and with the whole schema."""
        errors = sorted(self.validator(name).iter_errors(value), key=lambda error: len(error.path))
        for error in errors[:3]:
            self.faults.append(f"{error.json_path}: {error.message[:300]}")
        if not self.validator("").is_valid(value):
            self.faults.append("not as the whole schema says")
        if not errors:
            self.mark({"$ref": f"#/$defs/{name}"} if name else self.document, value, "", safe)

    def mark(self, node, value, owner, safe):
        """Notes the keys of a value that fits; `owner` is the definition that the node stands in."""
        if "anyOf" in node and "properties" not in node:
            node = next(branch for branch in node["anyOf"] if self.fits(branch, value))
        if "$ref" in node:
            owner = node["$ref"].removeprefix("#/$defs/")
            if owner == "u64" and isinstance(value, str) != (safe and int(value) > SAFE_MAX):
                self.faults.append(f"{value!r} is not printed as it should be")
            self.mark(self.definitions[owner], value, owner, safe)
        elif isinstance(value, list):
            for item in value:
                self.mark(node["items"], item, owner, safe)
        elif isinstance(value, dict) and "properties" in node:
            self.mark_keys(node["properties"], value, owner, safe)

    def mark_keys(self, properties, value, owner, safe):
        for key, item in value.items():
            if key not in properties:
                self.faults.append(f"{key}: no key of {self.verb}#{owner}: describe it in docs/json/{self.verb}.schema.json")
                continue
            self.seen.add((owner, key, item is None))
            self.mark(properties[key], item, owner, safe)

    def unseen(self):
        """Yields the keys that no output had."""
        for owner, node in self.definitions.items():
            for key, rule in node.get("properties", {}).items():
                excuse = rule.get("x-unseen", "")
                may_be_null = "null" in rule.get("type", []) or {"type": "null"} in rule.get("anyOf", [])
                if (not excuse or excuse.startswith("null:")) and (owner, key, False) not in self.seen:
                    yield f"{self.verb}#{owner}: {key} was never seen"
                if may_be_null and not excuse and (owner, key, True) not in self.seen:
                    yield f"{self.verb}#{owner}: {key} was never null"


def check_record(schemas, records, line):
    """Checks the lines of one output. Yields faults."""
    file, name, mode, command = line.split("\t", 3)
    verb, _, definition = name.partition("#")
    schema = schemas[verb]
    text = (records / file).read_text(encoding="utf-8")
    if not text.endswith("\n"):
        yield f"{command}: the last line has no end: {text[-80:]!r}"
    for output in text.splitlines():
        try:
            value = json.loads(output, object_pairs_hook=no_repetition, parse_constant=no_constant)
        except ValueError as error:
            yield f"{command}: {error}: {output[:200]}"
            continue
        schema.faults.clear()
        schema.check(definition, value, mode == "safe")
        yield from (f"{command}: {fault}" for fault in dict.fromkeys(schema.faults))


def main():
    directory, records, verbs = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), set(sys.argv[3].split())
    schemas = {path.name.removesuffix(".schema.json"): Schema(path) for path in sorted(directory.glob("*.schema.json"))}
    faults = [f"{verb} has --json, and no docs/json/{verb}.schema.json" for verb in sorted(verbs - set(schemas))]
    faults += [f"docs/json/{verb}.schema.json: no verb {verb} with --json" for verb in sorted(set(schemas) - verbs)]
    index = (records / "index").read_text(errors="replace").splitlines()
    had = {line.split("\t")[1].partition("#")[0] for line in index}
    faults += [f"{verb} --json was not tried" for verb in sorted(verbs - had)]
    tried = [line.split("\t")[3] + " " for line in index]
    for action in (records / "actions").read_text().splitlines():
        if not any(command.startswith(action + " ") for command in tried):
            faults.append(f"{action} --json was not tried")
    for line in index:
        if line.split("\t")[1].partition("#")[0] in schemas:
            faults += check_record(schemas, records, line)
    if sys.argv[4:] != ["part"]:
        for schema in schemas.values():
            faults += schema.unseen()
    print("\n".join(dict.fromkeys(faults)) if faults else f"{len(index)} outputs are as {len(schemas)} schemas say")
    return 1 if faults else 0


sys.exit(main())
