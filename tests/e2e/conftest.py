"""The demo's path on kind, with the built images: `dev/demo/run.sh`, as `make demo` runs it, watched from outside."""

import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.kube import ROOT, Cluster, Json, eventually, tool_environment

NAMESPACE = "default"
DATA = "e2e-data"


@dataclass
class Watch:
    """Rows of `kubectl get ftj`, with the seconds at which each was first seen."""

    rows: list[tuple[float, str]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def follow(self, kubeconfig: Path, environment: dict[str, str]) -> None:
        """Look twice a second until told to stop."""
        while not self.stop.wait(0.5):
            done = subprocess.run(
                ["kubectl", "get", "ftj", "quickstart", "--no-headers", "--request-timeout=2s"],
                capture_output=True,
                text=True,
                env={**environment, "KUBECONFIG": str(kubeconfig)},
            )
            cells = done.stdout.split()[:-1]  # without AGE, which always changes
            row = " ".join(cells)
            if done.returncode == 0 and cells and (not self.rows or self.rows[-1][1] != row):
                self.rows.append((time.monotonic(), row))


@dataclass(frozen=True)
class Demo:
    """What the demo printed, and what was seen meanwhile."""

    cluster: Cluster
    output: str
    code: int
    seconds: float
    rows: list[tuple[float, str]]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Run the demo once. The cluster stays as it is: `make cluster-down` removes it."""
    environment = tool_environment()
    kubeconfig = Path(environment["KUBECONFIG"])
    watch, log = Watch(), tmp_path_factory.mktemp("demo") / "output.log"
    watcher = threading.Thread(target=watch.follow, args=(kubeconfig, environment))
    watcher.start()
    started = time.monotonic()
    try:
        with log.open("w") as out:
            done = subprocess.run(
                ["dev/demo/run.sh"],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**environment, "VENV": str(Path(sys.prefix))},
            )
    finally:
        watch.stop.set()
        watcher.join()
    seconds = time.monotonic() - started
    print(log.read_text())
    # the tools are on PATH only after the demo has made them
    return Demo(Cluster(kubeconfig, tool_environment()), log.read_text(), done.returncode, seconds, watch.rows)


@pytest.fixture(scope="session")
def cluster(demo: Demo) -> Cluster:
    """The demo's cluster, with the operator in it."""
    assert demo.code == 0, demo.output
    return demo.cluster


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """Names of the built images."""
    done = subprocess.run(
        [ROOT / "dev/cluster/images.sh", "--print"], check=True, capture_output=True, text=True, env=tool_environment()
    )
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


@pytest.fixture(scope="session")
def small_data(cluster: Cluster, images: dict[str, str]) -> str:
    """A claim with the demo's base model and a few hundred samples: a training of seconds."""
    script = (
        "import shutil, pathlib;"
        "shutil.copytree('/from/base-model', '/to/base-model', dirs_exist_ok=True);"
        "lines = pathlib.Path('/from/numbers/train.jsonl').read_text().splitlines()[:320];"
        "pathlib.Path('/to/train.jsonl').write_text('\\n'.join(lines) + '\\n')"
    )
    cluster.kubectl("delete", "pod,pvc", DATA, "--ignore-not-found", "--wait")
    assert cluster.apply(claim(DATA)).returncode == 0
    pod = pod_with(
        DATA, images["QUICKSTART_IMAGE"], ["python", "-c", script], {"/to": DATA, "/from": "quickstart-data"}
    )
    assert cluster.apply(pod).returncode == 0

    def written() -> bool:
        phase = (cluster.get("pod", DATA, NAMESPACE) or {}).get("status", {}).get("phase")
        return phase == "Succeeded"

    eventually(written, 90, f"pod {DATA} has written")
    cluster.kubectl("delete", "pod", DATA, "--wait")
    return DATA


def claim(name: str) -> Json:
    """A claim of the default class."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def pod_with(name: str, image: str, command: list[str], mounts: dict[str, str]) -> Json:
    """A pod under the restricted standard with claims mounted: path to claim."""
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    volumes = [
        {"name": f"v{i}", "persistentVolumeClaim": {"claimName": claim}} for i, claim in enumerate(mounts.values())
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "c",
                    "image": image,
                    "command": command,
                    "securityContext": restricted,
                    "volumeMounts": [{"name": f"v{i}", "mountPath": path} for i, path in enumerate(mounts)],
                }
            ],
            "volumes": volumes,
        },
    }


def read_file(cluster: Cluster, images: dict[str, str], claim_name: str, pattern: str) -> str:
    """The text of the one file that matches, in a claim."""
    script = (
        "import glob, sys;"
        f"found = sorted(glob.glob('/c/{pattern}', recursive=True));"
        "assert len(found) == 1, found;"
        "sys.stdout.write(open(found[0]).read())"
    )
    name = "e2e-reader"
    cluster.kubectl("delete", "pod", name, "--ignore-not-found", "--wait")
    pod = pod_with(name, images["QUICKSTART_IMAGE"], ["python", "-c", script], {"/c": claim_name})
    assert cluster.apply(pod).returncode == 0

    def ended() -> str:
        phase: str = (cluster.get("pod", name, NAMESPACE) or {}).get("status", {}).get("phase", "")
        return phase if phase in ("Succeeded", "Failed") else ""

    phase = eventually(ended, 60, f"pod {name} has ended")
    text = cluster.kubectl("logs", name).stdout
    assert phase == "Succeeded", text
    cluster.kubectl("delete", "pod", name, "--wait")
    return text


def json_lines(text: str) -> list[Json]:
    """One object per line."""
    return [json.loads(line) for line in text.splitlines() if line.strip()]
