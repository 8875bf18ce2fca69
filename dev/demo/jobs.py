"""FineTuneJobs and their data, as the demo uses them."""

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import yaml
from rich.markup import escape

from demo.cluster import NAMESPACE
from demo.shell import ROOT, Failed, get, kubectl, quiet, say
from kubectl_finetune.cli import follow

DATA_MANIFEST, DATA_JOB = "examples/quickstart-data.yaml", "quickstart-data"
DATA_CLAIM = "quickstart-data"
READER = "quickstart-reader"


def remove_run(name: str) -> bool:
    """Delete a FineTuneJob of this name, and wait until what belonged to it is gone too. True when there was one.

    Pods that mount its workspace would keep the claim, ended ones too: jobs that started from its model go first.
    """
    remove_reader()  # left by an interrupted demo
    existing = get("finetunejobs", "-n", NAMESPACE).get("items", [])
    for dependent in starting_from(f"pvc://{name}-workspace/", existing):
        say(f"  {dependent} started from the model of {name}: removed with it")
        remove_run(dependent)
    existed = any(job["metadata"]["name"] == name for job in existing)
    if existed:
        kubectl("delete", "finetunejob", name, "-n", NAMESPACE, "--wait", timeout=120)
    deadline = time.monotonic() + 120
    while left := [kind for kind in ("trainjob", "pod", "pvc") if _children(kind, name)]:
        if time.monotonic() > deadline:
            what = ", ".join(left)
            raise Failed(f"{what} of the earlier {name} did not go away: `kubectl describe {left[-1]} -n {NAMESPACE}`")
        time.sleep(0.5)
    return existed


def starting_from(prefix: str, existing: list[dict[str, Any]]) -> list[str]:
    """Names of the FineTuneJobs whose base model's address begins like this."""
    return [
        job["metadata"]["name"]
        for job in existing
        if job.get("spec", {}).get("model", {}).get("source", "").startswith(prefix)
    ]


def _children(kind: str, name: str) -> bool:
    return bool(get(kind, "-n", NAMESPACE, "-l", f"finetune.dev/job={name}").get("items"))


def make_data(image: str) -> None:
    """Fill the data claim; quick where everything is there already.

    Raises:
        Failed: the Job that fills it failed, or took too long.
    """
    kubectl("delete", "job", DATA_JOB, "-n", NAMESPACE, "--ignore-not-found", "--wait", timeout=120)
    manifest = (ROOT / DATA_MANIFEST).read_text().replace("image: QUICKSTART_IMAGE", f"image: {image}")
    kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=manifest)
    _wait_for_job(DATA_JOB, 600)
    for line in kubectl("logs", f"job/{DATA_JOB}", "-n", NAMESPACE).splitlines():
        if line.strip() and "Writing model" not in line:
            say(f"  {escape(line)}")


def _wait_for_job(name: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = get("job", name, "-n", NAMESPACE).get("status", {})
        ended = {c["type"] for c in status.get("conditions", []) if c["status"] == "True"}
        if "Complete" in ended:
            return
        if "Failed" in ended:
            raise Failed(f"Job {name} failed:\n{escape(_tail(f'job/{name}'))}")
        time.sleep(0.5)
    raise Failed(f"Job {name} did not end within {seconds:.0f} s: `kubectl describe job/{name} -n {NAMESPACE}`")


def _tail(target: str) -> str:
    try:
        return kubectl("logs", target, "-n", NAMESPACE, "--all-containers", "--tail=20")
    except Failed as error:
        return str(error)


def documents(manifest: str, **replacements: str) -> list[str]:
    """The YAML documents of a file, with words of it replaced."""
    text = (ROOT / manifest).read_text()
    for word, value in replacements.items():
        text = text.replace(f"source: {word}", f"source: {value}")
    return [part for part in re.split(r"^---\n", text, flags=re.MULTILINE) if yaml.safe_load(part)]


def train(document: str) -> dict[str, Any]:
    """Apply a FineTuneJob, show how it goes, and return it as it ended.

    Raises:
        Failed: it did not succeed.
    """
    name = yaml.safe_load(document)["metadata"]["name"]
    kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=document)
    code = follow(name, NAMESPACE, kubeconfig=os.environ.get("KUBECONFIG"))
    job = get("finetunejob", name, "-n", NAMESPACE)
    if code == 130:
        raise KeyboardInterrupt
    if code:
        events = kubectl("events", "-n", NAMESPACE, "--for", f"finetunejob/{name}")
        raise Failed(f"FineTuneJob {name} did not succeed.\n{escape(events)}\nSee `kubectl describe ftj {name}`.")
    return job


def model_uri(job: dict[str, Any]) -> str:
    """`pvc://claim/path` of the trained model.

    Raises:
        Failed: the job has none.
    """
    try:
        return str(job["status"]["output"]["model"]["uri"])
    except KeyError:
        raise Failed(f"FineTuneJob {job.get('metadata', {}).get('name')} has no model in its status") from None


def claim_and_path(uri: str) -> tuple[str, str]:
    """Claim and path of a `pvc://` address.

    Raises:
        Failed: it is none.
    """
    found = re.fullmatch(r"pvc://([^/]+)/(.+)", uri)
    if not found:
        raise Failed(f"{uri} is not in a claim")
    return found[1], found[2]


def remove_reader() -> None:
    """Delete the reader's pod if there is one."""
    kubectl("delete", "pod", READER, "-n", NAMESPACE, "--ignore-not-found", "--grace-period=0", "--force")


class Reader:
    """A pod that has the claims mounted, read-only. Use as a context manager."""

    def __init__(self, image: str, claims: list[str]) -> None:
        self._pod = reader_pod(image, claims)

    def __enter__(self) -> "Reader":
        remove_reader()
        kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=json.dumps(self._pod))
        try:
            kubectl("wait", "-n", NAMESPACE, f"pod/{READER}", "--for=condition=Ready", "--timeout=180s")
        except Failed:
            events = kubectl("events", "-n", NAMESPACE, "--for", f"pod/{READER}")
            remove_reader()
            raise Failed(f"pod {READER} did not start:\n{escape(events)}") from None
        return self

    def __exit__(self, *_error: object) -> None:
        remove_reader()

    def answers(self, models: list[str], questions: str) -> dict[str, Any]:
        """What models say to held-out questions; models and questions are `pvc://` addresses.

        Raises:
            Failed: they can't be read.
        """
        where = [part for model in models for part in ("--model", mounted(model))]
        command = ("python", "-m", "finetune_trainer", "answers", *where, "--questions", mounted(questions))
        printed = self._exec(*command, "--limit", "100000")
        found: dict[str, Any] = json.loads(printed)
        return found

    def copy(self, uri: str, target: Path) -> Path:
        """Copy a text file out of the cluster."""
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self._exec("cat", mounted(uri)))
        return target

    @staticmethod
    def _exec(*command: str) -> str:
        return quiet("kubectl", "exec", "-n", NAMESPACE, READER, "--", *command, timeout=600)


def mounted(uri: str) -> str:
    """Where the reader sees a `pvc://` address."""
    claim, path = claim_and_path(uri)
    return f"/claims/{claim}/{path}"


def reader_pod(image: str, claims: list[str]) -> dict[str, Any]:
    """The reader's pod."""
    user = 65532
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": READER},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": user,
                "runAsGroup": user,
                "fsGroup": user,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "reader",
                    "image": image,
                    "command": ["sleep", "3600"],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [
                        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # in the pod
                        *({"name": claim, "mountPath": f"/claims/{claim}", "readOnly": True} for claim in claims),
                    ],
                }
            ],
            "volumes": [
                {"name": "tmp", "emptyDir": {}},
                *({"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in claims),
            ],
        },
    }
