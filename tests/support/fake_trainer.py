"""Posts as a trainer would from its pod: with a token of that pod, over TLS with the published authority.

Only KWOK's nodes need it: they run no containers.
"""

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from finetune_contract.progress import LossPoint, Metric, ProgressReport, TrainerStatus
from finetune_contract.result import ModelArtifact, StageResult
from support.kube import Cluster, Json, eventually


@dataclass(frozen=True)
class FakeTrainer:
    """The trainer of one pod."""

    cluster: Cluster
    namespace: str
    pod: Json
    config: Json

    @classmethod
    def of(cls, cluster: Cluster, namespace: str, job: str, node: int = 0) -> "FakeTrainer":
        """Wait for the job's running pod of this node rank."""
        index = f"batch.kubernetes.io/job-completion-index={node}"

        def running() -> Json | None:
            pods = cluster.list("pods", namespace, f"finetune.dev/job={job},{index}")
            return next((pod for pod in pods if pod["status"].get("phase") == "Running"), None)

        pod = eventually(running, 30, f"a running pod of {job}")
        attempt = pod["metadata"]["labels"]["finetune.dev/attempt"]
        stored = cluster.get("configmap", f"{job}-a{attempt}-train", namespace)
        assert stored
        return cls(cluster, namespace, pod, json.loads(stored["data"]["config.json"]))

    def token(self) -> str:
        """As the kubelet would project it."""
        volumes = {volume["name"]: volume for volume in self.pod["spec"]["volumes"]}
        projection = volumes["finetune-token"]["projected"]["sources"][0]["serviceAccountToken"]
        meta = self.pod["metadata"]
        return self.cluster.kubectl(
            "create", "token", self.pod["spec"].get("serviceAccountName", "default"),
            "--audience", projection["audience"],
            "--bound-object-kind", "Pod", "--bound-object-name", meta["name"], "--bound-object-uid", meta["uid"],
            namespace=self.namespace,
        ).stdout.strip()  # fmt: skip

    def post(self, kind: str, body: str) -> int:
        """POST; returns the HTTP status."""
        ca = self.cluster.get("configmap", f"{self.config['job']['name']}-endpoint-ca", self.namespace)
        assert ca
        request = urllib.request.Request(
            f"{self.config['report']['url']}/{kind}",
            data=body.encode(),
            headers={"Authorization": f"Bearer {self.token()}", "Content-Type": "application/json"},
        )
        context = ssl.create_default_context(cadata=ca["data"]["ca.crt"])
        try:
            with urllib.request.urlopen(request, context=context, timeout=20) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code

    def progress(self, step: int, total: int, losses: list[str], left: int = 60) -> int:
        """Post progress."""
        return self.post(
            "progress",
            ProgressReport(
                attempt=self.config["job"]["attempt"],
                step=step,
                total_steps=total,
                phase="training",
                trainer_status=TrainerStatus(
                    progress_percentage=step * 100 // total,
                    estimated_remaining_seconds=left,
                    metrics=(Metric(name="loss", value=losses[-1]), Metric(name="tokens_per_second", value="1234.5")),
                    last_updated_time=datetime.now(UTC),
                ),
                loss_history=tuple(LossPoint(step=i + 1, loss=loss) for i, loss in enumerate(losses)),
            ).to_json(),
        )

    def result(self, **changes: Any) -> int:
        """Post a complete result, with changes."""
        return self.post("result", self.made_result(**changes).to_json())

    def made_result(self, **changes: Any) -> StageResult:
        """A complete result, with changes."""
        now, run = datetime.now(UTC), self.config["runId"]
        values: Json = {
            "attempt": self.config["job"]["attempt"],
            "run_id": run,
            "outcome": "Succeeded",
            "reason": "Completed",
            "exit_code": 0,
            "steps_done": 10,
            "steps_planned": 10,
            "started": now,
            "finished": now,
            "loss_history": (LossPoint(step=1, loss="2.5"), LossPoint(step=10, loss="0.25")),
            "model": ModelArtifact(path=f"runs/{run}/model", digest="sha256:" + "0" * 64, parameters=10, bytes=40),
        }
        return StageResult.model_validate(values | changes)

    def ends(self, outcome: str, exit_code: int = 1, message: str = "") -> None:
        """Let the node end the pod."""
        notes = {"outcome": outcome, "exit-code": str(exit_code), "message": message}
        pairs = [f"test.finetune.dev/{key}={value}" for key, value in notes.items()]
        self.cluster.kubectl(
            "annotate", "--overwrite", "pod", self.pod["metadata"]["name"], *pairs, namespace=self.namespace
        )
