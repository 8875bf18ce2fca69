"""URL paths of the objects the operator touches."""

TRAINJOBS = "/apis/trainer.kubeflow.org/v1alpha1"


def finetunejobs(namespace: str, name: str = "", subresource: str = "") -> str:
    """FineTuneJobs of a namespace, one of them, or its status."""
    return _path("/apis/finetune.dev/v1alpha1", namespace, "finetunejobs", name, subresource)


def trainjobs(namespace: str, name: str = "") -> str:
    """TrainJobs."""
    return _path(TRAINJOBS, namespace, "trainjobs", name)


def cluster_training_runtime(name: str) -> str:
    """One ClusterTrainingRuntime."""
    return f"{TRAINJOBS}/clustertrainingruntimes/{name}"


def jobsets(namespace: str, name: str = "") -> str:
    """JobSets."""
    return _path("/apis/jobset.x-k8s.io/v1alpha2", namespace, "jobsets", name)


def jobs(namespace: str, name: str = "") -> str:
    """Jobs."""
    return _path("/apis/batch/v1", namespace, "jobs", name)


def core(namespace: str, plural: str, name: str = "") -> str:
    """Pods, ConfigMaps, Secrets, PersistentVolumeClaims, Events."""
    return _path("/api/v1", namespace, plural, name)


TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105  # a path, not a password


def _path(prefix: str, namespace: str, plural: str, name: str, subresource: str = "") -> str:
    return "/".join(part for part in (prefix, "namespaces", namespace, plural, name, subresource) if part)
