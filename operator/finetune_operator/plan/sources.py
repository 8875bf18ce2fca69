"""Source addresses: what they mean inside a pod."""

from dataclasses import dataclass

from finetune_contract import paths


@dataclass(frozen=True)
class Source:
    """A parsed source.

    Attributes:
        claim: claim to mount (`pvc://`), else None.
        path: path in the pod, or None where the trainer fetches it (`hf://`).
    """

    uri: str
    claim: str | None
    path: str | None


def parse(uri: str) -> Source:
    """`pvc://claim/path`, `file:///path` or `hf://owner/name`.

    Raises:
        ValueError: another scheme; the API server refuses those, so only an object from a newer definition gets here.
    """
    scheme, _, rest = uri.partition("://")
    if scheme == "pvc":
        claim, _, path = rest.partition("/")
        return Source(uri, claim, str(paths.SOURCES / claim / path.lstrip("/")))
    if scheme == "file":
        return Source(uri, None, rest)
    if scheme == "hf":
        return Source(uri, None, None)
    raise ValueError(f"unknown source {uri!r}: use hf://, pvc:// or file://")
