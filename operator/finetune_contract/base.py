"""The base of every contract model."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class ContractModel(BaseModel):
    """Frozen, camelCase in JSON, and closed: an unknown key is a version mismatch and must not be ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    def to_json(self) -> str:
        """Canonical JSON: camelCase keys, unset optional values left out."""
        return self.model_dump_json(by_alias=True, exclude_none=True)
