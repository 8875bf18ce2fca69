"""`python -m finetune_trainer train` runs the Train stage; `answers` asks trained models questions."""

import argparse
import os
import sys
from pathlib import Path

from finetune_contract import paths
from finetune_contract.reasons import ExitCode
from finetune_trainer import __version__, log


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="finetune_trainer", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)

    train = commands.add_parser("train", help="run the Train stage described by a config.json")
    train.add_argument("--config", type=Path, default=Path(paths.CONFIG_FILE))
    train.add_argument(
        "--token-file", type=Path, default=Path(paths.TOKEN_FILE), help="token for the operator's endpoint"
    )
    train.add_argument("--ca-file", type=Path, default=Path(paths.CA_FILE), help="authority of the operator's endpoint")
    train.add_argument("--termination-log", type=Path, default=Path(paths.TERMINATION_LOG))

    answers = commands.add_parser("answers", help="greedy answers of one or more models to chat questions, as JSON")
    answers.add_argument("--model", type=Path, action="append", required=True, help="model directory; may be repeated")
    answers.add_argument(
        "--questions", type=Path, required=True, help="JSON Lines of chats; the last message is expected"
    )
    answers.add_argument("--limit", type=int, default=5, help="answers to print per model (all are counted)")
    answers.add_argument("--batch-size", type=int, default=128)

    engine = commands.add_parser("engine")  # the launcher's own
    engine.add_argument("--task", type=Path, required=True)
    engine.add_argument("--events", type=int, required=True)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Exit codes of `train` are those of finetune_contract.reasons."""
    options = _parser().parse_args(arguments)
    log.setup()
    # each command imports only what it needs: the launcher stays without torch
    if options.command == "train":
        from finetune_trainer.report import Credentials
        from finetune_trainer.train import Surroundings
        from finetune_trainer.train import main as train

        credentials = Credentials(options.token_file, options.ca_file)
        return train(options.config, Surroundings(credentials, options.termination_log))
    if options.command == "answers":
        from finetune_trainer.answers import main as answers

        return answers(options.model, options.questions, limit=options.limit, batch_size=options.batch_size)
    from finetune_trainer.engine_main import main as engine

    return engine(options.task, options.events)


if __name__ == "__main__":
    code = main()
    if code == ExitCode.INTERRUPTED:
        # Python would wait for the threads of a download that the signal has left behind
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
