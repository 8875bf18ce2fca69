"""docs/api.md, made from the custom resource definition and the algorithms' defaults.

`python -m finetune_operator.reference --write` writes it, `--check` fails when the committed one differs.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from pydantic.alias_generators import to_camel

from finetune_operator.api import crd
from finetune_operator.api.fields import INT32_MAX, INT_OR_STRING, Json
from finetune_operator.plan.resolve import DEFAULTS, OSFT_UNFREEZE_RANK_RATIO

FILE = Path("docs/api.md")

INTRODUCTION = """<!-- Made by `make generate` from operator/finetune_operator: edit the models, not this file. -->
# FineTuneJob, `finetune.dev/v1alpha1`

`kubectl explain finetunejob.spec` says the same in a terminal. Unknown fields are refused by `kubectl apply`.
A field with * is required.
"""


def render() -> str:
    """The page's text."""
    schema = crd.custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    spec, status = schema["properties"]["spec"], schema["properties"]["status"]
    parts = (
        INTRODUCTION,
        "## spec\n",
        _table(("Field", "Type", "Default", "What it is"), _fields(spec)),
        "## Defaults by algorithm\n\n`status.resolved` shows the values that a job really uses.\n",
        _table(("Field", *DEFAULTS), _defaults()),
        "## What is refused\n\nEach rule's message, as `kubectl apply` shows it.\n",
        "".join(f"* {_escaped(message)}\n" for message in _messages(schema) if str(INT32_MAX) not in message),
        "## status\n",
        _table(("Field", "Type", "What it is"), ((name, kind, text) for name, kind, _, text in _fields(status))),
    )
    return "\n".join(parts)


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = (head, ("---",) * len(head), *rows)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _escaped(text: str) -> str:
    """Markdown would take `<owner>` for a tag."""
    return text.replace("<", "&lt;")


def _fields(node: Json, parent: str = "") -> Iterator[tuple[str, str, str, str]]:
    for name, member in node.get("properties", {}).items():
        path = f"{parent}{name}"
        star = "*" if name in node.get("required", ()) else ""
        yield f"`{path}`{star}", _type(member), _default(member), member["description"]
        inner = member.get("items", member)
        yield from _fields(inner, f"{path}[]." if "items" in member else f"{path}.")


def _type(node: Json) -> str:
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if node.get(INT_OR_STRING):
        return "quantity"
    if node["type"] == "array":
        return f"list of {_type(node['items'])}, at most {node['maxItems']}"
    return str(node["type"])


def _default(node: Json) -> str:
    value = node.get("default", {})
    return "" if value == {} else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _defaults() -> Iterator[tuple[str, ...]]:
    columns = [asdict(values) for values in DEFAULTS.values()]
    for field in columns[0]:
        name = to_camel(field).replace("Gpu", "GPU")
        yield f"`{name if field == 'backend' else 'training.' + name}`", *(f"`{column[field]}`" for column in columns)
    ratio = (f"`{OSFT_UNFREEZE_RANK_RATIO}`" if algorithm == "OSFT" else "" for algorithm in DEFAULTS)
    yield "`osft.unfreezeRankRatio`", *ratio


def _messages(node: Json) -> Iterator[str]:
    for rule in node.get("x-kubernetes-validations", ()):
        yield rule["message"]
    for member in (*node.get("properties", {}).values(), *filter(None, (node.get("items"),))):
        yield from _messages(member)


def main(arguments: list[str] | None = None) -> int:
    """Print, write or check docs/api.md."""
    parser = argparse.ArgumentParser(prog="python -m finetune_operator.reference", description=main.__doc__)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--write", action="store_true", help="write it")
    mode.add_argument("--check", action="store_true", help="fail when it is not current")
    parser.add_argument("--root", type=Path, default=Path(), help="root of the checkout (default: here)")
    options = parser.parse_args(arguments)
    text, file = render(), options.root / FILE
    if options.write:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    elif options.check:
        if not file.is_file() or file.read_text() != text:
            sys.stderr.write(f"{FILE} is not current: run `make generate`\n")
            return 1
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
