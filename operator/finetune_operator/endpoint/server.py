"""The HTTPS server: bodies in, sink calls and status codes out. Who posts is the authenticator's affair."""

import asyncio
import logging
import math
import re
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web
from pydantic import ValidationError

from finetune_contract.base import ContractModel
from finetune_contract.progress import ProgressReport
from finetune_contract.result import RESULT_LIMIT, StageResult
from finetune_operator.api.audience import audience
from finetune_operator.endpoint.authenticate import Authenticator, Target
from finetune_operator.endpoint.limits import RateLimit
from finetune_operator.endpoint.printable import printable
from finetune_operator.endpoint.refusal import INVALID, TIMEOUT, TOO_LARGE, TOO_MANY, UNAUTHORIZED, UNAVAILABLE, Refusal
from finetune_operator.endpoint.sink import Sender, Sink

logger = logging.getLogger(__name__)

Model = TypeVar("Model", bound=ContractModel)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PROGRESS_LIMIT = 64 * 1024
"""Most bytes of a progress report, as Trainer's own status server has it."""
BODY_TIMEOUT_SECONDS = 10.0
RESULT_TIMEOUT_SECONDS = 10.0
"""Longest a result waits for its place in the object's status before the sender is asked to post again."""
RETRY_AFTER_SECONDS = 1

POSTS_PER_SECOND, POSTS_BURST = 5.0, 10
"""Of one pod."""
UNKNOWN_PER_SECOND, UNKNOWN_BURST = 5.0, 50
"""Of one address with tokens that have to be reviewed: a pod's own is, once a minute; pods may share an address."""

_BEARER = re.compile(r"Bearer +([-A-Za-z0-9._~+/]+=*)", re.IGNORECASE)
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_TARGET = {"namespace": f"{{namespace:{_LABEL}}}", "name": f"{{name:{_LABEL}}}", "uid": "{uid:[-0-9a-zA-Z]+}"}
ROUTE = f"/apis/{audience(**_TARGET)}"


class Server:
    """Handlers of the endpoint, as an application."""

    def __init__(
        self,
        authenticator: Authenticator,
        sink: Sink,
        clock: Callable[[], float] = time.monotonic,
        result_timeout: float = RESULT_TIMEOUT_SECONDS,
    ) -> None:
        self._authenticator = authenticator
        self._sink = sink
        self._clock = clock
        self._result_timeout = result_timeout
        self._posts = RateLimit(POSTS_PER_SECOND, POSTS_BURST)
        self._unknown = RateLimit(UNKNOWN_PER_SECOND, UNKNOWN_BURST)

    def application(self) -> web.Application:
        """The application to serve."""
        app = web.Application(middlewares=[_answer_refusals])
        app.router.add_get("/healthz", _healthz)
        app.router.add_post(f"{ROUTE}/progress", self._progress)
        app.router.add_post(f"{ROUTE}/result", self._result)
        return app

    async def _progress(self, request: web.Request) -> web.Response:
        sender = await self._sender(request)
        self._sink.progress(sender, await _read(request, ProgressReport, PROGRESS_LIMIT, sender))
        return web.json_response({})

    async def _result(self, request: web.Request) -> web.Response:
        sender = await self._sender(request)
        result = await _read(request, StageResult, RESULT_LIMIT, sender)
        try:
            async with asyncio.timeout(self._result_timeout):
                noted = await self._sink.result(sender, result)
        except TimeoutError:
            noted = False
        if not noted:
            raise Refusal(
                UNAVAILABLE, "the result does not stand in the object's status yet: post it again", RETRY_AFTER_SECONDS
            )
        return web.json_response({})

    async def _sender(self, request: web.Request) -> Sender:
        target = Target(**request.match_info)
        bearer = _BEARER.fullmatch(request.headers.get("Authorization", ""))
        if bearer is None:
            raise Refusal(UNAUTHORIZED, "`Authorization` must be `Bearer` and the token projected for this job")
        token = bearer.group(1)
        if self._authenticator.cached(token, target) is None:
            self._limit(self._unknown, request.remote or "")
        sender = await self._authenticator.sender(token, target)
        self._limit(self._posts, sender.pod_uid)
        return sender

    def _limit(self, limit: RateLimit, key: str) -> None:
        if wait := limit.take(key, self._clock()):
            raise Refusal(TOO_MANY, "too many posts: send the newest state only, every other second", math.ceil(wait))


@web.middleware
async def _answer_refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refusal as refusal:
        return web.json_response(refusal.status(), status=refusal.code, headers=refusal.headers())


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _read(request: web.Request, model: type[Model], limit: int, sender: Sender) -> Model:
    body = await _body(request, limit)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        message = _complaint(error)
        logger.warning("pod %s/%s sent a malformed %s: %s", sender.namespace, sender.pod_name, model.__name__, message)
        raise Refusal(INVALID, message) from None


async def _body(request: web.Request, limit: int) -> bytes:
    """At most `limit` bytes; not one more is kept, whatever length was announced."""
    too_large = Refusal(TOO_LARGE, f"the body must be at most {limit} bytes")
    if (request.content_length or 0) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    raise too_large
    except TimeoutError:
        raise Refusal(TIMEOUT, f"the body must arrive within {BODY_TIMEOUT_SECONDS:g} s") from None
    return bytes(body)


def _complaint(error: ValidationError) -> str:
    """Every wrong field by name, without its value."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    fields = [f"`{'.'.join(str(part) for part in problem['loc']) or 'body'}`: {problem['msg']}" for problem in problems]
    return printable("; ".join(fields[:8]))
