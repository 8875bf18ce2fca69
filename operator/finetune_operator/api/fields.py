"""Field types of the API: each rule is CEL with a message that names the field and the remedy.

The API server fills in the field's path itself; messages name the field too: some tools show the message alone.
The API server is the one judge of a spec: in Python the models carry types and lower bounds only.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

Json = dict[str, Any]

INT_OR_STRING = "x-kubernetes-int-or-string"
BOUNDS_BY_CEL = "x-bounds-by-cel"
"""Marks a number whose bounds the schema leaves to CEL, so that the user reads the rule's message."""


class ApiModel(BaseModel):
    """Frozen, camelCase in JSON.

    Unknown keys are ignored here: the API server prunes or refuses them before we see them, and an object written under
    a newer definition must stay readable.
    """

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )


def rule(cel: str, message: str, *, at: str | None = None) -> Json:
    """One CEL validation.

    With `at` (a JSON path such as `.osft`) the error stands at that field, as Forbidden: without the value of the whole
    object in the text.
    """
    placed = {"fieldPath": at, "reason": "FieldValueForbidden"} if at else {}
    return {"rule": cel, "message": message, **placed}


def rules(*validations: Json) -> Json:
    """`json_schema_extra` with CEL validations."""
    return {"x-kubernetes-validations": list(validations)}


INT32_MAX = 2**31 - 1


def at_least(field: str, minimum: int, remedy: str) -> Any:
    """Whole number with a lower bound, checked by CEL so that the message carries the remedy; int32 as other counts."""
    return Field(
        ge=minimum,
        json_schema_extra={
            "format": "int64",
            BOUNDS_BY_CEL: True,
            **rules(
                rule(f"self >= {minimum}", f"`{field}` must be at least {minimum}: {remedy}"),
                rule(f"self <= {INT32_MAX}", f"`{field}` must be at most {INT32_MAX}"),
            ),
        },
    )


DECIMAL = "^[0-9]+([.][0-9]+)?([eE][-+]?[0-9]{1,2})?$"
"""A non-negative decimal number as text. Two digits of exponent keep it finite: CEL's `double()` can't fail."""


def decimal(field: str, remedy: str, *, low: str = "0", high: str | None = None) -> Any:
    """Decimal number as a quoted string: `low < value`, and `value <= high` where given."""
    in_range = f"double(self) > {float(low)}" + (f" && double(self) <= {float(high)}" if high else "")
    text = f"greater than {low}" + (f" and at most {high}" if high else "")
    return Field(
        max_length=32,
        json_schema_extra=rules(
            rule(
                f"self.matches('{DECIMAL}') && {in_range}",
                f"`{field}` must be a decimal number in quotes, {text}: {remedy}",
            )
        ),
    )


def name_of(field: str, kind: str, where: str = "in the same namespace") -> Any:
    """Name of another object (RFC 1123 subdomain)."""
    return Field(
        max_length=253,
        json_schema_extra=rules(
            rule(
                "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
                f"`{field}` must be the name of a {kind} {where}: lower-case letters, digits, `-` and `.`",
            )
        ),
    )


def _whole_number_as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


AsText = BeforeValidator(_whole_number_as_text)
"""`cpu: 4` is as good as `cpu: "4"`, as everywhere in Kubernetes."""


def quantity(field: str, example: str) -> Any:
    """Kubernetes quantity, positive; an unquoted whole number is one. Goes with `AsText`."""
    return Field(
        max_length=32,
        json_schema_extra={
            INT_OR_STRING: True,
            **rules(
                rule(
                    "type(self) == int ? int(self) > 0 : "
                    "(isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0')))",
                    f'`{field}` must be a positive Kubernetes quantity, for example "{example}"',
                )
            ),
        },
    )


SecretName = Annotated[str, name_of("secretRef.name", "Secret")]
