"""Names and labels of children. Deterministic: creating twice meets the first one's name instead of making a second.

The longest pod name is `<job>-a<n>-node-0-<i>-<5 characters>`; with a job name of 40 characters it stays below 63.
"""

JOB_LABEL = "finetune.dev/job"
JOB_UID_LABEL = "finetune.dev/job-uid"
ATTEMPT_LABEL = "finetune.dev/attempt"
STAGE_LABEL = "finetune.dev/stage"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGER = "finetune-operator"

RUNTIME_PATCH_MANAGER = "finetune.dev/operator"
"""Our key in TrainJob's `runtimePatches`; other managers' entries there are theirs."""


def train_job(job: str, attempt: int) -> str:
    """TrainJob of an attempt."""
    return f"{job}-a{attempt}"


def train_config(job: str, attempt: int) -> str:
    """ConfigMap with the Train stage's config.json of an attempt."""
    return f"{job}-a{attempt}-train"


def endpoint_ca(job: str) -> str:
    """ConfigMap with the authority of the progress endpoint."""
    return f"{job}-endpoint-ca"


def workspace(job: str) -> str:
    """Claim that is made when spec names none."""
    return f"{job}-workspace"


def labels(job: str, uid: str) -> dict[str, str]:
    """Labels of every child."""
    return {JOB_LABEL: job, JOB_UID_LABEL: uid, MANAGED_BY_LABEL: MANAGER}
