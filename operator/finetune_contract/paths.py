"""Paths inside a stage's pod, and file names inside a run's directory, that operator and images rely on."""

from pathlib import PurePosixPath

CONFIG_DIR = PurePosixPath("/etc/finetune/config")
"""Read-only mount of the stage's ConfigMap."""
CONFIG_FILE = CONFIG_DIR / "config.json"

CA_DIR = PurePosixPath("/etc/finetune/ca")
"""Read-only mount of the ConfigMap with the progress endpoint's authority. Re-read on every connection: it rotates."""
CA_FILE = CA_DIR / "ca.crt"

TOKEN_DIR = PurePosixPath("/var/run/secrets/finetune.dev/progress")
"""Projected service account token whose audience names the one job. Re-read on every post: the kubelet rotates it."""
TOKEN_FILE = TOKEN_DIR / "token"

WORKSPACE = PurePosixPath("/workspace")
"""Mount of the workspace claim."""
SOURCES = PurePosixPath("/mnt/finetune")
"""Claims named by `pvc://` sources are mounted read-only at SOURCES/<claim>."""
TERMINATION_LOG = PurePosixPath("/dev/termination-log")

MODEL = "model"
"""Directory of the final model, complete and loadable, in the run's directory."""
METRICS = "metrics.jsonl"
"""Append-only, one JSON object per logged step."""
RESULT = "result.json"
"""The StageResult as posted. Its presence with outcome Succeeded means: the run is complete."""
LOSS_CHART = "loss.html"
"""Self-contained page with the loss curve."""


def run_dir(run_id: str) -> PurePosixPath:
    """Directory of one run in the workspace."""
    return WORKSPACE / "runs" / run_id
