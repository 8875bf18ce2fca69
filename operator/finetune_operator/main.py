"""Puts the operator together and runs it: `python -m finetune_operator`."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import kopf

from finetune_operator import endpoint
from finetune_operator.cluster.client import Api
from finetune_operator.cluster.errors import ApiError, Unavailable
from finetune_operator.cluster.launch import Launcher, trainer_is_served
from finetune_operator.handlers import watches
from finetune_operator.handlers.inbox import Inbox
from finetune_operator.observe.resync import resync
from finetune_operator.observe.stores import Key, Stores
from finetune_operator.queue import KeyedQueue
from finetune_operator.reconcile import Reconciler
from finetune_operator.settings import Settings, SettingsError

logger = logging.getLogger("finetune_operator")

START_RETRY_SECONDS = 3.0
WATCH_RETRY_SECONDS = 5.0
TRAINER_LOOK_SECONDS = 5.0


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        sys.exit(f"finetune-operator: {error}")
    kopf.configure(log_format=kopf.LogFormat.JSON if settings.log_format == "json" else kopf.LogFormat.FULL)
    logging.getLogger().setLevel(settings.log_level)
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        asyncio.run(run(settings))
    except (ApiError, endpoint.SecretMissing) as error:
        sys.exit(f"finetune-operator: {error}")


async def run(settings: Settings) -> None:
    """Run the whole operator in this event loop, until SIGTERM or SIGINT.

    Raises:
        ApiError: the API server refuses what the operator can't do without; the text says what.
        SecretMissing: the chart's Secret for the endpoint is not there.
    """
    stop = _stop_on_signals()
    api = await Api.connect()
    stores, queue = Stores(), KeyedQueue[Key]()
    inbox = Inbox(stores, queue, _now)
    watching = _Watching(api, stores, queue, settings)
    try:
        await _until_available(watching.resync, stop)
        service = endpoint.Settings(
            settings.namespace, settings.endpoint_service, settings.endpoint_secret, port=settings.endpoint_port
        )
        running = await endpoint.start(api, inbox, service)
        try:
            launcher = Launcher(
                api, settings.runtime, settings.allowed_runtimes, settings.endpoint_url, lambda: running.ca_pem
            )
            reconciler = Reconciler(api, stores, settings, launcher, _now, inbox.written)
            registry = _registry(stores, queue, watches.Gone(job=reconciler.forget, pod=running.forget))
            logger.info("operator started: %d jobs, endpoint on port %d", len(stores.jobs), running.port)
            works = [queue.work(reconciler.reconcile) for _ in range(settings.workers)]
            await _run_all(stop, running, [*works, watching.resync_for_ever(), watching.watch_until(stop, registry)])
        finally:
            await running.stop()
    finally:
        await api.close()


async def _run_all(stop: asyncio.Event, running: endpoint.Endpoint, works: list[Any]) -> None:
    """Until told to stop. None of these ends by itself: if one does, the process must, so that it is started anew."""
    tasks = [running.renewal, *map(asyncio.ensure_future, works)]
    stopped = asyncio.ensure_future(stop.wait())
    done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    await running.stop()  # before the workers: open posts still need them to find their place in a status
    for task in (*tasks, stopped):
        task.cancel()
    await asyncio.gather(*tasks, stopped, return_exceptions=True)
    for task in done - {stopped}:
        task.result()
        raise RuntimeError(f"{task.get_name()} has ended")


class _Watching:
    """Keeps the stores true: watches by kopf, and full lists."""

    def __init__(self, api: Api, stores: Stores, queue: KeyedQueue[Key], settings: Settings) -> None:
        self._api, self._stores, self._queue, self._settings = api, stores, queue, settings
        self._trainer_served = False

    async def resync(self) -> None:
        """List everything once, and reconcile everything."""
        self._trainer_served = await trainer_is_served(self._api)
        await resync(self._api, self._stores, self._settings.watch_namespaces, self._trainer_served)
        for key in list(self._stores.jobs):
            self._queue.add(key)

    async def resync_for_ever(self) -> None:
        """A round that fails is logged; the watches go on, and the next round comes."""
        while True:
            await asyncio.sleep(self._settings.resync_seconds)
            try:
                await self.resync()
            except Exception:
                logger.exception("full list failed; the next one comes in %d s", self._settings.resync_seconds)

    async def watch_until(self, stop: asyncio.Event, registry: kopf.OperatorRegistry) -> None:
        """Run kopf. It fails on some answers of the API server (an HTTP 410 on a watch request), and it never learns
        of a kind that was not served when it started: in both cases it is started again, and the stores survive. It
        returns on SIGTERM and SIGINT, whose handlers it takes over.
        """
        while True:
            again = asyncio.Event()
            look = None if self._trainer_served else asyncio.ensure_future(self._set_when_trainer_comes(again))
            try:
                await kopf.operator(
                    registry=registry,
                    standalone=True,
                    # else kopf asks for the user's name, which a numeric uid in a container has not got
                    identity="finetune-operator",  # type: ignore[arg-type]  # the NewType is not public
                    clusterwide=not self._settings.watch_namespaces,
                    namespaces=self._settings.watch_namespaces,
                    liveness_endpoint=f"http://0.0.0.0:{self._settings.health_port}/healthz",
                    stop_flag=again,
                )
                if not again.is_set():
                    stop.set()
                    await asyncio.Event().wait()  # until cancelled, like the others
            except Exception:
                logger.exception("the watches have ended; again in %d s", WATCH_RETRY_SECONDS)
                await asyncio.sleep(WATCH_RETRY_SECONDS)
            finally:
                if look:
                    look.cancel()
            try:
                await self.resync()  # what happened while nobody watched
            except ApiError as error:
                logger.warning("full list failed: %s", error)

    async def _set_when_trainer_comes(self, again: asyncio.Event) -> None:
        while not self._trainer_served:
            await asyncio.sleep(TRAINER_LOOK_SECONDS)
            try:
                self._trainer_served = await trainer_is_served(self._api)
            except ApiError:
                continue
        logger.info("Kubeflow Trainer has been installed: watching its TrainJobs")
        again.set()


def _registry(stores: Stores, queue: KeyedQueue[Key], gone: watches.Gone) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()
    watches.register(registry, stores, queue, gone)

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.startup(registry=registry)
    def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        watches.configure(settings)

    return registry


async def _until_available(call: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    """An API server that is away for a moment is waited for."""
    while not stop.is_set():
        try:
            return await call()
        except Unavailable as error:
            logger.warning("the API server does not answer (%s); again in %d s", error, START_RETRY_SECONDS)
            await asyncio.sleep(START_RETRY_SECONDS)


def _stop_on_signals() -> asyncio.Event:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def _now() -> datetime:
    return datetime.now(UTC)
