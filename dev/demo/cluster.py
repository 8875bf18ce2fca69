"""A cluster with the operator in it."""

from dataclasses import dataclass

from demo.shell import Failed, kubectl, quiet, run, say

RELEASE, OPERATOR_NAMESPACE, CHART = "finetune-operator", "finetune-system", "charts/finetune-operator"
NAMESPACE = "default"
"""Where the demo's jobs run: no `-n` in any command a newcomer types."""
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"


@dataclass(frozen=True)
class Images:
    """Names of the project's images in the cluster's registry."""

    operator: str
    trainer: str
    quickstart: str


def images_of(printed: str) -> Images:
    """Images out of the lines `NAME_IMAGE=…` that images.sh prints.

    Raises:
        Failed: one is missing.
    """
    named = dict(line.split("=", 1) for line in printed.splitlines() if "_IMAGE=" in line)
    try:
        return Images(named["OPERATOR_IMAGE"], named["TRAINER_IMAGE"], named["QUICKSTART_IMAGE"])
    except KeyError as error:
        raise Failed(f"dev/cluster/images.sh did not name {error}") from error


def up() -> None:
    """kind with JobSet and Trainer; a healthy one stays as it is."""
    run("dev/cluster/up.sh")


def build() -> Images:
    """Build what has changed and push it to the cluster's registry."""
    printed = run("dev/cluster/images.sh")
    run("dev/cluster/images-load.sh")
    return images_of(printed)


def names() -> Images:
    """The images' names, without building."""
    return images_of(quiet("dev/cluster/images.sh", "--print"))


def install(images: Images) -> None:
    """Install or upgrade the chart, and wait until the operator is ready."""
    values = {**_image("image", images.operator), **_image("trainer.image", images.trainer)}
    settings = [part for name, value in values.items() for part in ("--set-string", f"{name}={value}")]
    namespace = ("--namespace", OPERATOR_NAMESPACE, "--create-namespace")
    quiet("helm", "upgrade", "--install", RELEASE, CHART, *namespace, *settings, "--wait", "--timeout", "5m")
    for name in (OPERATOR_NAMESPACE, NAMESPACE):
        kubectl("label", "namespace", name, RESTRICTED, "--overwrite")
    say(f"  {RELEASE} runs in {OPERATOR_NAMESPACE}; {NAMESPACE} enforces the Restricted Pod Security Standard")


def _image(prefix: str, image: str) -> dict[str, str]:
    repository, _, tag = image.rpartition(":")
    return {f"{prefix}.repository": repository, f"{prefix}.tag": tag}
