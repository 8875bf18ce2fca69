"""Children are created, never applied: their names are deterministic, so a second creation meets the first.

Server-side apply would merge our owner reference into an object that belongs to somebody else.
"""

from typing import Any

from finetune_operator.cluster.client import Api
from finetune_operator.cluster.errors import AlreadyExists
from finetune_operator.plan.names import JOB_LABEL

Json = dict[str, Any]


class NameTaken(Exception):
    """An object of the child's name exists and is not ours; the text says which, and whose it is."""


async def create(api: Api, collection: str, manifest: Json) -> tuple[Json, bool]:
    """POST a child. Returns the object as stored, and whether this call made it.

    Raises:
        NameTaken: the name belongs to an object with another controller.
        ApiError: any other refusal.
    """
    try:
        return await api.create(collection, manifest), True
    except AlreadyExists:
        found = await api.get(f"{collection}/{manifest['metadata']['name']}")
    if not _is_ours(manifest, found):
        raise NameTaken(f"{manifest['kind']} {manifest['metadata']['name']} is taken: {_owner(found)}")
    return found, False


def _is_ours(wanted: Json, found: Json) -> bool:
    ours = _controller(wanted)
    if ours is None:  # kept beyond its job (a retained workspace): known by the job's name, and nobody controls it
        labels, theirs = (o["metadata"].get("labels") or {} for o in (wanted, found))
        return _controller(found) is None and labels.get(JOB_LABEL) == theirs.get(JOB_LABEL)
    controller = _controller(found)
    return controller is not None and controller["uid"] == ours["uid"]


def _controller(body: Json) -> Json | None:
    references: list[Json] = body["metadata"].get("ownerReferences") or []
    return next((reference for reference in references if reference.get("controller")), None)


def _owner(found: Json) -> str:
    controller = _controller(found)
    if controller is None:
        return "nobody controls it"
    gone = " and is being deleted" if found["metadata"].get("deletionTimestamp") else ""
    return f"it belongs to {controller['kind']} {controller['name']} (uid {controller['uid']}){gone}"
