"""From a bearer token to its sender: a pod that belongs to the one FineTuneJob the token is for.

Nothing the sender says is believed. The API server vouches for the token, its audience (this job) and the pod it is
bound to; then the chain of controllers is walked up, pod, Job, JobSet, TrainJob, FineTuneJob, each compared by uid.
Labels prove nothing: anybody who can make a pod can set them.
"""

import asyncio
import hashlib
import logging
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from finetune_operator.api.audience import audience
from finetune_operator.api.v1alpha1 import GROUP, KIND
from finetune_operator.cluster import routes
from finetune_operator.cluster.errors import ApiError, NotFound, Unavailable
from finetune_operator.endpoint.limits import TimedCache
from finetune_operator.endpoint.printable import printable
from finetune_operator.endpoint.refusal import FORBIDDEN, UNAUTHORIZED, UNAVAILABLE, Refusal
from finetune_operator.endpoint.sink import Sender

logger = logging.getLogger(__name__)

KNOWN_FOR_SECONDS = 60.0
"""Longest time a token is believed without asking again."""
REFUSED_FOR_SECONDS = 2.0
"""Longest time a token is refused without asking again: short, as a pod may post before its chain is there to see."""
CACHE_SIZE = 10_000
CONCURRENT_REVIEWS = 16
"""Reviews asked of the API server at a time; the others wait."""
REVIEW_TIMEOUT_SECONDS = 10.0

POD_NAME = "authentication.kubernetes.io/pod-name"
POD_UID = "authentication.kubernetes.io/pod-uid"

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class ReviewApi(Protocol):
    """What is asked of the API server."""

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """One object."""

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Make one object."""


@dataclass(frozen=True)
class Target:
    """The FineTuneJob a post is for, as its address says. Proven by nobody yet."""

    namespace: str
    name: str
    uid: str


class Authenticator:
    """Finds out who posts."""

    def __init__(self, api: ReviewApi, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._clock = clock
        self._known: TimedCache[Sender] = TimedCache(KNOWN_FOR_SECONDS, CACHE_SIZE)
        self._refused: TimedCache[Refusal] = TimedCache(REFUSED_FOR_SECONDS, CACHE_SIZE)
        # Whose a pod is does not change in its life, and outlives its owners: of a suspended job, the TrainJob goes
        # first, and its pods post their results after that. So this is kept until the pod goes; the token is reviewed
        # every minute all the same.
        self._pods: TimedCache[Sender] = TimedCache(math.inf, CACHE_SIZE)
        self._reviews = asyncio.Semaphore(CONCURRENT_REVIEWS)
        self._forgotten = 0

    def cached(self, token: str, target: Target) -> Sender | None:
        """The sender, if the answer is known without asking the API server.

        Raises:
            Refusal: it is known to be refused.
        """
        key, now = _key(token, target), self._clock()
        if refusal := self._refused.get(key, now):
            raise Refusal(refusal.code, refusal.message)
        return self._known.get(key, now)

    async def sender(self, token: str, target: Target) -> Sender:
        """Who holds this token, proven to be a pod of the target.

        Raises:
            Refusal: 401 no valid token, 403 authentic, but no pod of this job, 503 can't be found out now.
        """
        if known := self.cached(token, target):
            return known
        key, forgotten = _key(token, target), self._forgotten
        try:
            async with asyncio.timeout(REVIEW_TIMEOUT_SECONDS), self._reviews:
                sender = await self._review(token, target)
        except Refusal as refusal:
            logger.warning("refused a post for %s: %s", target, printable(refusal.message))
            self._refused.put(key, refusal, self._clock())
            raise
        except (ApiError, TimeoutError) as error:
            level = logging.WARNING if isinstance(error, Unavailable | TimeoutError) else logging.ERROR
            logger.log(level, "the API server can't say who posts: %s", printable(repr(error)))
            raise Refusal(
                UNAVAILABLE, "the API server can't be asked who you are: post again", retry_after=1
            ) from error
        if forgotten == self._forgotten:  # else its pod may have gone while we were asking
            self._known.put(key, sender, self._clock())
            self._pods.put((sender.pod_uid, target), sender, self._clock())
        return sender

    def forget(self, pod_uid: str) -> None:
        """A pod is gone: its token is worth nothing from now on."""
        self._forgotten += 1
        for cache in (self._known, self._pods):
            cache.drop(lambda sender: sender.pod_uid == pod_uid)

    async def _review(self, token: str, target: Target) -> Sender:
        wanted = audience(target.namespace, target.name, target.uid)
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [wanted]},
        }
        review = await self._api.create(routes.TOKEN_REVIEWS, body)
        pod_name, pod_uid = _bound_pod(review.get("status") or {}, wanted, target.namespace)
        return self._pods.get((pod_uid, target), self._clock()) or await self._walk(target, pod_name, pod_uid)

    async def _walk(self, target: Target, pod_name: str, pod_uid: str) -> Sender:
        here = target.namespace
        pod = await self._object(routes.core(here, "pods", pod_name), here, "Pod", pod_name, pod_uid)
        job_name, job_uid = _controller(pod, "batch", "Job")
        job = await self._object(routes.jobs(here, job_name), here, "Job", job_name, job_uid)
        set_name, set_uid = _controller(job, "jobset.x-k8s.io", "JobSet")
        jobset = await self._object(routes.jobsets(here, set_name), here, "JobSet", set_name, set_uid)
        name, uid = _controller(jobset, "trainer.kubeflow.org", "TrainJob")
        trainjob = await self._object(routes.trainjobs(here, name), here, "TrainJob", name, uid)
        if _controller(trainjob, GROUP, KIND) != (target.name, target.uid):
            raise Refusal(FORBIDDEN, f"TrainJob {name} belongs to another FineTuneJob than {target.name}")
        return Sender(here, target.name, target.uid, name, uid, pod_name, pod_uid)

    async def _object(self, path: str, namespace: str, kind: str, name: str, uid: str) -> dict[str, Any]:
        try:
            found = await self._api.get(path)
        except NotFound as error:
            raise Refusal(FORBIDDEN, f"{kind} {name} does not exist") from error
        metadata = found.get("metadata") or {}
        if (metadata.get("namespace"), metadata.get("name"), metadata.get("uid")) != (namespace, name, uid):
            raise Refusal(FORBIDDEN, f"{kind} {name} is another one than uid {uid}")
        return found


def _bound_pod(status: dict[str, Any], wanted: str, namespace: str) -> tuple[str, str]:
    """Name and uid of the pod an accepted token is bound to."""
    if not status.get("authenticated"):
        raise Refusal(
            UNAUTHORIZED, "the token is not valid for this job: it must be a projected one with the job's audience"
        )
    if wanted not in (status.get("audiences") or ()):  # an authenticator that knows no audiences must not pass for one
        raise Refusal(UNAUTHORIZED, "the token's audience is not this job")
    user = status.get("user") or {}
    if not str(user.get("username", "")).startswith(f"system:serviceaccount:{namespace}:"):
        raise Refusal(FORBIDDEN, "the token is not of a service account in the job's namespace")
    extra = user.get("extra") or {}
    match extra.get(POD_NAME), extra.get(POD_UID):
        case [str(name)], [str(uid)] if name and uid:
            return name, uid
    raise Refusal(FORBIDDEN, "the token is not bound to a pod")


def _controller(owned: dict[str, Any], group: str, kind: str) -> tuple[str, str]:
    """Name and uid of the controller, which has to be of this kind.

    The API server takes any text for an owner's name, and here it goes into a path: `../` must not lead elsewhere.
    """
    metadata = owned.get("metadata") or {}
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller") is True:
            name, uid = owner.get("name"), owner.get("uid")
            right = owner.get("kind") == kind and str(owner.get("apiVersion")).partition("/")[0] == group
            if right and isinstance(name, str) and _SUBDOMAIN.fullmatch(name) and isinstance(uid, str) and uid:
                return name, uid
    raise Refusal(FORBIDDEN, f"{owned.get('kind') or 'object'} {metadata.get('name')} is not controlled by a {kind}")


def _key(token: str, target: Target) -> bytes:
    wanted = audience(target.namespace, target.name, target.uid)
    return hashlib.sha256(f"{wanted}\0{token}".encode()).digest()
