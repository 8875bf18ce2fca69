"""The CustomResourceDefinition, made from the models.

`python -m finetune_operator.api.crd --write` writes it for cluster and chart; `--check` fails when the committed one
differs. Pydantic speaks JSON Schema 2020-12, the API server a structural subset of OpenAPI 3.0. What that subset can't
express raises `TypeError` with the field's path; nothing is guessed or left out silently.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from finetune_operator.api.fields import BOUNDS_BY_CEL, INT_OR_STRING, ApiModel, Json, rules
from finetune_operator.api.status import FineTuneJobStatus
from finetune_operator.api.v1alpha1 import (
    GROUP,
    KIND,
    NAME_RULE,
    PLURAL,
    SPEC_RULES,
    VERSION,
    FineTuneJobSpec,
)

DESCRIPTION = (
    "FineTuneJob trains a language model on your data with Kubeflow Trainer and reports progress and loss in status."
)

DROPPED = frozenset({"title", "$defs", BOUNDS_BY_CEL})
EXPRESSIBLE = frozenset(
    {"type", "description", "default", "enum", "format", "properties", "required", "items", "additionalProperties"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    | {"minLength", "maxLength", "pattern", "minItems", "maxItems", "minProperties", "maxProperties"}
    | {INT_OR_STRING, "x-kubernetes-validations"}
    | {"x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"}
)
"""Keywords that may stand in the result; any other raises."""

COLUMNS: tuple[Json, ...] = (
    {"name": "State", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Succeeded")].reason'},
    {"name": "Progress", "type": "string", "jsonPath": ".status.progress.summary"},
    {"name": "Loss", "type": "string", "jsonPath": ".status.progress.loss"},
    {"name": "ETA", "type": "string", "jsonPath": ".status.progress.remaining"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {"name": "Algorithm", "type": "string", "jsonPath": ".spec.algorithm", "priority": 1},
    {"name": "Nodes", "type": "integer", "jsonPath": ".spec.resources.numNodes", "priority": 1},
    {"name": "Attempt", "type": "integer", "jsonPath": ".status.attempts[-1:].number", "priority": 1},
    {"name": "TrainJob", "type": "string", "jsonPath": ".status.attempts[-1:].trainJob", "priority": 1},
)


def custom_resource_definition() -> Json:
    """The definition of FineTuneJob."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["ftj"],
                "categories": ["training"],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": list(COLUMNS),
                    "schema": {"openAPIV3Schema": _root()},
                }
            ],
        },
    }


def _root() -> Json:
    return {
        "type": "object",
        "description": DESCRIPTION,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"`{GROUP}/{VERSION}`."},
            "kind": {"type": "string", "description": f"`{KIND}`."},
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
            "spec": structural(FineTuneJobSpec) | rules(*SPEC_RULES),
            "status": structural(FineTuneJobStatus, defaults=False),
        },
        **rules(NAME_RULE),
    }


def structural(model: type[ApiModel], *, defaults: bool = True) -> Json:
    """The structural schema of a model.

    Args:
        model: what an object of this schema is read into.
        defaults: whether the API server fills in the model's defaults. Not in status: a writer that leaves a value out
            would read back something else than it wrote.

    Raises:
        TypeError: the model says something that a structural schema can't.

    """
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _Translator(schema.get("$defs", {}), defaults=defaults).node(schema, model.__name__)


class _Translator:
    def __init__(self, definitions: Mapping[str, Json], *, defaults: bool) -> None:
        self._definitions = definitions
        self._defaults = defaults

    def node(self, source: Json, path: str) -> Json:
        """One schema node and all below it."""
        node = _number_bounds(_enum(self._flat(source, path)))
        if "properties" in node:
            node.pop("additionalProperties", None)  # the API server prunes, or refuses under strict validation
            node["properties"] = {key: self.node(value, f"{path}.{key}") for key, value in node["properties"].items()}
        if isinstance(node.get("additionalProperties"), dict):
            node["additionalProperties"] = self.node(node["additionalProperties"], f"{path}.*")
        if "items" in node:
            node["items"] = self.node(node["items"], f"{path}[]")
        node = self._default(node, path)
        if node.get(INT_OR_STRING):
            node.pop("type", None)
        return _checked({key: value for key, value in node.items() if key not in DROPPED}, path)

    def _flat(self, source: Json, path: str) -> Json:
        """Without `$ref` (inlined; what stands beside it wins) and without `anyOf` of one type and null."""
        node = dict(source)
        if "$ref" in node:
            target = self._definitions[node.pop("$ref").rsplit("/", 1)[-1]]
            return self._flat({**target, **node}, path)
        if "anyOf" in node:
            options = [option for option in node.pop("anyOf") if option.get("type") != "null"]
            if len(options) != 1:
                raise TypeError(f"{path}: a union of types is not structural: use optional members and a CEL rule")
            return self._flat({**options[0], **node}, path)
        return node

    def _default(self, node: Json, path: str) -> Json:
        """An object's default is `{}`: the API server goes on with its members, so each value stands in one place."""
        default = node.pop("default", None)
        if not self._defaults or default is None or default == []:
            return node
        if "properties" in node:
            given = {key: value for key, value in default.items() if value not in (None, [])}
            if given != _members_defaults(node):
                raise TypeError(f"{path}: an object's default must be what its members default to")
            return node | {"default": {}}
        return node | {"default": default}


def _enum(node: Json) -> Json:
    if "const" not in node:
        return node
    return {key: value for key, value in node.items() if key != "const"} | {"enum": [node["const"]]}


def _number_bounds(node: Json) -> Json:
    """OpenAPI 3.0 has boolean exclusive bounds; where CEL checks the bounds, the schema has none."""
    if node.get(BOUNDS_BY_CEL):
        bounds = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
        return {key: value for key, value in node.items() if key not in bounds}
    out = dict(node)
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if exclusive in out:
            out[bound], out[exclusive] = out[exclusive], True
    return out


def _members_defaults(node: Json) -> Json:
    """What the API server makes of `{}` by the defaults of the node's members."""
    members: Mapping[str, Json] = node["properties"]
    return {
        key: _members_defaults(member) if "properties" in member else member["default"]
        for key, member in members.items()
        if "default" in member
    }


def _checked(node: Json, path: str) -> Json:
    """The node itself, if it is structural and bounded.

    Raises:
        TypeError: it isn't.

    """
    if unknown := node.keys() - EXPRESSIBLE:
        raise TypeError(f"{path}: {sorted(unknown)} can't be expressed in a structural schema")
    if not node.get(INT_OR_STRING) and "type" not in node:
        raise TypeError(f"{path}: no type")
    kind = node.get("type", "string")
    if kind == "string" and "enum" not in node and "maxLength" not in node:
        raise TypeError(f"{path}: a string needs max_length (cost of CEL rules, size of the object)")
    if kind == "array" and not {"maxItems", "x-kubernetes-list-type"} <= node.keys():
        raise TypeError(f"{path}: a list needs max_length and x-kubernetes-list-type")
    if kind == "object" and "properties" not in node and not {"maxProperties", "additionalProperties"} <= node.keys():
        raise TypeError(f"{path}: a map needs value type and max_length")
    if kind == "number":
        raise TypeError(f"{path}: no floating point in an API: use a decimal string")
    return node


HEADER = "# Made by `make generate` from operator/finetune_operator/api: edit the models, not this file.\n"
FILES = (
    Path("crds") / f"{GROUP}_{PLURAL}.yaml",
    Path("charts/finetune-operator/files") / f"{GROUP}_{PLURAL}.yaml",
)
"""Where the definition is committed: for `kubectl apply`, and for the chart (Helm reads only files inside it)."""


def render() -> str:
    """The committed files' text."""
    return HEADER + yaml.safe_dump(custom_resource_definition(), sort_keys=False, allow_unicode=True, width=120)


def outdated(root: Path, text: str) -> tuple[Path, ...]:
    """The committed files below `root` whose text isn't `text`."""
    return tuple(file for file in FILES if not (root / file).is_file() or (root / file).read_text() != text)


def main(arguments: list[str] | None = None) -> int:
    """Print, write or check the definition."""
    parser = argparse.ArgumentParser(prog="python -m finetune_operator.api.crd", description=main.__doc__)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--write", action="store_true", help="write the committed files")
    mode.add_argument("--check", action="store_true", help="fail when a committed file is not current")
    parser.add_argument("--root", type=Path, default=Path(), help="root of the checkout (default: here)")
    options = parser.parse_args(arguments)
    text = render()
    if not (options.write or options.check):
        sys.stdout.write(text)
        return 0
    stale = outdated(options.root, text)
    for file in stale:
        if options.check:
            sys.stderr.write(f"{file} is not current: run `make generate`\n")
        else:
            (options.root / file).parent.mkdir(parents=True, exist_ok=True)
            (options.root / file).write_text(text)
            sys.stderr.write(f"wrote {file}\n")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
