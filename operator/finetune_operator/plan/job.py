"""A FineTuneJob as read from the API server."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finetune_operator.api.status import FineTuneJobStatus
from finetune_operator.api.v1alpha1 import API_VERSION, KIND, FineTuneJobSpec


@dataclass(frozen=True)
class FineTuneJob:
    """One FineTuneJob: the fields the operator reads."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    spec: FineTuneJobSpec
    status: FineTuneJobStatus

    @property
    def owner_reference(self) -> dict[str, Any]:
        """Makes a child ours: it goes when the job goes. Without `blockOwnerDeletion`, which would need rights on
        finalizers.
        """
        return {"apiVersion": API_VERSION, "kind": KIND, "name": self.name, "uid": self.uid, "controller": True}


def parse(body: Mapping[str, Any]) -> FineTuneJob:
    """From the API server's JSON.

    Raises:
        pydantic.ValidationError: the object was stored under a definition that this operator can't read.
    """
    meta = body["metadata"]
    return FineTuneJob(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        generation=meta.get("generation", 1),
        resource_version=meta["resourceVersion"],
        spec=FineTuneJobSpec.model_validate(body["spec"]),
        status=FineTuneJobStatus.model_validate(body.get("status") or {}),
    )
