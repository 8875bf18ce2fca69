"""`python -m demo quickstart` and `python -m demo osft`."""

from pathlib import Path
from typing import Annotated

import typer

from demo import osft, quickstart
from demo.shell import Failed, say

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

Output = Annotated[Path, typer.Option(help="Directory for what is copied out of the cluster.")]
Ready = Annotated[bool, typer.Option("--ready", help="Cluster, images and chart are up to date already: don't look.")]


@app.command("quickstart")
def run_quickstart(output: Output = Path("build/demo"), ready: Ready = False) -> None:
    """Cluster, images, chart, then a FineTuneJob that trains for real."""
    _run(lambda: quickstart.main(output, ready=ready))


@app.command("osft")
def run_osft(output: Output = Path("build/demo"), ready: Ready = False) -> None:
    """Teach the quickstart's model a second task with SFT and with OSFT, and compare."""
    _run(lambda: osft.main(output, ready=ready))


def _run(demo: "quickstart.Demo") -> None:
    try:
        demo()
    except Failed as error:
        say(f"\n[bold red]The demo failed:[/] {error}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        say("\nInterrupted. What was started in the cluster goes on; `make cluster-down` removes everything.")
        raise typer.Exit(130) from None


if __name__ == "__main__":
    app(prog_name="demo")
