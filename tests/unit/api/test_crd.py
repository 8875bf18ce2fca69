"""The definition is structural, bounded, documented and current.

What the API server makes of it: tests/integration/test_api.py.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from finetune_operator.api import crd
from finetune_operator.api.fields import DECIMAL, ApiModel
from finetune_operator.api.v1alpha1 import RUN_DEFINING

ROOT = Path(__file__).parents[3]
MUTABLE = {"retry"}

Json = dict[str, Any]
VERSION: Json = crd.custom_resource_definition()["spec"]["versions"][0]
SCHEMA: Json = VERSION["schema"]["openAPIV3Schema"]


def walk(node: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}")
    if "items" in node:
        yield from walk(node["items"], f"{path}[]")
    if isinstance(node.get("additionalProperties"), dict):
        yield from walk(node["additionalProperties"], f"{path}.*")


NODES = dict(walk(SCHEMA))
OWN = {path: node for path, node in NODES.items() if path.startswith((".spec", ".status"))}
RULES = [(path, rule) for path, node in NODES.items() for rule in node.get("x-kubernetes-validations", ())]


def test_committed_files_are_current() -> None:
    assert crd.outdated(ROOT, crd.render()) == (), "run `make generate`"


def test_check_names_a_stale_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert crd.main(["--write", "--root", str(tmp_path)]) == 0
    assert crd.main(["--check", "--root", str(tmp_path)]) == 0
    stale = crd.FILES[0]
    (tmp_path / stale).write_text("old")
    capsys.readouterr()
    assert crd.main(["--check", "--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"{stale} is not current: run `make generate`\n"


def test_generation_is_deterministic() -> None:
    assert crd.render() == crd.render()


@pytest.mark.parametrize("path", OWN)
def test_every_node_is_structural(path: str) -> None:
    assert NODES[path].keys() <= crd.EXPRESSIBLE


@pytest.mark.parametrize("path", OWN)
def test_every_string_list_and_map_is_bounded(path: str) -> None:
    node = NODES[path]
    match node.get("type", "string"):
        case "string":
            assert {"maxLength", "enum"} & node.keys()
        case "array":
            assert {"maxItems", "x-kubernetes-list-type"} <= node.keys()
        case "object" if "properties" not in node:
            assert "maxProperties" in node


@pytest.mark.parametrize("path", [path for path in OWN if not path.endswith("[]")])
def test_every_field_is_described(path: str) -> None:
    description = NODES[path].get("description", "")
    assert description.endswith((".", ")")), path


def test_status_has_no_defaults() -> None:
    assert [path for path, node in NODES.items() if path.startswith(".status") and "default" in node] == []


def test_every_field_of_spec_is_immutable_or_known_to_be_mutable() -> None:
    assert set(NODES[".spec"]["properties"]) == set(RUN_DEFINING) | MUTABLE


@pytest.mark.parametrize(("path", "rule"), RULES, ids=[f"{path}: {rule['message'][:40]}" for path, rule in RULES])
def test_every_rule_names_its_field_and_a_remedy(path: str, rule: Json) -> None:
    named = re.match(r"`([^`]+)`", rule["message"])
    assert named, "starts with the field in backticks"
    if not path.endswith("secretRef.name"):  # shared by several parents
        assert f".{named[1]}" in {*NODES, ".metadata.name"}
    assert re.search(r": |must be|must name|needs", rule["message"]), "says what to do"
    if "fieldPath" in rule:
        assert path + rule["fieldPath"] in {*NODES, ".metadata.name"}


def test_number_bounds_are_left_to_rules() -> None:
    bounded = [path for path, node in OWN.items() if {"minimum", "maximum"} & node.keys()]
    assert bounded == []


def test_columns_read_fields_that_exist() -> None:
    for column in VERSION["additionalPrinterColumns"]:
        path = re.sub(r"\[\?.*?\]|\[-1:\]", "[]", column["jsonPath"])
        assert path in NODES or path == ".metadata.creationTimestamp", column


def test_object_defaults_are_left_to_members() -> None:
    assert NODES[".spec.resources"]["default"] == {}
    assert NODES[".spec.resources.numNodes"]["default"] == 1
    assert "default" not in NODES[".spec.osft"]


class Member(ApiModel):
    """A member."""

    size: Annotated[str, Field(max_length=8)] = "1"


class Other(ApiModel):
    """Another."""

    name: Annotated[str, Field(max_length=8)]


def model(annotation: Any, default: Any = ...) -> type[ApiModel]:
    return type(
        "Probe", (ApiModel,), {"__annotations__": {"x": annotation}} | ({} if default is ... else {"x": default})
    )


@pytest.mark.parametrize(
    ("annotation", "default", "message"),
    [
        (str, ..., "string needs max_length"),
        (Annotated[tuple[int, ...], Field(json_schema_extra={"x-kubernetes-list-type": "atomic"})], ..., "list needs"),
        (Annotated[tuple[int, ...], Field(max_length=3)], ..., "list needs"),
        (dict[str, int], ..., "map needs"),
        (float, ..., "no floating point"),
        (Member | Other, ..., "union of types"),
        (Annotated[int | str, Field(max_length=3)], ..., "union of types"),
        (Any, ..., "no type"),
        (Annotated[tuple[int, int], Field(max_length=2)], ..., "prefixItems"),
        (Member, Member(size="2"), "default must be what its members default to"),
    ],
    ids=str,
)
def test_what_is_not_structural_is_refused_with_its_path(annotation: Any, default: Any, message: str) -> None:
    with pytest.raises(TypeError, match=rf"^Probe\.x.*{message}"):
        crd.structural(model(annotation, default))


def test_optional_members_and_constants() -> None:
    schema = crd.structural(model(Literal["A"] | None, None))
    assert schema["properties"]["x"] == {"type": "string", "enum": ["A"]}
    assert "required" not in schema


def test_exclusive_bounds_become_flags() -> None:
    schema = crd.structural(model(Annotated[int, Field(gt=0)]))
    assert schema["properties"]["x"] == {"type": "integer", "minimum": 0, "exclusiveMinimum": True}


@pytest.mark.parametrize("text", ["0", "2e-5", "0.1", "1E+10", "12.50", "9" * 28 + "e99"])
def test_decimals_are_finite(text: str) -> None:
    assert re.fullmatch(DECIMAL.strip("^$"), text)
    assert float(text) < float("inf")


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", ".5", "5.", "1e400", "nan", "inf", "1,5", "0x1", "1e-5 ", "1_0", "1e"]
)
def test_what_is_no_decimal(text: str) -> None:
    assert not re.search(DECIMAL.replace("$", r"\Z"), text)
