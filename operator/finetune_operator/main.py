"""Puts the operator together and runs it: `python -m finetune_operator`."""

import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import kopf

from finetune_operator import endpoint
from finetune_operator.cluster.client import Api
from finetune_operator.cluster.errors import ApiError
from finetune_operator.handlers import watches
from finetune_operator.handlers.inbox import Inbox
from finetune_operator.observe.resync import resync
from finetune_operator.observe.stores import Key, Stores
from finetune_operator.queue import KeyedQueue
from finetune_operator.reconcile import Reconciler
from finetune_operator.settings import Settings, SettingsError

logger = logging.getLogger("finetune_operator")


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        sys.exit(f"finetune-operator: {error}")
    log_format = kopf.LogFormat.JSON if settings.log_format == "json" else kopf.LogFormat.FULL
    kopf.configure(log_format=log_format)
    logging.getLogger().setLevel(settings.log_level)
    logging.getLogger("kopf").setLevel(logging.WARNING)
    asyncio.run(run(settings))


async def run(settings: Settings, stop: asyncio.Event | None = None) -> None:
    """Run the whole operator in this event loop.

    Args:
        settings: from the environment.
        stop: set it to end the operator; None: SIGTERM and SIGINT do.
    """
    stop = stop or _stop_on_signals()
    api = await Api.connect()
    stores, queue = Stores(), KeyedQueue[Key]()
    inbox = Inbox(stores, queue)
    service = endpoint.Settings(
        namespace=settings.namespace,
        service=settings.endpoint_names[0].split(".")[0] if settings.endpoint_names else "finetune-operator",
        secret=settings.endpoint_secret,
        port=settings.endpoint_port,
    )
    try:
        await resync(api, stores, settings.watch_namespaces)
        running = await endpoint.start(api, inbox, service)
    except (ApiError, endpoint.SecretMissing) as error:
        await api.close()
        sys.exit(f"finetune-operator: can't start: {error}")
    reconciler = Reconciler(api, stores, settings, _now, lambda: running.ca_pem, inbox.written)
    registry = kopf.OperatorRegistry()
    watches.register(registry, stores, queue, running.forget)

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.startup(registry=registry)
    def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        watches.configure(settings)

    for key in list(stores.jobs):
        queue.add(key)
    tasks = [asyncio.create_task(queue.work(reconciler.reconcile)) for _ in range(settings.workers)]
    tasks.append(asyncio.create_task(_resync_for_ever(api, stores, queue, settings)))
    logger.info("operator started: %d jobs, endpoint on port %d", len(stores.jobs), running.port)
    try:
        await kopf.operator(
            registry=registry,
            standalone=True,
            # else kopf asks for the user's name, which a numeric uid in a container has not got
            identity="finetune-operator",  # type: ignore[arg-type]  # the NewType is not public
            clusterwide=not settings.watch_namespaces,
            namespaces=settings.watch_namespaces,
            liveness_endpoint=f"http://0.0.0.0:{settings.health_port}/healthz",
            stop_flag=stop,
        )
    finally:
        await running.stop()  # first: open posts still need the workers to find their place in a status
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await api.close()


async def _resync_for_ever(api: Api, stores: Stores, queue: KeyedQueue[Key], settings: Settings) -> None:
    while True:
        await asyncio.sleep(settings.resync_seconds)
        with suppress(ApiError):  # the watches go on, and the next round comes
            await resync(api, stores, settings.watch_namespaces)
        for key in list(stores.jobs):
            queue.add(key)


def _stop_on_signals() -> asyncio.Event:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def _now() -> datetime:
    return datetime.now(UTC)
