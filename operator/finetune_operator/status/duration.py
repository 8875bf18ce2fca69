"""Times as people and the API write them."""

from datetime import UTC, datetime


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, whole seconds, as the API server writes them."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse(text: str) -> datetime:
    """The other way round."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def human(seconds: int) -> str:
    """As kubectl writes ages: two units at most, `1h5m`, `3m20s`, `45s`."""
    days, rest = divmod(max(seconds, 0), 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    units = [(days, "d"), (hours, "h"), (minutes, "m"), (left, "s")]
    first = next((i for i, (amount, _) in enumerate(units) if amount), len(units) - 1)
    return "".join(f"{amount}{unit}" for i, (amount, unit) in enumerate(units[first : first + 2]) if amount or i == 0)
