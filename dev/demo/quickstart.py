"""The quickstart: from nothing to a trained model whose answers are checked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from demo import cluster, jobs
from demo.cluster import NAMESPACE, Images
from demo.scores import Score, comparison, examples, percent, scores_of
from demo.shell import MAX_WIDTH, ROOT, Failed, Steps, console, get, say

Demo = Callable[[], None]

NAME, MANIFEST = "quickstart", "examples/quickstart.yaml"
BASE = f"pvc://{jobs.DATA_CLAIM}/base-model"
QUESTIONS = f"pvc://{jobs.DATA_CLAIM}/numbers/held-out.jsonl"
GOOD, BAD = 0.9, 0.1
"""The tuned model must answer at least this share of the held-out questions, the base model at most that."""


def main(output: Path, *, ready: bool) -> None:
    """The whole demo.

    Raises:
        Failed: a step failed, or the model did not learn.
    """
    steps = Steps()
    images = prepare(steps, ready=ready)
    with steps.step("Model and data for the quickstart"):
        if jobs.remove_run(NAME):
            say("  an earlier run was there: removed, so this one trains again")
        jobs.make_data(images.quickstart)
    with steps.step(f"FineTuneJob {NAME}: {MANIFEST}"):
        job = jobs.train(*jobs.documents(MANIFEST))
    with steps.step("Before and after, on questions whose numbers no training file contains"):
        base, tuned, chart = check(job, images, output)
    show(job, base, tuned)
    say(f"\n[bold]Where things are[/]\n{whereabouts(job, chart)}")
    say(f"\n[bold]How to go on[/]\n{onwards(job)}")
    say(f"\n[bold]How long it took[/]\n{steps.summary()}")
    judge(base, tuned)


def prepare(steps: Steps, *, ready: bool) -> Images:
    """Cluster, images and chart; nothing is done twice."""
    if ready:
        return cluster.names()
    with steps.step("Cluster: kind with JobSet and Kubeflow Trainer"):
        cluster.up()
    with steps.step("Images: operator, trainer, quickstart"):
        images = cluster.build()
    with steps.step("Operator: helm upgrade --install"):
        cluster.install(images)
    return images


def check(job: dict[str, Any], images: Images, output: Path) -> tuple[Score, Score, Path]:
    """What base and tuned model answer, and the loss chart copied out of the cluster."""
    model = jobs.model_uri(job)
    workspace, _ = jobs.claim_and_path(model)
    with jobs.Reader(images.quickstart, [jobs.DATA_CLAIM, workspace]) as reader:
        base, tuned = scores_of(reader.answers([BASE, model], QUESTIONS))
        chart = reader.copy(job["status"]["output"]["report"], (ROOT / output / f"{NAME}-loss.html"))
    return base, tuned, chart


def show(job: dict[str, Any], base: Score, tuned: Score) -> None:
    """Conditions and answers."""
    console.print(conditions(job), soft_wrap=False)
    console.print(examples(base, tuned), soft_wrap=False, width=min(console.width, MAX_WIDTH))
    console.print(comparison(f"Right answers of {tuned.total}", ("before", "after"), (base, tuned)), soft_wrap=False)


def judge(base: Score, tuned: Score) -> None:
    """Raises:
    Failed: the base model could do it already, or the tuned one can't.
    """
    if base.share > BAD:
        raise Failed(f"the base model already answers {percent(base)}: it proves nothing that the tuned one can")
    if tuned.share < GOOD:
        raise Failed(
            f"the tuned model answers {percent(tuned)}, less than {100 * GOOD:.0f} %: it has not learned the task"
        )
    say(f"\n[bold green]✔ The model learned it:[/] {percent(base)} right before, {percent(tuned)} after.")


def conditions(job: dict[str, Any]) -> Table:
    """The job's conditions."""
    table = Table(title="Conditions", title_justify="left", title_style="bold")
    for column in ("type", "status", "reason", "message"):
        table.add_column(column, overflow="fold")
    for condition in job["status"]["conditions"]:
        table.add_row(*(escape(condition.get(key, "")) for key in ("type", "status", "reason", "message")))
    return table


def whereabouts(job: dict[str, Any], chart: Path) -> str:
    """Model and chart."""
    model = job["status"]["output"]["model"]
    size = f"{model.get('parameters', 0) / 1e6:.2f} million parameters, {model.get('bytes', 0) / 1e6:.1f} MB"
    return f"  model       {model['uri']}\n              {size}, {model['digest']}\n  loss chart  {_shown(chart)}"


def _shown(path: Path) -> Path:
    """As one would type it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def onwards(job: dict[str, Any]) -> str:
    """Commands to type next."""
    run = (job["status"].get("attempts") or [{}])[-1].get("trainJob", "")
    return "\n".join(
        (
            "  . dev/cluster/env.sh                        # kubectl, helm and KUBECONFIG for this shell;",
            "  export KUBECONFIG=$(make -s kubeconfig)     # … or only where the cluster is",
            "  kubectl get ftj                             # state, progress, loss",
            f"  kubectl describe ftj {NAME}             # every setting as used, and the story in Events",
            f"  kubectl get trainjob {run}          # what Kubeflow Trainer ran",
            "  make demo-osft                              # teach it Spanish without forgetting the rest",
            "  make cluster-down                           # remove everything",
        )
    )


def succeeded() -> dict[str, Any] | None:
    """The quickstart's FineTuneJob if it is there and has succeeded."""
    job = get("finetunejob", NAME, "-n", NAMESPACE)
    conditions = job.get("status", {}).get("conditions", [])
    return job if any(c["type"] == "Succeeded" and c["status"] == "True" for c in conditions) else None
