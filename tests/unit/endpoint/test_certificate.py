"""The Secret: races, renewal without restart, and what is said when it is missing."""

import asyncio
import base64
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from finetune_operator.cluster import routes
from finetune_operator.cluster.errors import Conflict, Unavailable
from finetune_operator.endpoint import certificate as module
from finetune_operator.endpoint.certificate import Certificate, SecretMissing
from finetune_operator.endpoint.tls import AUTHORITY_LIFETIME, SERVING_LIFETIME, service_names

from .conftest import FakeApi, Json, until

NAMES = service_names("progress", "system")
SECRET = routes.core("system", "secrets", "tls")
START = datetime.now(UTC)


class Now:
    """Time of day that passes only when told to."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def api() -> FakeApi:
    api = FakeApi()
    api.add(SECRET, {"kind": "Secret", "type": "Opaque", "metadata": {"namespace": "system", "name": "tls"}})
    return api


@pytest.fixture
def now() -> Now:
    return Now()


def replica(api: FakeApi, now: Now) -> Certificate:
    return Certificate(api, "system", "tls", NAMES, now)


async def test_the_first_start_fills_the_empty_secret_and_the_next_one_takes_it(api: FakeApi, now: Now) -> None:
    first, second = replica(api, now), replica(api, now)
    assert await first.refresh()
    assert set(api.objects[SECRET]["data"]) == {"ca.key", "ca.crt", "tls.key", "tls.crt"}
    assert await second.refresh()
    assert second.ca_pem == first.ca_pem
    assert not await second.refresh()
    assert [call.split()[0] for call in api.calls] == ["GET", "PATCH", "GET", "GET"]


async def test_replicas_that_start_at_once_serve_what_the_winner_wrote(api: FakeApi, now: Now) -> None:
    replicas = [replica(api, now) for _ in range(5)]
    await asyncio.gather(*(each.refresh() for each in replicas))
    stored = base64.b64decode(api.objects[SECRET]["data"]["ca.crt"]).decode()
    assert {each.ca_pem for each in replicas} == {stored}
    assert [call.split()[0] for call in api.calls].count("PATCH") == 5  # four lost
    assert api.objects[SECRET]["metadata"]["resourceVersion"] == "2"


async def test_a_race_that_is_lost_again_and_again_is_an_error(
    api: FakeApi, now: Now, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(path: str, body: Json) -> Json:
        raise Conflict(409, "Conflict", path)

    monkeypatch.setattr(api, "merge_patch", lose)
    with pytest.raises(Conflict):
        await replica(api, now).refresh()


@pytest.mark.parametrize("value", ["%", "aGVsbG8="], ids=["no base64", "no PEM"])
async def test_a_damaged_secret_is_made_anew(api: FakeApi, now: Now, value: str) -> None:
    api.objects[SECRET]["data"] = dict.fromkeys(("ca.key", "ca.crt", "tls.key", "tls.crt"), value)
    certificate = replica(api, now)
    await certificate.refresh()
    assert certificate.ca_pem.startswith("-----BEGIN CERTIFICATE-----")


async def test_a_missing_secret_is_named_with_the_remedy(now: Now) -> None:
    with pytest.raises(SecretMissing, match=r"Secret system/tls .* does not exist.*helm upgrade"):
        await replica(FakeApi(), now).refresh()


def test_there_is_no_authority_before_the_first_refresh(api: FakeApi, now: Now) -> None:
    with pytest.raises(RuntimeError):
        _ = replica(api, now).ca_pem


def test_old_versions_of_tls_are_refused(api: FakeApi, now: Now) -> None:
    assert replica(api, now).context.minimum_version is ssl.TLSVersion.TLSv1_2


async def test_without_memory_files_a_temporary_one_serves(
    api: FakeApi, now: Now, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(module.os, "memfd_create")
    assert await replica(api, now).refresh()


async def test_a_renewal_is_served_without_restart(api: FakeApi, now: Now) -> None:
    certificate = replica(api, now)
    await certificate.refresh()
    async with listening(certificate) as port:
        before = await serial(port, certificate.ca_pem)
        now.time += SERVING_LIFETIME * 2 / 3
        assert await certificate.refresh()
        # served to clients that trust the same authority (its start lies ahead of theirs by now: they look at no dates)
        assert await serial(port, certificate.ca_pem) != before


async def test_a_renewal_by_another_replica_is_served_too(api: FakeApi, now: Now) -> None:
    ours, theirs = replica(api, now), replica(api, now)
    await ours.refresh()
    await theirs.refresh()
    now.time += AUTHORITY_LIFETIME * 2 / 3
    await theirs.refresh()
    before = ours.ca_pem
    assert await ours.refresh()
    assert ours.ca_pem == theirs.ca_pem == ours.ca_pem.removesuffix(before) + before


@pytest.mark.parametrize(
    "failure",
    [Unavailable(0, "Unreachable", "connection refused"), SecretMissing("Secret gone"), ssl.SSLError("no such pair")],
    ids=["not reachable", "Secret deleted", "TLS error"],
)
async def test_the_loop_goes_on_after_a_failure(
    api: FakeApi, now: Now, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    certificate = replica(api, now)
    await certificate.refresh()
    before = api.objects[SECRET]["data"]["tls.crt"]
    now.time += SERVING_LIFETIME * 2 / 3
    monkeypatch.setattr(module, "CHECK_EVERY", timedelta(milliseconds=1))
    monkeypatch.setattr(module, "CHECK_AFTER_FAILURE", timedelta(milliseconds=1))
    api.failure = failure
    loop = asyncio.create_task(certificate.keep_fresh())
    await asyncio.sleep(0.05)
    assert api.objects[SECRET]["data"]["tls.crt"] == before
    api.failure = None
    await until(lambda: api.objects[SECRET]["data"]["tls.crt"] != before)
    loop.cancel()


class listening:  # noqa: N801
    """A bare TLS server with the certificate's context."""

    def __init__(self, certificate: Certificate) -> None:
        self._context = certificate.context

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", 0, ssl=self._context)
        return int(self._server.sockets[0].getsockname()[1])

    async def __aexit__(self, *_: object) -> None:
        self._server.close()


async def serial(port: int, ca_pem: str) -> int:
    """Serial number of the certificate that is served."""
    context = ssl.create_default_context(cadata=ca_pem)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(der).serial_number
