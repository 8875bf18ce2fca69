"""Watch events into stores; a wake-up for whom they concern. No decisions, no API calls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import kopf

from finetune_operator.api.v1alpha1 import GROUP, PLURAL, VERSION
from finetune_operator.observe.stores import Key, Stores
from finetune_operator.observe.views import pod_view, train_job_view
from finetune_operator.plan.names import JOB_UID_LABEL
from finetune_operator.queue import KeyedQueue

CHUNK = 500
"""Objects per page of the initial list."""


def configure(settings: kopf.OperatorSettings) -> None:
    """Only our children are watched, by label, on the server's side; kopf itself writes nothing."""
    settings.watching.label_selectors["pods"] = JOB_UID_LABEL
    settings.watching.label_selectors["trainjobs"] = JOB_UID_LABEL
    settings.watching.chunk_size = CHUNK
    settings.watching.server_timeout = 300
    settings.scanning.disabled = True
    settings.posting.enabled = False


@dataclass(frozen=True)
class Gone:
    """Who wants to know that an object of this uid is no more."""

    job: Callable[[str], None]
    pod: Callable[[str], None]


def register(registry: kopf.OperatorRegistry, stores: Stores, queue: KeyedQueue[Key], gone: Gone) -> None:
    """Handlers for the three kinds."""

    def wake(key: Key | None) -> None:
        if key is not None:
            queue.add(key)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry, id="finetunejob")
    async def finetunejob(type: str | None, body: Mapping[str, Any], **_: Any) -> None:  # kopf's names
        if type == "DELETED":
            meta = body["metadata"]
            stores.drop_job(Key(meta["namespace"], meta["name"]), meta["uid"])
            gone.job(meta["uid"])
        else:
            wake(stores.put_job(body))

    @kopf.on.event("trainer.kubeflow.org", "v1alpha1", "trainjobs", registry=registry, id="trainjob")
    async def trainjob(type: str | None, body: Mapping[str, Any], **_: Any) -> None:
        if view := train_job_view(body):
            wake(stores.drop_train_job(view) if type == "DELETED" else stores.put_train_job(view))

    @kopf.on.event("", "v1", "pods", registry=registry, id="pod")
    async def pod(type: str | None, body: Mapping[str, Any], **_: Any) -> None:
        if view := pod_view(body):
            if type == "DELETED":
                gone.pod(view.uid)
            wake(stores.drop_pod(view) if type == "DELETED" else stores.put_pod(view))
