"""How much longer a FineTuneJob takes to its first training step than the same trainer in a bare TrainJob.

    . dev/cluster/env.sh; python tests/bench/apply_to_first_step.py [ROUNDS]

Needs the demo's cluster and its data claim (`make demo`). The bare TrainJob is the operator's own with the operator
taken away: same runtime, mounts and configuration, a claim and ConfigMap made before, reporting nowhere. Rounds
alternate, so what else the machine does hits both. Seconds from the start of `kubectl apply` to the time in the first
line of metrics.jsonl.
"""

import json
import statistics
import subprocess
import sys
import time
from typing import Any

Json = dict[str, Any]
NAME = "bench"
SPEC: Json = {
    "algorithm": "SFT",
    "model": {"source": "pvc://quickstart-data/base-model"},
    "dataset": {"train": {"source": "pvc://quickstart-data/numbers/train.jsonl"}},
    "training": {
        "numEpochs": 1,
        "effectiveBatchSize": 32,
        "learningRate": "1e-3",
        "maxSeqLen": 64,
        "maxTokensPerGPU": 8192,
    },
    "resources": {"gpusPerNode": 0, "cpu": "900m"},
    "storage": {"size": "1Gi"},
}


def kubectl(*args: str, stdin: Json | None = None) -> str:
    """Output of kubectl."""
    text = json.dumps(stdin) if stdin else None
    return subprocess.run(["kubectl", *args], input=text, capture_output=True, text=True, check=True).stdout


def first_step(trainjob: str) -> float:
    """Unix time of the first training step of a TrainJob's pod: what the trainer itself wrote down."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        pod = kubectl("get", "pods", "-l", f"jobset.sigs.k8s.io/jobset-name={trainjob}", "-o", "name").strip()
        read = ["kubectl", "exec", pod or "none", "--", "sh", "-c", "head -n 1 /workspace/runs/*/metrics.jsonl"]
        line = subprocess.run(read, capture_output=True, text=True).stdout.strip()
        if line.endswith("}"):
            return float(json.loads(line)["time"])
        time.sleep(0.5)
    raise SystemExit(f"{trainjob}: no first step within 180 s")


def with_operator() -> tuple[float, Json, Json]:
    """Seconds, and the TrainJob and configuration that the operator made."""
    body = {"apiVersion": "finetune.dev/v1alpha1", "kind": "FineTuneJob", "metadata": {"name": NAME}, "spec": SPEC}
    started = time.time()
    kubectl("apply", "-f", "-", stdin=body)
    seconds = first_step(f"{NAME}-a1") - started
    made = json.loads(kubectl("get", "trainjob", f"{NAME}-a1", "-o", "json"))
    config = json.loads(kubectl("get", "configmap", f"{NAME}-a1-train", "-o", "jsonpath={.data.config\\.json}"))
    kubectl("delete", "ftj", NAME, "--wait")
    kubectl("wait", "--for=delete", "trainjob,pod,pvc", "-l", f"finetune.dev/job={NAME}", "--timeout=60s")
    return seconds, made, config


def bare(made: Json, config: Json) -> float:
    """Seconds of the same without the operator."""
    name = f"{NAME}-bare"
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    kubectl(
        "apply",
        "-f",
        "-",
        stdin={"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": claim},
    )
    data = {"config.json": json.dumps({key: value for key, value in config.items() if key != "report"})}
    kubectl(
        "apply", "-f", "-", stdin={"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    )
    spec = json.loads(json.dumps(made["spec"]))
    patches = [patch for patch in spec["runtimePatches"] if patch["manager"] == "finetune.dev/operator"]
    pod = patches[0]["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]
    pod.pop("metadata")
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    volumes["workspace"]["persistentVolumeClaim"]["claimName"] = name
    volumes["finetune-config"]["configMap"]["name"] = name
    volumes["finetune-ca"]["configMap"]["name"] = name
    patches[0].pop("time", None)
    job = {
        "apiVersion": made["apiVersion"],
        "kind": "TrainJob",
        "metadata": {"name": name},
        "spec": {"runtimeRef": spec["runtimeRef"], "trainer": spec["trainer"], "runtimePatches": patches},
    }
    started = time.time()
    kubectl("apply", "-f", "-", stdin=job)
    seconds = first_step(name) - started
    kubectl("delete", "trainjob", name, "--wait")
    kubectl("wait", "--for=delete", "pod", "-l", f"jobset.sigs.k8s.io/jobset-name={name}", "--timeout=60s")
    kubectl("delete", "configmap,pvc", name, "--wait")
    return seconds


def main() -> None:
    """Print both medians and their difference."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    ours, bares = [], []
    for number in range(rounds):
        seconds, made, config = with_operator()
        ours.append(seconds)
        bares.append(bare(made, config))
        print(f"round {number + 1}: FineTuneJob {ours[-1]:.1f} s, bare TrainJob {bares[-1]:.1f} s", flush=True)
    difference = statistics.median(ours) - statistics.median(bares)
    print(f"median: {statistics.median(ours):.1f} s against {statistics.median(bares):.1f} s: {difference:+.1f} s")


if __name__ == "__main__":
    main()
