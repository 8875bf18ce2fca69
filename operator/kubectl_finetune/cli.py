"""The command line."""

import os
import sys
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console

from kubectl_finetune import render
from kubectl_finetune.reader import ClusterReader, Refused
from kubectl_finetune.watch import FAILED, SUCCEEDED, UNUSABLE, CannotWatch, Follower, watch_lines, watch_live

app = typer.Typer(
    name="kubectl finetune",
    help="Follow FineTuneJobs.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _commands() -> None:
    """Follow FineTuneJobs."""


@app.command()
def watch(
    name: Annotated[str, typer.Argument(help="Name of the FineTuneJob.")],
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Namespace; the context's own if left out.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig.")] = None,
    kubeconfig: Annotated[str | None, typer.Option(help="Path of the kubeconfig.")] = None,
    interval: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 1.0,
    patience: Annotated[float, typer.Option(min=1, help="Seconds without an answer after which to give up.")] = 120.0,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a live view.")] = False,
) -> None:
    """Show a job's progress until it ends.

    Exits 0 when the job succeeded, 1 when it failed, 2 when it can't be watched. Without a terminal, or with NO_COLOR
    set, prints plain lines.
    """
    raise typer.Exit(follow(name, namespace, context, kubeconfig, interval=interval, patience=patience, plain=plain))


def follow(
    name: str,
    namespace: str | None = None,
    context: str | None = None,
    kubeconfig: str | None = None,
    *,
    interval: float = 1.0,
    patience: float = 120.0,
    plain: bool = False,
) -> int:
    """Watch a job; the exit code says how it ended."""
    console = Console()
    lines = plain or not console.is_terminal or bool(os.environ.get("NO_COLOR")) or console.is_dumb_terminal
    try:
        follower = Follower(ClusterReader(namespace, context, kubeconfig), name, patience)
        view = watch_lines(follower, _say, interval) if lines else watch_live(follower, console, interval)
    except (CannotWatch, Refused) as error:
        print(f"error: {error}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        print(f"\nStopped watching; {name} goes on.", file=sys.stderr)
        return 130
    (_say if lines else print)(render.outcome(view))
    return SUCCEEDED if view.succeeded else FAILED


def _say(text: str) -> None:
    print(f"{datetime.now():%H:%M:%S}  {text}", flush=True)
