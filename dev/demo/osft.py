"""OSFT's point: the tuned model learns Spanish by SFT and by OSFT; what is left of the languages it knew?"""

from pathlib import Path

from demo import jobs, quickstart
from demo.cluster import Images
from demo.scores import Score, comparison, percent, scores_of
from demo.shell import Failed, Steps, console, say

MANIFEST, SFT, OSFT = "examples/osft.yaml", "spanish-sft", "spanish-osft"
NEW_QUESTIONS = f"pvc://{jobs.DATA_CLAIM}/spanish/held-out.jsonl"
NAMES = ("before", "after SFT", "after OSFT")


def main(output: Path, *, ready: bool) -> None:
    """The whole demo.

    Raises:
        Failed: a step failed, or OSFT kept no more than SFT.
    """
    steps = Steps()
    images = quickstart.prepare(steps, ready=ready)
    tuned = quickstart.succeeded()
    if tuned is None:
        say("  there is no tuned model yet: the quickstart first")
        quickstart.main(output, ready=True)
        tuned = quickstart.succeeded()
        if tuned is None:
            raise Failed("the quickstart has not succeeded")
    with steps.step("Earlier runs"):
        for name in (SFT, OSFT):
            say(f"  {name}: {'removed' if jobs.remove_run(name) else 'none'}")
    models = [jobs.model_uri(tuned)]
    for document, algorithm in zip(jobs.documents(MANIFEST, TUNED_MODEL=models[0]), ("SFT", "OSFT"), strict=True):
        with steps.step(f"Spanish by {algorithm}: {MANIFEST}"):
            models.append(jobs.model_uri(jobs.train(document)))
    with steps.step("What each model answers"):
        old, new = ask(models, images)
    console.print(comparison("What it knew: English, German, French", NAMES, old), soft_wrap=False)
    console.print(comparison("What it was taught: Spanish", NAMES, new), soft_wrap=False)
    say(f"\n[bold]How long it took[/]\n{steps.summary()}")
    judge(old, new)


def ask(models: list[str], images: Images) -> tuple[list[Score], list[Score]]:
    """Scores of each model for the old and the new task."""
    claims = [jobs.claim_and_path(model)[0] for model in models]
    with jobs.Reader(images.quickstart, [jobs.DATA_CLAIM, *claims]) as reader:
        return scores_of(reader.answers(models, quickstart.QUESTIONS)), scores_of(reader.answers(models, NEW_QUESTIONS))


def judge(old: list[Score], new: list[Score]) -> None:
    """Raises:
    Failed: OSFT kept no more than SFT.
    """
    _, sft, osft = old
    if osft.share <= sft.share:
        raise Failed(f"OSFT kept {percent(osft)} of what the model knew, SFT {percent(sft)}: OSFT should keep more")
    say(
        f"\n[bold green]✔ OSFT keeps {percent(osft)} of what the model knew, SFT {percent(sft)}.[/] "
        f"Spanish: {percent(new[2])} by OSFT, {percent(new[1])} by SFT."
    )
