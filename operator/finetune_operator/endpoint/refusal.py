"""The answers that are no success, in the shape of the API server's own failures."""

from typing import Any

UNAUTHORIZED, FORBIDDEN, TIMEOUT, TOO_LARGE, INVALID, TOO_MANY, UNAVAILABLE = 401, 403, 408, 413, 422, 429, 503

REASONS = {
    UNAUTHORIZED: "Unauthorized",
    FORBIDDEN: "Forbidden",
    TIMEOUT: "Timeout",
    TOO_LARGE: "RequestEntityTooLarge",
    INVALID: "Invalid",
    TOO_MANY: "TooManyRequests",
    UNAVAILABLE: "ServiceUnavailable",
}
"""`Status.reason` of each HTTP status."""


class Refusal(Exception):
    """A post is not accepted. The message is for the sender.

    Attributes:
        code: HTTP status, one of REASONS.
        message: what is wrong and what would be right.
        retry_after: seconds after which the same post may be accepted; None: it will not be.
    """

    def __init__(self, code: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after

    def status(self) -> dict[str, Any]:
        """The answer's body: a `metav1.Status`."""
        return {
            "apiVersion": "v1",
            "kind": "Status",
            "status": "Failure",
            "reason": REASONS[self.code],
            "message": self.message,
            "code": self.code,
        }

    def headers(self) -> dict[str, str]:
        """The answer's headers."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return {**headers, "WWW-Authenticate": "Bearer"} if self.code == UNAUTHORIZED else headers
