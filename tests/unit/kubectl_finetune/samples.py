"""FineTuneJobs as the API server returns them."""

from typing import Any


def job(**status: Any) -> dict[str, Any]:
    """A job with this status."""
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {
            "name": "quickstart",
            "namespace": "default",
            "uid": "11111111-2222-3333-4444-555555555555",
            "creationTimestamp": "2026-11-20T10:00:00Z",
        },
        "spec": {"algorithm": "SFT"},
        "status": status,
    }


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    """One condition."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-11-20T10:00:05Z",
    }


TRAINING = job(
    conditions=[
        condition("Succeeded", "Unknown", "Training", "Step 120 of 300"),
        condition("Stalled", "False", "Training"),
    ],
    stage="Train",
    startTime="2026-11-20T10:00:00Z",
    progress={
        "step": 120,
        "totalSteps": 300,
        "epoch": "2.4",
        "percentage": 40,
        "estimatedRemainingSeconds": 80,
        "tokensPerSecond": "2140.5",
        "phase": "training",
    },
    metrics={"loss": "0.12345678", "learningRate": "0.0021", "gradNorm": "0.5"},
    lossHistory=[{"step": s, "loss": str(6.5 / s)} for s in range(1, 121, 2)],
    attempts=[{"number": 1, "trainJob": "quickstart-a1"}],
)

COMPLETED = job(
    conditions=[condition("Succeeded", "True", "Completed", "All 300 steps done; the model loads")],
    startTime="2026-11-20T10:00:00Z",
    completionTime="2026-11-20T10:01:35Z",
    progress={"step": 300, "totalSteps": 300, "percentage": 100},
    metrics={"loss": "0.0"},
    lossHistory=[{"step": 1, "loss": "6.5"}, {"step": 300, "loss": "0.0"}],
    attempts=[{"number": 1, "trainJob": "quickstart-a1", "reason": "Completed"}],
    output={"model": {"uri": "pvc://quickstart-workspace/runs/abc/model"}},
)

FAILED = job(
    conditions=[condition("Succeeded", "False", "DataInvalid", "row 7: no assistant message")],
    startTime="2026-11-20T10:00:00Z",
    completionTime="2026-11-20T10:00:30Z",
)

EVENTS = [
    {
        "type": "Normal",
        "reason": "Training",
        "message": "The trainer is starting",
        "lastTimestamp": "2026-11-20T10:00:10Z",
    },
    {"type": "Normal", "reason": "TrainJobCreated", "message": "Attempt 1", "lastTimestamp": "2026-11-20T10:00:01Z"},
]
