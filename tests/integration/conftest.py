"""A real control plane (etcd, API server, controllers, scheduler, JobSet, Trainer) with KWOK as the nodes, and the
operator as a process beside it under the chart's own service account."""

import json
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.kube import ROOT, Cluster, eventually, tool_environment

SYSTEM = "finetune-system"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The control plane, with the chart's definition, runtime and rights installed."""
    state = Path(os.environ.get("FINETUNE_TEST_STATE") or tmp_path_factory.mktemp("control-plane"))
    environment = tool_environment()
    up = subprocess.run([ROOT / "dev/cluster/control-plane/up.sh", state], capture_output=True, text=True)
    assert up.returncode == 0, up.stdout + up.stderr
    made = Cluster(state / "kubeconfig", tool_environment() | {"HELM_CACHE_HOME": str(state / "helm")})
    try:
        _install(made)
        yield made
    finally:
        subprocess.run([ROOT / "dev/cluster/control-plane/down.sh", state], capture_output=True, env=environment)


def _install(cluster: Cluster) -> None:
    done = subprocess.run(
        ["helm", "install", "finetune-operator", "charts/finetune-operator", "-n", SYSTEM, "--create-namespace",
         "--set", "image.repository=none,trainer.image.repository=none/trainer"],
        cwd=ROOT, capture_output=True, text=True, env=cluster.environment | {"KUBECONFIG": str(cluster.kubeconfig)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    cluster.kubectl("wait", "--for=condition=Established", "crd/finetunejobs.finetune.dev", "--timeout=30s")
    # KWOK would play the operator's pod; the real one runs as a process of the test
    cluster.kubectl("scale", "deployment/finetune-operator", "--replicas=0", namespace=SYSTEM)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace for one test."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@dataclass
class Operator:
    """The operator's process."""

    cluster: Cluster
    kubeconfig: Path
    log: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self, wait: bool = True) -> None:
        """Start it; returns when its endpoint answers."""
        variables = {
            "KUBECONFIG": str(self.kubeconfig),
            "PYTHONPATH": str(ROOT / "operator"),
            "FINETUNE_NAMESPACE": SYSTEM,
            "FINETUNE_RUNTIME": "finetune-torch",
            "FINETUNE_ALLOWED_RUNTIMES": "finetune-torch,comes-later",
            "FINETUNE_ENDPOINT_URL": f"https://localhost:{self.port}",
            "FINETUNE_ENDPOINT_PORT": str(self.port),
            "FINETUNE_ENDPOINT_SECRET": "finetune-operator-endpoint",
            "FINETUNE_ENDPOINT_SERVICE": "finetune-operator",
            "FINETUNE_HEALTH_PORT": str(self.port + 1),
            "FINETUNE_LOG_FORMAT": "text",
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "finetune_operator"],
                env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables},
                stdout=log,
                stderr=log,
            )
        if wait:
            eventually(self.answers, 30, f"the operator answers; its log: {self.log}")

    @property
    def running(self) -> bool:
        """It has been started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def answers(self) -> bool:
        """Its endpoint is healthy."""
        assert self.process
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        done = subprocess.run(
            ["curl", "-sk", "-m", "2", f"https://localhost:{self.port}/healthz"], capture_output=True, text=True
        )
        return done.returncode == 0

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        assert self.process
        self.process.terminate()
        return self.process.wait(timeout=30)


@pytest.fixture(scope="session")
def operator_kubeconfig(cluster: Cluster) -> Path:
    """Access with the rights of the chart's service account, and no more."""
    token = cluster.kubectl("create", "token", "finetune-operator", "--duration=4h", namespace=SYSTEM).stdout.strip()
    config = json.loads(cluster.kubectl("config", "view", "--raw", "--flatten", "-o", "json").stdout)
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    path = cluster.kubeconfig.with_name("operator-kubeconfig")
    path.write_text(json.dumps(config))
    return path


@pytest.fixture(scope="session")
def one_operator(
    cluster: Cluster, operator_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """One process for all tests: starting it takes seconds, and two at once would be one too many."""
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    operator = Operator(cluster, operator_kubeconfig, log, _two_free_ports())
    yield operator
    if operator.running:
        operator.kill()


@pytest.fixture
def operator(one_operator: Operator) -> Operator:
    """A running operator."""
    if not one_operator.running:
        one_operator.start()
    return one_operator


@pytest.fixture
def stopped_operator(one_operator: Operator) -> Operator:
    """The operator before its start."""
    if one_operator.running:
        one_operator.stop()
    return one_operator


def _two_free_ports() -> int:
    """The first of two neighbouring free ports."""
    for _ in range(100):
        with socket.create_server(("127.0.0.1", 0)) as first:
            port: int = first.getsockname()[1]
            with suppress(OSError), socket.create_server(("127.0.0.1", port + 1)):
                return port
    raise AssertionError("no two neighbouring free ports")
