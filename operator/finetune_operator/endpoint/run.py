"""Puts the endpoint together and runs it in the caller's event loop."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from aiohttp import web

from finetune_operator.endpoint.authenticate import Authenticator, ReviewApi
from finetune_operator.endpoint.certificate import Certificate, SecretApi
from finetune_operator.endpoint.server import RESULT_TIMEOUT_SECONDS, Server
from finetune_operator.endpoint.sink import Sink
from finetune_operator.endpoint.tls import service_names


class EndpointApi(ReviewApi, SecretApi, Protocol):
    """What the endpoint asks of the API server; `cluster.client.Api` is one.

    Verbs: create tokenreviews; get pods, jobs, jobsets, trainjobs; get and patch the one Secret.
    """


@dataclass(frozen=True)
class Settings:
    """Where the endpoint listens, what it is called, and where its certificates are."""

    namespace: str
    """The operator's own: of its Service and its Secret."""
    service: str
    """Name of the Service in front of it."""
    secret: str
    """Name of the Secret with the certificates, shipped empty by the chart."""
    host: str | None = None
    """Address to listen on. None: all of them."""
    port: int = 8443
    """0: any free one."""
    result_timeout: float = RESULT_TIMEOUT_SECONDS
    """Seconds a result may wait for its place in the object's status."""
    stop_timeout: float = 5.0
    """Seconds that open posts have to finish when the endpoint stops."""


class Endpoint:
    """A running endpoint."""

    def __init__(
        self, certificate: Certificate, authenticator: Authenticator, runner: web.AppRunner, renewal: asyncio.Task[None]
    ) -> None:
        self._certificate = certificate
        self._authenticator = authenticator
        self._runner = runner
        self.renewal = renewal
        """Never ends by itself; done means that certificates are not renewed any more."""

    @property
    def ca_pem(self) -> str:
        """The authorities that pods have to trust, to be published to them. May change: ask at every reconcile."""
        return self._certificate.ca_pem

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._runner.addresses[0][1])

    def forget(self, pod_uid: str) -> None:
        """A pod is gone: its token is worth nothing from now on."""
        self._authenticator.forget(pod_uid)

    async def stop(self) -> None:
        """Take no more posts, let open ones finish, end the renewal."""
        self.renewal.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.renewal
        await self._runner.cleanup()


async def start(
    api: EndpointApi,
    sink: Sink,
    settings: Settings,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    clock: Callable[[], float] = time.monotonic,
) -> Endpoint:
    """Start listening. The endpoint answers when this returns.

    Raises:
        SecretMissing: the Secret for the certificates is not there.
        ApiError: it could not be read or written.
        OSError: the address is taken.
    """
    names = service_names(settings.service, settings.namespace)
    certificate = Certificate(api, settings.namespace, settings.secret, names, now)
    await certificate.refresh()
    authenticator = Authenticator(api, clock)
    app = Server(authenticator, sink, clock, settings.result_timeout).application()
    # No access log: it would be a line for each post of each pod. Bodies stay as sent: a compressed one is no JSON, and
    # no bomb either.
    runner = web.AppRunner(app, access_log=None, auto_decompress=False, shutdown_timeout=settings.stop_timeout)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port, ssl_context=certificate.context).start()
    except OSError:
        await runner.cleanup()
        raise
    return Endpoint(
        certificate, authenticator, runner, asyncio.create_task(certificate.keep_fresh(), name="endpoint-certificate")
    )
