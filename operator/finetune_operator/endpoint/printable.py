"""Text from outside, made fit for a log line. Pure."""


def printable(text: str, limit: int = 512) -> str:
    """No control, formatting or line-breaking characters (forged lines, terminal escapes), and no more than `limit`."""
    return "".join(char if char.isprintable() else "?" for char in text[:limit])
