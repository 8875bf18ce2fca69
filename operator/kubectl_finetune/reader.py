"""Reads one FineTuneJob and its events."""

import json
from typing import Any, Protocol

from kubectl_finetune.view import Json

GROUP, VERSION, PLURAL = "finetune.dev", "v1alpha1", "finetunejobs"
TIMEOUT_SECONDS = 10.0


class NotFound(Exception):
    """There is no such job, or no such kind."""


class Refused(Exception):
    """The API server said no, and asking again won't help."""


class Unreachable(Exception):
    """No usable answer; asking again may help."""


class Reader(Protocol):
    """Where views come from."""

    @property
    def namespace(self) -> str:
        """The namespace that is read."""

    def job(self, name: str) -> Json:
        """The job's JSON.

        Raises:
            NotFound, Refused, Unreachable
        """

    def events(self, uid: str) -> list[Json]:
        """Events about the object with this uid.

        Raises:
            Refused, Unreachable
        """


class ClusterReader:
    """Reads from the cluster of a kubeconfig."""

    def __init__(self, namespace: str | None, context: str | None, kubeconfig: str | None) -> None:
        """Raises:
        Refused: no usable kubeconfig.
        """
        from kubernetes import client, config  # takes over a second: `--help` should not wait for it

        try:
            self._client = config.new_client_from_config(config_file=kubeconfig, context=context)
            contexts, active = config.list_kube_config_contexts(config_file=kubeconfig)
        except (config.ConfigException, OSError) as error:
            raise Refused(f"no usable kubeconfig: {error}") from error
        self._client.configuration.retries = False
        chosen = next((c for c in contexts if c["name"] == context), active)
        self._namespace: str = namespace or chosen["context"].get("namespace") or "default"
        self._api_exception = client.ApiException

    @property
    def namespace(self) -> str:
        """The namespace that is read."""
        return self._namespace

    def job(self, name: str) -> Json:
        """See Reader."""
        return self._get(f"/apis/{GROUP}/{VERSION}/namespaces/{self._namespace}/{PLURAL}/{name}")

    def events(self, uid: str) -> list[Json]:
        """See Reader."""
        path = f"/api/v1/namespaces/{self._namespace}/events"
        items = self._get(path, [("fieldSelector", f"involvedObject.uid={uid}"), ("limit", "200")]).get("items")
        return items if isinstance(items, list) else []

    def _get(self, path: str, query: list[tuple[str, str]] | None = None) -> dict[str, Any]:
        """Raw JSON: the client's typed models cost more than the call."""
        try:
            request = self._client.param_serialize(
                "GET", path, query_params=query or [], header_params={"Accept": "application/json"},
                auth_settings=["BearerToken"],
            )  # fmt: skip
            response = self._client.call_api(*request, _request_timeout=TIMEOUT_SECONDS)
            status, data = response.status, response.read()
        except self._api_exception as error:
            status, data = error.status or 0, (error.body or "").encode()
        except Exception as error:  # urllib3, ssl and socket errors of every kind mean the same here
            raise Unreachable(f"the API server does not answer: {type(error).__name__}") from error
        return _parsed(path, status, data)


def _parsed(path: str, status: int, data: bytes) -> dict[str, Any]:
    """The body of a good answer."""
    try:
        body = json.loads(data)
    except ValueError:
        body = None
    if status == 200 and isinstance(body, dict):
        return body
    said = body.get("message") if isinstance(body, dict) else None
    if status == 404:
        raise NotFound(said or f"{path} not found")
    if status in (400, 401, 403):
        raise Refused(said or f"the API server answered {status}")
    raise Unreachable(said or f"the API server answered {status}")
