"""Posts Events. An Event that can't be posted is logged and forgotten: it must not hold up a job."""

import hashlib
import logging
from datetime import datetime

from finetune_operator.api.v1alpha1 import API_VERSION, KIND
from finetune_operator.cluster import routes
from finetune_operator.cluster.client import Api
from finetune_operator.cluster.errors import AlreadyExists, ApiError
from finetune_operator.plan.job import FineTuneJob
from finetune_operator.status.duration import timestamp
from finetune_operator.status.events import Event

logger = logging.getLogger(__name__)

COMPONENT = "finetune-operator"
MESSAGE_LIMIT = 1024


async def record(api: Api, job: FineTuneJob, events: tuple[Event, ...], now: datetime) -> None:
    """Post the events of one status write. Their names come from the write, so a repeated call posts nothing twice."""
    for event in events:
        name = _name(job, event)
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": job.namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "namespace": job.namespace,
                "name": job.name,
                "uid": job.uid,
            },
            "type": event.kind,
            "reason": event.reason,
            "message": event.message[:MESSAGE_LIMIT],
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "firstTimestamp": timestamp(now),
            "lastTimestamp": timestamp(now),
            "count": 1,
        }
        try:
            await api.create(routes.core(job.namespace, "events"), body)
        except AlreadyExists:
            pass
        except ApiError as error:
            logger.warning("event %s of %s/%s not posted: %s", event.reason, job.namespace, job.name, error)


def _name(job: FineTuneJob, event: Event) -> str:
    key = f"{job.uid}/{job.resource_version}/{event.reason}/{event.message}"
    return f"{job.name}.{hashlib.sha256(key.encode()).hexdigest()[:16]}"
