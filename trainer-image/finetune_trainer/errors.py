"""How a stage fails: always with a reason of the contract and a message that says what to do."""

from finetune_contract.reasons import REASON_OF_EXIT_CODE, ExitCode, Reason

MESSAGE_LIMIT = 1024
"""Most characters of a message in the StageResult."""

EXIT_CODE_OF_REASON: dict[Reason, ExitCode] = {reason: code for code, reason in REASON_OF_EXIT_CODE.items()}


class StageError(Exception):
    """The stage can't succeed. The reason decides exit code and retry; the message names the remedy."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 1] + "…"

    @property
    def exit_code(self) -> ExitCode:
        """The stable exit code of the reason."""
        return EXIT_CODE_OF_REASON[self.reason]
