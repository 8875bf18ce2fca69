"""The base of every contract model."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Count = Annotated[int, Field(ge=0, le=2**53)]
"""A number of steps, bytes or parameters; what every JSON reader can hold exactly."""
Moment = Annotated[AwareDatetime, Field(ge=datetime(2020, 1, 1, tzinfo=UTC), le=datetime(2200, 1, 1, tzinfo=UTC))]
"""A time with its zone, within what clocks may say."""
RunId = Annotated[str, Field(max_length=80, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
"""Identity of a run, and the name of its directory."""


class ContractModel(BaseModel):
    """Frozen, camelCase in JSON, and closed: an unknown key is a version mismatch and must not be ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    def to_json(self) -> str:
        """Canonical JSON: camelCase keys, unset optional values left out."""
        return self.model_dump_json(by_alias=True, exclude_none=True)
