"""What keeps a job waiting although it may still come: each with its remedy."""

from collections.abc import Callable

from finetune_operator.api.observation import Missing, Observation, Obstacle, PodView

IMAGE_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
    }
)
CONFIG_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})


def _known_before(seen: Observation) -> Obstacle | None:
    return seen.obstacles[0] if seen.obstacles else None


def _pods(check: Callable[[PodView], Obstacle | None]) -> Callable[[Observation], Obstacle | None]:
    def over_pods(seen: Observation) -> Obstacle | None:
        return next((found for pod in seen.pods if not pod.deleting and (found := check(pod))), None)

    return over_pods


def _image(pod: PodView) -> Obstacle | None:
    if pod.waiting_reason not in IMAGE_REASONS:
        return None
    return Obstacle(
        Missing.IMAGE,
        f"Pod {pod.name} can't pull image `{pod.image}` ({pod.waiting_reason}: {pod.waiting_message}). Push the "
        f"image, or "
        "correct the runtime's image or pull secret; the kubelet tries again by itself",
    )


def _container_config(pod: PodView) -> Obstacle | None:
    if pod.waiting_reason not in CONFIG_REASONS:
        return None
    words = pod.waiting_message
    if "secret" in words.lower():
        return Obstacle(
            Missing.SECRET,
            f"Pod {pod.name} waits for a Secret: {words}. Create it in namespace {pod.namespace} with the key "
            f"`token`; the "
            "job goes on by itself",
        )
    return Obstacle(Missing.CONFIG, f"Pod {pod.name} can't start its container ({pod.waiting_reason}): {words}")


CHECKS: tuple[Callable[[Observation], Obstacle | None], ...] = (
    _known_before,
    _pods(_image),
    _pods(_container_config),
)
"""In order of explanation: the first that applies is shown."""


def obstacle(seen: Observation) -> Obstacle | None:
    """The first thing in the way, or None."""
    return next((found for check in CHECKS if (found := check(seen))), None)
