"""Raw calls on one shared asynchronous session.

The client library does configuration, TLS and token rotation; bodies stay plain dictionaries, because its typed
models cost three times the CPU per call.
"""

import json
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client, config

from finetune_operator.cluster.errors import Unavailable, from_status

Json = dict[str, Any]

TIMEOUT_SECONDS = 30.0

MERGE_PATCH = "application/merge-patch+json"


class Api:
    """The Kubernetes API. Every method raises a subclass of `ApiError`."""

    def __init__(self, api_client: client.ApiClient) -> None:
        self._client = api_client

    @classmethod
    async def connect(cls) -> Self:
        """From the pod's service account, or from KUBECONFIG outside a cluster."""
        try:
            config.load_incluster_config()
        except config.ConfigException:
            await config.load_kube_config()
        return cls(client.ApiClient())

    async def close(self) -> None:
        """Close the session."""
        await self._client.close()

    async def get(self, path: str, **query: str) -> Json:
        """One object, or one list."""
        return await self._call("GET", path, query=query)

    async def create(self, path: str, body: Json) -> Json:
        """POST one object to its collection.

        Raises:
            AlreadyExists: an object of that name is there.
        """
        return await self._call("POST", path, body=body)

    async def replace(self, path: str, body: Json) -> Json:
        """PUT one object; with `metadata.resourceVersion` set, only over that version.

        Raises:
            Conflict: the object has changed meanwhile.
        """
        return await self._call("PUT", path, body=body)

    async def merge_patch(self, path: str, body: Json) -> Json:
        """JSON merge patch; with `metadata.resourceVersion` set, only over that version.

        Raises:
            Conflict: the object has changed meanwhile.
        """
        return await self._call("PATCH", path, body=body, content_type=MERGE_PATCH)

    async def delete(self, path: str, uid: str) -> None:
        """Delete in the background, and only the object with this uid."""
        body = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid},
        }
        await self._call("DELETE", path, body=body)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        url = path + ("?" + urlencode(query) if query else "")
        try:
            request = await self._client.param_serialize(
                method,
                url,
                header_params={"Accept": "application/json", "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
            response = await self._client.call_api(*request, _request_timeout=TIMEOUT_SECONDS)
            data = await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Unavailable(0, "Unreachable", f"{method} {path}: {error!r}") from error
        try:
            parsed: Any = json.loads(data)
        except ValueError:
            parsed = data.decode(errors="replace")
        if response.status >= 400:
            raise from_status(response.status, parsed)
        return parsed if isinstance(parsed, dict) else {}
