"""Who posts: the chain that is accepted, every way to be refused, and what is remembered."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from finetune_operator.api.audience import audience, post_url
from finetune_operator.cluster import routes
from finetune_operator.cluster.errors import NotFound, Refused, Unavailable
from finetune_operator.endpoint.authenticate import POD_NAME, POD_UID, Authenticator, Target
from finetune_operator.endpoint.refusal import Refusal
from finetune_operator.endpoint.sink import Sender

from .conftest import JOB, JOBSET, POD, TARGET, TOKEN, TRAINJOB, Clock, FakeApi, owned, until

SENDER = Sender("team", "job", "f-uid", "job-a1", "t-uid", "pod", "p-uid")


@pytest.fixture
def authenticator(fake_api: FakeApi, clock: Clock) -> Authenticator:
    return Authenticator(fake_api, clock)


def test_audience_and_address_name_the_job_by_uid() -> None:
    assert audience("team", "job", "f-uid") == "finetune.dev/v1alpha1/namespaces/team/finetunejobs/job/f-uid"
    assert (
        post_url("https://svc:8443/", "team", "job", "f-uid")
        == f"https://svc:8443/apis/{audience('team', 'job', 'f-uid')}"
    )


async def test_a_pod_of_the_job_is_the_sender(authenticator: Authenticator, fake_api: FakeApi) -> None:
    assert await authenticator.sender(TOKEN, TARGET) == SENDER
    assert fake_api.calls == [
        f"POST {routes.TOKEN_REVIEWS}",
        f"GET {POD}",
        f"GET {JOB}",
        f"GET {JOBSET}",
        f"GET {TRAINJOB}",
    ]


def reference(path: str, **changes: Any) -> Callable[[FakeApi], None]:
    def change(api: FakeApi) -> None:
        api.objects[path]["metadata"]["ownerReferences"][0].update(changes)

    return change


def metadata(path: str, **changes: Any) -> Callable[[FakeApi], None]:
    return lambda api: api.objects[path]["metadata"].update(changes)


def status(**changes: Any) -> Callable[[FakeApi], None]:
    return lambda api: api.reviews[TOKEN].update(changes)


def user(**changes: Any) -> Callable[[FakeApi], None]:
    return lambda api: api.reviews[TOKEN]["user"].update(changes)


def extra(**changes: Any) -> Callable[[FakeApi], None]:
    names = {"pod": POD_NAME, "uid": POD_UID}
    return lambda api: api.reviews[TOKEN]["user"]["extra"].update({names[key]: value for key, value in changes.items()})


def gone(path: str) -> Callable[[FakeApi], None]:
    return lambda api: api.objects.__delitem__(path)


def elsewhere(api: FakeApi) -> None:
    """A pod whose owner reference leads by its name into another namespace, to a whole chain that is real there."""
    api.objects[POD]["metadata"]["ownerReferences"][0].update(name="../../other/jobs/x", uid="x-uid")
    path = routes.jobs("team", "../../other/jobs/x")
    api.add(path, owned("Job", "x", "x-uid", "jobset.x-k8s.io/v1alpha2", ("JobSet", "job-a1", "s-uid"), "other"))


REFUSED = [
    pytest.param(401, status(authenticated=False), id="not authenticated"),
    pytest.param(401, status(audiences=[audience("team", "job", "other-uid")]), id="for the same name's other uid"),
    pytest.param(401, status(audiences=["https://kubernetes.default.svc"]), id="for the API server"),
    pytest.param(401, status(audiences=[]), id="an authenticator that knows no audiences"),
    pytest.param(403, user(username="alice"), id="a user"),
    pytest.param(403, user(username="system:serviceaccount:other:default"), id="an account of another namespace"),
    pytest.param(403, user(username="system:serviceaccount:team2:default"), id="a namespace that begins alike"),
    pytest.param(403, user(extra=None), id="no extra"),
    pytest.param(403, user(extra={}), id="not bound to a pod"),
    pytest.param(403, extra(pod=[]), id="no pod name"),
    pytest.param(403, extra(uid=[]), id="no pod uid"),
    pytest.param(403, extra(uid=["p-uid", "q-uid"]), id="two pod uids"),
    pytest.param(403, extra(uid=["q-uid"]), id="pod re-created under the same name"),
    pytest.param(403, gone(POD), id="pod gone"),
    pytest.param(403, metadata(POD, ownerReferences=None), id="a pod that merely carries our labels"),
    pytest.param(403, reference(POD, controller=None), id="the Job does not control the pod"),
    pytest.param(403, reference(POD, kind="ReplicaSet", apiVersion="apps/v1"), id="pod of a Deployment"),
    pytest.param(403, reference(POD, kind="CronJob"), id="another kind of the same group"),
    pytest.param(403, reference(POD, apiVersion="batch.example.org/v1"), id="pod of somebody else's kind Job"),
    pytest.param(403, reference(POD, uid="old"), id="pod of a Job of the same name, deleted"),
    pytest.param(403, metadata(JOB, namespace="other"), id="Job in another namespace"),
    pytest.param(403, reference(POD, name=None), id="an owner without name"),
    pytest.param(403, gone(JOB), id="Job gone"),
    pytest.param(403, reference(JOB, uid="old"), id="another JobSet of the same name"),
    pytest.param(403, metadata(JOB, ownerReferences=[]), id="a Job of its own"),
    pytest.param(403, gone(JOBSET), id="JobSet gone"),
    pytest.param(403, reference(JOBSET, uid="old"), id="another TrainJob of the same name"),
    pytest.param(403, gone(TRAINJOB), id="TrainJob gone"),
    pytest.param(403, metadata(TRAINJOB, ownerReferences=[]), id="a TrainJob of its own"),
    pytest.param(403, reference(TRAINJOB, uid="g-uid"), id="TrainJob of another FineTuneJob's uid"),
    pytest.param(403, reference(TRAINJOB, name="other"), id="TrainJob of another FineTuneJob's name"),
    pytest.param(403, reference(TRAINJOB, apiVersion="example.org/v1"), id="somebody else's kind FineTuneJob"),
]


@pytest.mark.parametrize(("code", "change"), REFUSED)
async def test_refused(
    code: int, change: Callable[[FakeApi], None], authenticator: Authenticator, fake_api: FakeApi
) -> None:
    change(fake_api)
    with pytest.raises(Refusal) as refusal:
        await authenticator.sender(TOKEN, TARGET)
    assert refusal.value.code == code


async def test_an_owners_name_leads_nowhere_else(authenticator: Authenticator, fake_api: FakeApi) -> None:
    elsewhere(fake_api)
    with pytest.raises(Refusal) as refusal:
        await authenticator.sender(TOKEN, TARGET)
    assert refusal.value.code == 403
    assert not any(".." in call for call in fake_api.calls)


@pytest.mark.parametrize(
    "target",
    [replace(TARGET, namespace="other"), replace(TARGET, name="other"), replace(TARGET, uid="g-uid")],
    ids=["namespace", "name", "uid"],
)
async def test_a_token_for_one_job_is_no_token_for_another(target: Target, authenticator: Authenticator) -> None:
    await authenticator.sender(TOKEN, TARGET)  # remembered, and no help
    with pytest.raises(Refusal) as refusal:
        await authenticator.sender(TOKEN, target)
    assert refusal.value.code == 401


async def test_a_good_answer_holds_a_minute(authenticator: Authenticator, fake_api: FakeApi, clock: Clock) -> None:
    await authenticator.sender(TOKEN, TARGET)
    fake_api.calls.clear()
    clock.seconds += 59.9
    await authenticator.sender(TOKEN, TARGET)
    assert not fake_api.calls
    clock.seconds += 0.1
    await authenticator.sender(TOKEN, TARGET)
    assert fake_api.calls == [f"POST {routes.TOKEN_REVIEWS}"]  # whose the pod is, is known for the pod's life


async def test_a_revoked_token_is_refused_after_a_minute(
    authenticator: Authenticator, fake_api: FakeApi, clock: Clock
) -> None:
    await authenticator.sender(TOKEN, TARGET)
    fake_api.reviews.clear()
    clock.seconds += 60
    with pytest.raises(Refusal) as refusal:
        await authenticator.sender(TOKEN, TARGET)
    assert refusal.value.code == 401


async def test_a_refusal_holds_two_seconds(authenticator: Authenticator, fake_api: FakeApi, clock: Clock) -> None:
    good = fake_api.reviews.pop(TOKEN)
    for _ in range(3):
        with pytest.raises(Refusal):
            await authenticator.sender(TOKEN, TARGET)
    assert len(fake_api.calls) == 1
    fake_api.reviews[TOKEN] = good
    clock.seconds += 2
    assert await authenticator.sender(TOKEN, TARGET) == SENDER


async def test_a_pod_that_is_gone_is_forgotten_at_once(authenticator: Authenticator, fake_api: FakeApi) -> None:
    await authenticator.sender(TOKEN, TARGET)
    del fake_api.objects[POD]
    authenticator.forget("another")
    assert await authenticator.sender(TOKEN, TARGET) == SENDER
    authenticator.forget("p-uid")
    with pytest.raises(Refusal) as refusal:
        await authenticator.sender(TOKEN, TARGET)
    assert refusal.value.code == 403


async def test_a_pod_that_goes_while_we_ask_is_not_remembered(authenticator: Authenticator, fake_api: FakeApi) -> None:
    asking = asyncio.create_task(authenticator.sender(TOKEN, TARGET))
    await until(lambda: len(fake_api.calls) == 3)  # the pod itself has been read
    authenticator.forget("p-uid")
    await asking
    fake_api.calls.clear()
    await authenticator.sender(TOKEN, TARGET)
    assert len(fake_api.calls) == 5


async def test_a_pod_posts_on_when_its_trainjob_is_deleted(
    authenticator: Authenticator, fake_api: FakeApi, clock: Clock
) -> None:
    await authenticator.sender(TOKEN, TARGET)
    for path in (TRAINJOB, JOBSET, JOB):
        del fake_api.objects[path]
    clock.seconds += 60
    assert await authenticator.sender(TOKEN, TARGET) == SENDER


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(Unavailable(0, "Unreachable", "connection refused"), id="not reachable"),
        pytest.param(Unavailable(429, "TooManyRequests", "slow down"), id="overloaded"),
        pytest.param(Refused(403, "Forbidden", "the operator may not review tokens"), id="the operator's own rights"),
    ],
)
async def test_what_cannot_be_found_out_is_asked_again_and_not_remembered(
    failure: Exception, authenticator: Authenticator, fake_api: FakeApi
) -> None:
    fake_api.failure = failure
    with pytest.raises(Refusal) as refusal:
        await authenticator.sender(TOKEN, TARGET)
    assert (refusal.value.code, refusal.value.retry_after) == (503, 1)
    fake_api.failure = None
    assert await authenticator.sender(TOKEN, TARGET) == SENDER


async def test_an_api_server_that_hangs_is_not_waited_for(
    authenticator: Authenticator, fake_api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetune_operator.endpoint.authenticate.REVIEW_TIMEOUT_SECONDS", 0.01)
    monkeypatch.setattr(fake_api, "get", lambda _: asyncio.sleep(60))
    with pytest.raises(Refusal) as refusal:
        await authenticator.sender(TOKEN, TARGET)
    assert refusal.value.code == 503


async def test_no_token_and_no_forged_line_is_logged(
    authenticator: Authenticator, fake_api: FakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    fake_api.objects[POD]["metadata"]["ownerReferences"] = []
    fake_api.reviews[TOKEN]["user"]["extra"][POD_NAME] = ["pod\nERROR forged\x1b[31m\u202e"]
    with caplog.at_level(logging.DEBUG), pytest.raises(Refusal):
        await authenticator.sender(TOKEN, TARGET)
    assert "does not exist" in caplog.text
    assert TOKEN not in caplog.text
    (line,) = caplog.messages
    assert line.isprintable()


def test_errors_are_as_the_client_raises_them() -> None:
    assert not issubclass(NotFound, Unavailable | Refused)
