"""What the API server can answer, as types. Only what callers tell apart has a type of its own."""


class ApiError(Exception):
    """The API server refused a call, or could not be reached (`code` 0).

    Attributes:
        code: HTTP status.
        reason: `Status.reason`, for example `AlreadyExists`.
        message: `Status.message`: the API server's own words.
    """

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message


class NotFound(ApiError):
    """404."""


class AlreadyExists(ApiError):
    """409 on create."""


class Conflict(ApiError):
    """409 on update: the resourceVersion is out of date."""


class Refused(ApiError):
    """400, 403 or 422: validation, admission, quota or RBAC. The same call will be refused again until something
    else changes.
    """


class Unavailable(ApiError):
    """429, 5xx or no answer: the same call may be accepted later."""


def from_status(code: int, body: object) -> ApiError:
    """The error for a response with this HTTP status and `metav1.Status` body."""
    status = body if isinstance(body, dict) else {}
    reason = str(status.get("reason", ""))
    message = str(status.get("message", "") or body or "")[:1024]
    if code == 404:
        kind: type[ApiError] = NotFound
    elif code == 409:
        kind = AlreadyExists if reason == "AlreadyExists" else Conflict
    elif code == 429 or code >= 500:
        kind = Unavailable
    else:
        kind = Refused
    return kind(code, reason, message)
