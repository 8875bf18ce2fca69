"""Field types of the API: each rule is CEL with a message that names the field and the remedy.

The API server fills in the field's path itself; messages name the field nevertheless, because tools show the message alone.
The same rules hold in Python (`AfterValidator`), so a model built by hand obeys them too.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Json = dict[str, Any]


class ApiModel(BaseModel):
    """Frozen, camelCase in JSON. Unknown keys are ignored here: the API server prunes or refuses them before we see them,
    and an object written under a newer definition must stay readable."""

    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel, populate_by_name=True)


def rule(cel: str, message: str) -> Json:
    """One CEL validation."""
    return {"rule": cel, "message": message}


def rules(*validations: Json) -> Json:
    """`json_schema_extra` with CEL validations."""
    return {"x-kubernetes-validations": list(validations)}


def at_least(field: str, minimum: int, remedy: str) -> Any:
    """int64 with a lower bound, checked by CEL so that the message carries the remedy."""
    return Field(
        ge=minimum,
        json_schema_extra={
            "format": "int64",
            "x-bounds-by-cel": True,
            **rules(rule(f"self >= {minimum}", f"`{field}` must be at least {minimum}: {remedy}")),
        },
    )


DECIMAL = r"^[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?$"
"""A non-negative decimal number as text."""


def decimal(field: str, remedy: str, *, low: str = "0", high: str | None = None) -> Any:
    """Decimal number as a quoted string: `low < value`, and `value <= high` where given."""
    in_range = f"double(self) > {float(low)}" + (f" && double(self) <= {float(high)}" if high else "")
    text = f"greater than {low}" + (f" and at most {high}" if high else "")
    return Field(
        max_length=32,
        json_schema_extra=rules(
            rule(
                f"self.matches('{DECIMAL.replace(chr(92), chr(92) * 2)}') && {in_range}",
                f"`{field}` must be a decimal number in quotes, {text}: {remedy}",
            )
        ),
    )


def name_of(field: str, kind: str) -> Any:
    """Name of another object in the same namespace (RFC 1123 subdomain)."""
    return Field(
        max_length=253,
        json_schema_extra=rules(
            rule(
                "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
                f"`{field}` must be the name of a {kind} in the same namespace: lower-case letters, digits, `-` and `.`",
            )
        ),
    )


QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?$"


def quantity(field: str, example: str) -> Any:
    """Kubernetes quantity, positive."""
    return Field(
        max_length=32,
        json_schema_extra=rules(
            rule(
                "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
                f'`{field}` must be a positive Kubernetes quantity, for example "{example}"',
            )
        ),
    )


SecretName = Annotated[str, name_of("secretRef.name", "Secret")]
