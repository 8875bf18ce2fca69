"""The whole endpoint over real TLS, with a double of the API server behind it."""

import asyncio
import gzip
import json
import logging
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from finetune_contract.progress import ProgressReport
from finetune_contract.result import StageResult
from finetune_operator import endpoint
from finetune_operator.api.audience import post_url
from finetune_operator.cluster import routes
from finetune_operator.cluster.errors import Unavailable
from finetune_operator.endpoint import Endpoint, SecretMissing, Sender, Settings

from .conftest import TARGET, TOKEN, Clock, FakeApi, until

SETTINGS = Settings("system", "progress", "tls", host="127.0.0.1", port=0, result_timeout=0.2)
SENDER = Sender("team", "job", "f-uid", "job-a1", "t-uid", "pod", "p-uid")

PROGRESS: dict[str, Any] = {
    "attempt": 1,
    "step": 3,
    "totalSteps": 10,
    "phase": "training",
    "trainerStatus": {
        "progressPercentage": 30,
        "metrics": [{"name": "loss", "value": "NaN"}],
        "lastUpdatedTime": "2026-05-01T12:00:00Z",
    },
    "lossHistory": [{"step": 3, "loss": "0.0"}],
}
RESULT: dict[str, Any] = {
    "attempt": 1,
    "runId": "r1",
    "outcome": "Failed",
    "reason": "OutOfMemory",
    "exitCode": 16,
    "started": "2026-05-01T12:00:00Z",
    "finished": "2026-05-01T12:01:00Z",
}


@dataclass
class FakeSink:
    """Keeps what it gets; `noted` is what a result is answered with, once `written`."""

    noted: bool = True
    written: asyncio.Event = field(default_factory=asyncio.Event)
    reports: list[tuple[Sender, ProgressReport]] = field(default_factory=list)
    results: list[tuple[Sender, StageResult]] = field(default_factory=list)

    def progress(self, sender: Sender, report: ProgressReport) -> None:
        self.reports.append((sender, report))

    async def result(self, sender: Sender, result: StageResult) -> bool:
        self.results.append((sender, result))
        await self.written.wait()
        return self.noted


@dataclass
class Client:
    """A stage: trusts the endpoint's authority only, and posts with its token."""

    session: aiohttp.ClientSession
    base: str
    token: str | None = TOKEN

    async def post(self, what: str, body: Any, **headers: str) -> tuple[int, dict[str, Any], Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = f"{post_url(self.base, TARGET.namespace, TARGET.name, TARGET.uid)}/{what}"
        return await self.send(url, data, **headers)

    async def send(self, url: str, data: Any, **headers: str) -> tuple[int, dict[str, Any], Any]:
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        async with self.session.post(url, data=data, headers=headers) as response:
            answer = await response.read()
            return response.status, json.loads(answer) if answer[:1] == b"{" else {}, response.headers


@pytest.fixture
def sink() -> FakeSink:
    sink = FakeSink()
    sink.written.set()
    return sink


@pytest.fixture
async def running(fake_api: FakeApi, sink: FakeSink, clock: Clock) -> AsyncIterator[Endpoint]:
    metadata = {"namespace": "system", "name": "tls"}
    fake_api.add(routes.core("system", "secrets", "tls"), {"kind": "Secret", "metadata": metadata})
    handle = await endpoint.start(fake_api, sink, SETTINGS, clock=clock)
    yield handle
    await handle.stop()


@pytest.fixture
async def stage(running: Endpoint) -> AsyncIterator[Client]:
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=running.ca_pem))
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Client(session, f"https://localhost:{running.port}")


async def test_progress_reaches_the_sink_with_its_sender(stage: Client, sink: FakeSink) -> None:
    code, body, _ = await stage.post("progress", PROGRESS)
    assert (code, body) == (200, {})
    ((sender, report),) = sink.reports
    assert sender == SENDER
    assert json.loads(report.to_json()) == PROGRESS


async def test_a_result_is_accepted_when_the_sink_has_it_in_the_status(stage: Client, sink: FakeSink) -> None:
    sink.written.clear()
    posting = asyncio.create_task(stage.post("result", RESULT))
    await until(lambda: sink.results)
    assert not posting.done()
    sink.written.set()
    code, _, _ = await posting
    assert code == 200
    ((sender, result),) = sink.results
    assert sender == SENDER
    assert (result.outcome, result.reason) == ("Failed", "OutOfMemory")


async def test_a_result_that_is_not_in_the_status_is_to_be_posted_again(stage: Client, sink: FakeSink) -> None:
    sink.noted = False
    code, body, headers = await stage.post("result", RESULT)
    assert (code, headers["Retry-After"], body["reason"]) == (503, "1", "ServiceUnavailable")


async def test_a_result_that_waits_too_long_is_to_be_posted_again(stage: Client, sink: FakeSink) -> None:
    sink.written.clear()
    code, _, headers = await stage.post("result", RESULT)
    assert (code, headers["Retry-After"]) == (503, "1")
    sink.written.set()
    assert (await stage.post("result", RESULT))[0] == 200


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN} x", "Bearer a\u00e9", f"Bearer {'x' * 7000}"],
    ids=["none", "no token", "blank", "basic", "no scheme", "two words", "not ASCII", "unknown"],
)
async def test_without_a_valid_token_nobody_gets_in(stage: Client, sink: FakeSink, header: str) -> None:
    code, body, headers = await stage.post("progress", PROGRESS, Authorization=header)
    assert (code, body["reason"], body["code"]) == (401, "Unauthorized", 401)
    assert headers["WWW-Authenticate"] == "Bearer"
    assert not sink.reports


async def test_a_pod_of_another_job_is_forbidden(stage: Client, sink: FakeSink, fake_api: FakeApi) -> None:
    fake_api.objects[routes.trainjobs("team", "job-a1")]["metadata"]["ownerReferences"][0]["uid"] = "g-uid"
    for what, body in (("progress", PROGRESS), ("result", RESULT)):
        code, answer, _ = await stage.post(what, body)
        assert (code, answer["reason"]) == (403, "Forbidden")
    assert not sink.reports + sink.results


async def test_an_unreachable_api_server_means_post_again(stage: Client, fake_api: FakeApi) -> None:
    fake_api.failure = Unavailable(0, "Unreachable", "secret inner words")
    code, body, headers = await stage.post("progress", PROGRESS)
    assert (code, headers["Retry-After"]) == (503, "1")
    assert "secret" not in body["message"]
    fake_api.failure = None
    assert (await stage.post("progress", PROGRESS))[0] == 200


@pytest.mark.parametrize(("what", "limit", "body"), [("progress", 65536, PROGRESS), ("result", 32768, RESULT)])
async def test_size_limits(stage: Client, what: str, limit: int, body: dict[str, Any]) -> None:
    text = json.dumps(body).encode()
    assert (await stage.post(what, text.ljust(limit)))[0] == 200
    code, answer, _ = await stage.post(what, text.ljust(limit + 1))
    assert (code, answer["reason"]) == (413, "RequestEntityTooLarge")


async def test_a_body_of_unknown_length_is_limited_too(stage: Client, sink: FakeSink) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 4096

    url = f"{post_url(stage.base, TARGET.namespace, TARGET.name, TARGET.uid)}/progress"
    code, _, _ = await stage.send(url, endless())
    assert code == 413
    assert not sink.reports


async def test_a_body_that_never_ends_is_not_waited_for(stage: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune_operator.endpoint.server.BODY_TIMEOUT_SECONDS", 0.05)

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(1)

    url = f"{post_url(stage.base, TARGET.namespace, TARGET.name, TARGET.uid)}/progress"
    assert (await stage.send(url, slow()))[0] == 408


@pytest.mark.parametrize(
    ("body", "named"),
    [
        pytest.param({**PROGRESS, "step": -1}, "`step`", id="negative step"),
        pytest.param({**PROGRESS, "stepp": 1}, "`stepp`", id="unknown key"),
        pytest.param({k: v for k, v in PROGRESS.items() if k != "attempt"}, "`attempt`", id="missing key"),
        pytest.param(
            {**PROGRESS, "trainerStatus": {**PROGRESS["trainerStatus"], "progressPercentage": 101}},
            "`trainerStatus.progressPercentage`",
            id="nested",
        ),
        pytest.param({**PROGRESS, "lossHistory": [{"step": 1, "loss": "1"}] * 101}, "`lossHistory`", id="long history"),
        pytest.param([], "`body`", id="a list"),
        pytest.param(b"", "`body`", id="empty"),
        pytest.param(b"\xff\xfe", "`body`", id="no text"),
        pytest.param(b"[" * 60000, "`body`", id="deeply nested"),
        pytest.param(gzip.compress(json.dumps(PROGRESS).encode()), "`body`", id="compressed"),
    ],
)
async def test_a_malformed_report_names_the_field(stage: Client, sink: FakeSink, body: Any, named: str) -> None:
    code, answer, _ = await stage.post("progress", body)
    assert (code, answer["kind"], answer["reason"]) == (422, "Status", "Invalid")
    assert named in answer["message"]
    assert not sink.reports


async def test_a_compressed_body_is_not_unpacked(stage: Client) -> None:
    packed = gzip.compress(json.dumps(PROGRESS).encode())
    assert (await stage.post("progress", packed, **{"Content-Encoding": "gzip"}))[0] == 422


async def test_a_malformed_result_names_the_field(stage: Client, sink: FakeSink) -> None:
    code, answer, _ = await stage.post("result", {**RESULT, "outcome": "Great"})
    assert code == 422
    assert "`outcome`" in answer["message"]
    assert not sink.results


async def test_a_pod_that_posts_too_often_is_slowed_down(stage: Client, clock: Clock) -> None:
    codes = [(await stage.post("progress", PROGRESS))[0] for _ in range(10)]
    assert codes == [200] * 10
    code, body, headers = await stage.post("progress", PROGRESS)
    assert (code, headers["Retry-After"], body["reason"]) == (429, "1", "TooManyRequests")
    clock.seconds += 0.2
    assert (await stage.post("progress", PROGRESS))[0] == 200


async def test_tokens_cannot_be_guessed_at_the_api_servers_cost(stage: Client, fake_api: FakeApi) -> None:
    codes = [(await stage.post("progress", {}, Authorization=f"Bearer guess-{n}"))[0] for n in range(60)]
    assert codes == [401] * 50 + [429] * 10
    assert fake_api.calls.count(f"POST {routes.TOKEN_REVIEWS}") == 50


async def test_a_known_pod_is_served_while_others_guess_at_its_address(stage: Client) -> None:
    await stage.post("progress", PROGRESS)
    for n in range(60):
        await stage.post("progress", {}, Authorization=f"Bearer guess-{n}")
    assert (await stage.post("progress", PROGRESS))[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/apis/finetune.dev/v1alpha1/namespaces/team/finetunejobs/job/progress",
        "/apis/finetune.dev/v1alpha1/namespaces/..%2f..%2fx/finetunejobs/job/f-uid/progress",
        "/apis/finetune.dev/v1alpha1/namespaces/team/finetunejobs/Job/f-uid/progress",
        "/apis/finetune.dev/v1alpha1/namespaces/team/finetunejobs/job/f%00uid/progress",
        "/apis/finetune.dev/v1alpha1/namespaces/team/finetunejobs/job/f-uid/status",
        "/",
    ],
)
async def test_other_addresses_lead_nowhere(stage: Client, fake_api: FakeApi, path: str) -> None:
    fake_api.calls.clear()
    assert (await stage.send(f"{stage.base}{path}", b"{}"))[0] == 404
    assert not fake_api.calls


async def test_healthz(stage: Client) -> None:
    async with stage.session.get(f"{stage.base}/healthz") as response:
        assert (response.status, await response.text()) == (200, "ok\n")


async def test_forget_drops_the_pod(stage: Client, running: Endpoint, fake_api: FakeApi) -> None:
    assert (await stage.post("progress", PROGRESS))[0] == 200
    del fake_api.objects[routes.core("team", "pods", "pod")]
    assert (await stage.post("progress", PROGRESS))[0] == 200
    running.forget("p-uid")
    assert (await stage.post("progress", PROGRESS))[0] == 403


async def test_plain_http_is_not_answered(stage: Client) -> None:
    with pytest.raises(aiohttp.ClientError):
        await stage.send(stage.base.replace("https", "http"), b"")


async def test_no_token_and_no_forged_line_is_logged(stage: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await stage.post("progress", {**PROGRESS, "x\nERROR forged\x1b[31m": 1})
        await stage.post("progress", PROGRESS, Authorization="Bearer wrong")
    assert "malformed" in caplog.text
    assert TOKEN not in caplog.text
    assert "wrong" not in caplog.text
    assert all(line.isprintable() for line in caplog.messages)


async def test_stopping_lets_an_open_post_finish(fake_api: FakeApi, sink: FakeSink) -> None:
    fake_api.add(routes.core("system", "secrets", "tls"), {"metadata": {"namespace": "system", "name": "tls"}})
    handle = await endpoint.start(fake_api, sink, Settings("system", "progress", "tls", host="127.0.0.1", port=0))
    sink.written.clear()
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=handle.ca_pem))
    async with aiohttp.ClientSession(connector=connector) as session:
        stage = Client(session, f"https://localhost:{handle.port}")
        posting = asyncio.create_task(stage.post("result", RESULT))
        await until(lambda: sink.results)
        stopping = asyncio.create_task(handle.stop())
        await asyncio.sleep(0.05)
        sink.written.set()
        assert (await posting)[0] == 200
        await stopping
        with pytest.raises(aiohttp.ClientConnectionError):
            await stage.post("result", RESULT)
    assert handle.renewal.done()


async def test_a_missing_secret_stops_the_start(fake_api: FakeApi, sink: FakeSink) -> None:
    with pytest.raises(SecretMissing, match="system/tls"):
        await endpoint.start(fake_api, sink, SETTINGS)


async def test_a_taken_port_stops_the_start_and_leaves_nothing_running(
    fake_api: FakeApi, sink: FakeSink, running: Endpoint
) -> None:
    before = asyncio.all_tasks()
    taken = Settings("system", "progress", "tls", host="127.0.0.1", port=running.port)
    with pytest.raises(OSError, match="in use"):
        await endpoint.start(fake_api, sink, taken)
    assert asyncio.all_tasks() <= before
