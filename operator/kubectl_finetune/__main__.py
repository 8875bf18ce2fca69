"""`python -m kubectl_finetune`, and the `kubectl-finetune` command that kubectl finds on PATH."""

from kubectl_finetune.cli import app


def main() -> None:
    """Run the command line."""
    app(prog_name="kubectl finetune")


if __name__ == "__main__":
    main()
