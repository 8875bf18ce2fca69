"""`make demo` ends as the README says, and the object tells the truth about it."""

import re
from itertools import pairwise
from pathlib import Path

from support.kube import ROOT, Cluster, condition

from .conftest import Demo, json_lines, read_file

QUICKSTART = "examples/quickstart.yaml"


def test_demo_ends_as_described(demo: Demo) -> None:
    assert demo.code == 0, demo.output[-4000:]
    assert "The model learned it" in demo.output
    assert "make cluster-down" in demo.output
    chart = ROOT / "build/demo/quickstart-loss.html"
    page = chart.read_text()
    assert "<svg" in page
    assert not re.findall(r"""(?:src|href)=["']https?://""", page), "self-contained: nothing is fetched"


def test_columns_change_at_least_every_ten_seconds(demo: Demo) -> None:
    training = [(at, row.split()) for at, row in demo.rows if " Training " in f" {row} "]
    with_loss = [(at, cells) for at, cells in training if len(cells) >= 5]
    assert len(with_loss) >= 5, demo.rows
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(with_loss)]
    assert max(gaps) <= 10, gaps
    _, last = with_loss[-1]
    state, percent, loss, left = last[1:5]
    assert state == "Training"
    assert re.fullmatch(r"\d+%", percent)
    assert float(loss) > 0
    assert re.fullmatch(r"(\d+[dhms])+", left)
    losses = [float(cells[3]) for _, cells in with_loss]
    assert losses[-1] < losses[0], "the loss falls in front of the user"


def test_wait_returns(cluster: Cluster) -> None:
    cluster.kubectl("wait", "--for=condition=Succeeded", "ftj/quickstart", "--timeout=5s")


def test_describe_tells_the_story(cluster: Cluster) -> None:
    told = cluster.kubectl("describe", "ftj", "quickstart").stdout
    events = told[told.rindex("Events:") :]
    positions = [events.index(word) for word in ("TrainJobCreated", "Training", "Progress", "Completed")]
    assert positions == sorted(positions), events


def test_loss_in_the_status_is_the_engine_s_own(cluster: Cluster, images: dict[str, str]) -> None:
    body = cluster.get("ftj", "quickstart", "default")
    assert body
    status = body["status"]
    run = f"runs/{status['runId']}"
    engine = json_lines(
        read_file(cluster, images, "quickstart-workspace", f"{run}/**/training_params_and_metrics*.jsonl")
    )
    losses = {entry["step"]: entry["avg_loss"] for entry in engine if "avg_loss" in entry}
    last = max(losses)
    assert status["metrics"]["loss"] == str(losses[last])
    history = status["lossHistory"]
    assert len(history) <= 100
    assert history[0]["step"] == 1
    assert history[-1]["step"] == last == status["progress"]["step"] == status["progress"]["totalSteps"]
    assert all(point["loss"] == str(losses[point["step"]]) for point in history)


def test_reapplying_never_retrains(cluster: Cluster) -> None:
    before = cluster.get("ftj", "quickstart", "default")
    done = cluster.kubectl("apply", "-f", str(ROOT / QUICKSTART))
    assert "unchanged" in done.stdout
    after = cluster.get("ftj", "quickstart", "default")
    assert before
    assert after
    assert after["status"] == before["status"]
    assert len(cluster.list("trainjobs", "default", "finetune.dev/job=quickstart")) == 1


def test_pods_ran_under_the_restricted_standard(cluster: Cluster) -> None:
    labels = (cluster.get("namespace", "default", "default") or {})["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert condition(cluster.get("ftj", "quickstart", "default"), "Succeeded")["status"] == "True"
    warned = cluster.kubectl("get", "events", "-A", "--field-selector", "reason=FailedCreate", "-o", "name").stdout
    assert warned == ""


def test_no_secret_in_what_users_see(cluster: Cluster) -> None:
    seen = cluster.kubectl("get", "ftj,trainjobs,configmaps,events", "-A", "-o", "yaml").stdout
    assert "PRIVATE KEY" not in seen
    logs = cluster.kubectl("logs", "deploy/finetune-operator", "--tail=-1", namespace="finetune-system").stdout
    assert "PRIVATE KEY" not in logs
    assert not re.search(r"eyJ[A-Za-z0-9_-]{20,}\.", logs), "a token in the log"


def test_readme_names_what_exists() -> None:
    readme = (ROOT / "README.md").read_text()
    for path in re.findall(r"\]\(([^)#:]+)\)", readme):
        assert Path(ROOT / path).exists(), path
