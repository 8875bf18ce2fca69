"""Conditions by the conventions of the Kubernetes API: a transition time changes with the status, not with the
reason.
"""

from finetune_operator.api.status import Condition

SUCCEEDED, TRAINED, RECONCILING, STALLED = "Succeeded", "Trained", "Reconciling", "Stalled"


def find(conditions: tuple[Condition, ...], kind: str) -> Condition | None:
    """The condition of this type."""
    return next((c for c in conditions if c.type == kind), None)


def replace(conditions: tuple[Condition, ...], new: Condition) -> tuple[Condition, ...]:
    """Set one condition; its transition time stays while its status stays. Order is kept."""
    old = find(conditions, new.type)
    if old is None:
        return (*conditions, new)
    if old.status == new.status:
        new = new.model_copy(update={"last_transition_time": old.last_transition_time})
    return tuple(new if c.type == new.type else c for c in conditions)
