"""The schema of recordings: what holds against it, and docs/recording.md, which is made from it.

python -m tests.record.schema > docs/recording.md
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from importlib import resources
from typing import Any

import jsonschema

SCHEMA: dict[str, Any] = json.loads(resources.files("denet_tui.record").joinpath("recording.schema.json").read_text())
PARTS: dict[str, Any] = SCHEMA["$defs"]
LINES = ("metadata", "process", "tree", "more", "index", "keyframe", "summary")
_EXTENDED = ("metrics", "counted", "accounts", "exec")
"""Others have their fields and more."""


OTHERS = """## In other tools

How often was `read` called? Each of these reads build.jsonl and build.jsonl.gz (jq the first alone). polars goes by the
first 100 lines only, unless it is told otherwise, and drops what it does not find there; duckdb goes by the first
20,480: where there are more, name the file as `read_json('build.jsonl', sample_size=-1)`. All processes of a run are
those of the lines whose kind is `summary`, or `more` of it.

```python
import duckdb
import pandas
import polars

polars.read_ndjson("build.jsonl", infer_schema_length=None)["syscalls"].drop_nulls().struct["read"]
pandas.read_json("build.jsonl", lines=True).query("kind == 'summary'")["syscalls"]
duckdb.sql("select syscalls.read.calls from 'build.jsonl' where kind = 'summary'").fetchall()
```

    jq 'select(.kind == "summary").syscalls.read.calls' build.jsonl

`denet-tui report --csv build.jsonl > build.csv` is for spreadsheets: where a name begins with = + - @ or ', a ' stands
before it, so that none is taken for a formula. Take it away again with
`pandas.read_csv("build.csv")["program"].str.removeprefix("'")`.

`denet-tui export --to perfetto build.jsonl > build.pftrace` is for https://ui.perfetto.dev: tracks of processes and
threads, slices of what they executed and of slow and long calls, counters. It is tested against Perfetto's own
protobufs, not with its trace processor, which is fetched where it is used first.

In CI, [pull-request.yml](pull-request.yml) is a workflow for GitHub that records three builds of the base and three of
the pull request, and comments what `denet-tui diff` finds.

denet's `resource_utilization` and `process_tree_analysis` take lines whose numbers stand on the first level, which
denet's own have to be made into as well:

```python
import denet

trees = [line for line in denet.load_metrics("build.jsonl") if line["kind"] == "tree"]
denet.resource_utilization([line["aggregated"] for line in trees])
denet.process_tree_analysis(
    [
        {"pid": 0, **(line["parent"] or {}), "children": [{**each, **each["metrics"]} for each in line["children"]]}
        for line in trees
    ]
)
```
"""


def _strict(schema: Any) -> Any:
    """The same, which refuses fields that it does not describe."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: each if name in _EXTENDED else _strict(each) for name, each in schema.items()}
    return found | ({"unevaluatedProperties": False} if "required" in found and "properties" in found else {})


_VALIDATORS = {
    kind: jsonschema.Draft202012Validator({"$defs": _strict(PARTS), "$ref": f"#/$defs/{kind}"}) for kind in LINES
}


def assert_valid(lines: Iterable[Any]) -> None:
    """Every line is as the schema says, and has no field that it does not describe."""
    for line in lines:
        problem = jsonschema.exceptions.best_match(_VALIDATORS[line["kind"]].iter_errors(line))
        assert problem is None, f"{line['kind']}: {problem.json_path}: {problem.message}"


def document() -> str:
    """docs/recording.md."""
    shared = [name for name, part in PARTS.items() if name not in LINES and part["type"] == "object"]
    pieces = [
        "# Recordings",
        "What `-o FILE` and `--json` write, and [recording.schema.json](../denet_tui/record/recording.schema.json)"
        " says for programs, from which this is made: JSON, an object a line. " + SCHEMA["description"],
    ]
    for name in (*LINES, *shared):
        pieces += [f"## {name}", PARTS[name]["description"]]
        rows = [f"| `{path}` | {kind} | {about} |" for path, kind, about in _fields(PARTS[name], "")]
        pieces += ["\n".join(["| field | | |", "|---|---|---|", *rows])] if rows else []
    return "\n\n".join([*pieces, OTHERS])


def _fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, str, str]]:
    for name, field in schema.get("properties", {}).items():
        if path or name != "kind":
            yield path + name, *_about(field)
            yield from _fields(field, f"{path}{name}.")
            yield from _fields(field.get("items", {}), f"{path}{name}[].")
            yield from _fields(field.get("additionalProperties", {}), f"{path}{name}.*.")


def _about(field: dict[str, Any]) -> tuple[str, str]:
    """What it is, and what it says."""
    name = next((each["$ref"] for each in (field, *field.get("anyOf", ())) if "$ref" in each), "").rpartition("/")[2]
    part, about = PARTS.get(name, field), field.get("description", "")
    if part.get("type") == "object" and name:
        return f"[{name}](#{name})", about
    types = part.get("type", "")
    kind = " or ".join([types] if isinstance(types, str) else types) or ", ".join(
        map(json.dumps, part.get("enum", [part.get("const")]))
    )
    return kind, about if name in ("", "count", "known") else f"{about} {part['description']}".strip()


if __name__ == "__main__":
    print(document(), end="")
