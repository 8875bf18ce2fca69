"""Trims objects from the API server to views. Pure."""

from collections.abc import Mapping
from typing import Any

from finetune_contract.result import TERMINATION_LIMIT
from finetune_operator.api.observation import PodView, TrainJobView
from finetune_operator.api.v1alpha1 import GROUP, KIND
from finetune_operator.plan.names import ATTEMPT_LABEL, JOB_UID_LABEL, train_job
from finetune_operator.status.duration import parse

Json = Mapping[str, Any]
CONTAINER = "node"
MESSAGE_LIMIT = 1024


def train_job_view(body: Json) -> TrainJobView | None:
    """None where no FineTuneJob controls it under the name of one of its attempts: labels alone prove nothing."""
    meta = body.get("metadata") or {}
    owner: Json = next((o for o in meta.get("ownerReferences") or () if o.get("controller")), {})
    if owner.get("kind") != KIND or not str(owner.get("apiVersion", "")).startswith(f"{GROUP}/"):
        return None
    attempt = str(meta["name"]).rpartition("-a")[2]
    if not attempt.isdigit() or meta["name"] != train_job(owner["name"], int(attempt)):
        return None
    conditions = {c["type"]: c for c in (body.get("status") or {}).get("conditions") or ()}
    complete, failed = (c if _is_true(c) else None for c in (conditions.get("Complete"), conditions.get("Failed")))
    last = complete or failed
    return TrainJobView(
        name=meta["name"],
        uid=meta["uid"],
        namespace=meta["namespace"],
        job_uid=owner["uid"],
        attempt=int(attempt),
        version=int(meta["resourceVersion"]),
        deleting=bool(meta.get("deletionTimestamp")),
        complete=complete is not None,
        failed_reason=str(failed.get("reason", "Failed")) if failed else None,
        failed_message=str(failed.get("message", ""))[:MESSAGE_LIMIT] if failed else "",
        finished_at=parse(last["lastTransitionTime"]) if last else None,
        suspended=_is_true(conditions.get("Suspended")),
    )


def pod_view(body: Json) -> PodView | None:
    """None where the labels are not ours."""
    meta = body.get("metadata") or {}
    labels = meta.get("labels") or {}
    attempt = labels.get(ATTEMPT_LABEL, "")
    if JOB_UID_LABEL not in labels or not attempt.isdigit():
        return None
    status = body.get("status") or {}
    container: Json = next((c for c in status.get("containerStatuses") or () if c.get("name") == CONTAINER), {})
    state = container.get("state") or {}
    waiting, terminated = state.get("waiting") or {}, state.get("terminated") or {}
    scheduled: Json = next((c for c in status.get("conditions") or () if c.get("type") == "PodScheduled"), {})
    unschedulable = scheduled.get("message", "") if scheduled.get("reason") == "Unschedulable" else ""
    return PodView(
        name=meta["name"],
        uid=meta["uid"],
        namespace=meta["namespace"],
        job_uid=labels[JOB_UID_LABEL],
        attempt=int(attempt),
        version=int(meta["resourceVersion"]),
        deleting=bool(meta.get("deletionTimestamp")),
        phase=status.get("phase", "Pending"),
        reason=status.get("reason", ""),
        message=str(status.get("message", ""))[:MESSAGE_LIMIT],
        unschedulable=unschedulable[:MESSAGE_LIMIT],
        waiting_reason=waiting.get("reason", ""),
        waiting_message=str(waiting.get("message", ""))[:MESSAGE_LIMIT],
        image=str(container.get("image", "")),
        exit_code=terminated.get("exitCode"),
        terminated_reason=terminated.get("reason", ""),
        termination_message=str(terminated.get("message", ""))[:TERMINATION_LIMIT],
    )


def _is_true(condition: Json | None) -> bool:
    return condition is not None and condition.get("status") == "True"
