"""Keeps the endpoint's certificates in one named Secret, and the TLS context in step with it.

The chart ships the Secret empty, and the operator may get and patch that one name and nothing else. Replicas race for
it with its resourceVersion: who loses takes what the winner wrote.
"""

import asyncio
import base64
import binascii
import logging
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from finetune_operator.cluster import routes
from finetune_operator.cluster.errors import ApiError, Conflict, NotFound
from finetune_operator.endpoint.tls import Material, renew

logger = logging.getLogger(__name__)

CA_KEY, CA_CERTS, KEY, CERT = "ca.key", "ca.crt", "tls.key", "tls.crt"
"""Keys of the Secret."""

CHECK_EVERY = timedelta(hours=1)
CHECK_AFTER_FAILURE = timedelta(minutes=1)
ATTEMPTS = 5
"""Lost races before giving up: each one means that somebody else has written, so a second is already rare."""


class SecretApi(Protocol):
    """What is asked of the API server."""

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """One object."""

    async def merge_patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Change one object."""


class SecretMissing(Exception):
    """The Secret is not there, and the operator may not create it. The message names it and the remedy."""


class Certificate:
    """The serving certificate, for ever fresh: `context` stays the same object and serves what is newest."""

    def __init__(
        self,
        api: SecretApi,
        namespace: str,
        secret: str,
        names: tuple[str, ...],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._api = api
        self._namespace = namespace
        self._secret = secret
        self._names = names
        self._now = now
        self._material: Material | None = None

    @property
    def ca_pem(self) -> str:
        """The authorities that pods have to trust. Changes when the authority is renewed, years apart.

        Raises:
            RuntimeError: `refresh` has not succeeded yet.
        """
        if self._material is None:
            raise RuntimeError("the certificate has not been read yet")
        return self._material.ca_certs.decode()

    async def refresh(self) -> bool:
        """Read the Secret, renew what is due, and serve the result. True: something has changed.

        Raises:
            SecretMissing: there is no such Secret.
            ApiError: it could not be read or written.
        """
        material = await self._current()
        if material == self._material:
            return False
        with _file(material.key + material.cert) as path:
            self.context.load_cert_chain(path)  # new connections take it; open ones keep what they have
        self._material = material
        return True

    async def keep_fresh(self) -> None:
        """Refresh for ever, so that a renewal, our own or another replica's, is served without a restart."""
        wait = CHECK_EVERY
        while True:
            await asyncio.sleep(wait.total_seconds())
            try:
                if await self.refresh():
                    logger.info("serving a new certificate for the progress endpoint")
                wait = CHECK_EVERY
            except (ApiError, SecretMissing, OSError) as error:  # OSError: TLS errors, too
                logger.error("the progress endpoint's certificate can't be checked or renewed, trying again: %s", error)
                wait = CHECK_AFTER_FAILURE

    async def _current(self) -> Material:
        for _ in range(ATTEMPTS - 1):
            with suppress(Conflict):
                return await self._read_or_renew()
        return await self._read_or_renew()

    async def _read_or_renew(self) -> Material:
        path = routes.core(self._namespace, "secrets", self._secret)
        secret = await self._read(path)
        stored = _material(secret.get("data") or {})
        material = renew(stored, self._names, self._now())
        if material != stored:
            metadata = {"resourceVersion": secret["metadata"]["resourceVersion"]}
            await self._api.merge_patch(path, {"metadata": metadata, "data": _data(material)})
        return material

    async def _read(self, path: str) -> dict[str, Any]:
        try:
            return await self._api.get(path)
        except NotFound as error:
            raise SecretMissing(
                f"Secret {self._namespace}/{self._secret} for the progress endpoint's certificate does not exist, and "
                "the operator may not create Secrets: the Helm chart ships it empty, so run `helm upgrade` with the "
                "release's values, or create an empty one of that name"
            ) from error


def _material(data: dict[str, str]) -> Material | None:
    """What the Secret holds; None: nothing, or not all of it."""
    try:
        return Material(*(base64.b64decode(data[key], validate=True) for key in (CA_KEY, CA_CERTS, KEY, CERT)))
    except (KeyError, binascii.Error):
        return None


def _data(material: Material) -> dict[str, str]:
    pems = {CA_KEY: material.ca_key, CA_CERTS: material.ca_certs, KEY: material.key, CERT: material.cert}
    return {key: base64.b64encode(pem).decode() for key, pem in pems.items()}


@contextmanager
def _file(content: bytes) -> Iterator[str]:
    """A path to read this from. `ssl` takes files only; where the system can, the key never reaches a disk."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("certificate")
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as memory:
                memory.write(content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.NamedTemporaryFile() as disk:
            disk.write(content)
            disk.flush()
            yield disk.name
