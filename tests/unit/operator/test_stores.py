"""The operator's own stores."""

from typing import Any

from finetune_operator.observe.stores import Key, Stores
from finetune_operator.observe.views import pod_view, train_job_view
from support.made import UID, made_failure, made_pod, made_progress, made_result

KEY = Key("team", "j")


def body(version: int, uid: str = UID, **more: Any) -> dict[str, Any]:
    meta = {"namespace": "team", "name": "j", "uid": uid, "resourceVersion": str(version), "generation": 1}
    return {"metadata": meta, "spec": {}, **more}


def test_older_state_from_a_watch_does_not_undo_our_own_write() -> None:
    stores = Stores()
    stores.put_job(body(11, status={"stage": "Train"}))
    stores.put_job(body(10))
    assert stores.jobs[KEY]["status"] == {"stage": "Train"}


def test_recreated_job_starts_without_the_old_one_s_posts() -> None:
    stores = Stores()
    stores.put_job(body(11))
    stores.put_progress(UID, made_progress())
    stores.put_job(body(5, uid="new"))
    assert stores.jobs[KEY]["metadata"]["uid"] == "new"
    assert not stores.progress


def test_late_deletion_does_not_drop_the_new_job() -> None:
    stores = Stores()
    stores.put_job(body(5, uid="new"))
    stores.drop_job(KEY, UID)
    assert KEY in stores.jobs


def test_progress_does_not_go_back() -> None:
    stores = Stores()
    assert stores.put_progress(UID, made_progress(6))
    assert not stores.put_progress(UID, made_progress(5, age=10))
    assert stores.progress[UID].step == 6


def test_result_that_explains_most_is_kept() -> None:
    stores = Stores()
    stores.put_result(UID, made_failure(outcome="Interrupted", reason="Interrupted", exit_code=23))
    stores.put_result(UID, made_failure())
    assert stores.results[UID].reason == "DataInvalid"
    stores.put_result(UID, made_failure(reason="EngineFailed", exit_code=10))
    assert stores.results[UID].reason == "DataInvalid", "the first failure is the cause, later ones follow from it"
    stores.put_result(UID, made_result())
    stores.put_result(UID, made_failure())
    assert stores.results[UID].complete


def test_a_pod_s_end_is_kept_after_the_pod() -> None:
    stores = Stores()
    stores.put_pod(made_pod(exit_code=137, terminated_reason="OOMKilled"))
    stores.put_pod(made_pod())
    stores.drop_pod(made_pod(exit_code=137, terminated_reason="OOMKilled"))
    assert stores.pods[UID]["p"].terminated_reason == "OOMKilled"


def test_views_ignore_what_is_not_ours() -> None:
    assert pod_view({"metadata": {"name": "x", "uid": "u", "namespace": "n"}}) is None
    labels = {"finetune.dev/job-uid": UID, "finetune.dev/attempt": "first"}
    assert train_job_view({"metadata": {"name": "x", "uid": "u", "namespace": "n", "labels": labels}}) is None


def test_pod_view_reads_the_node_container_only() -> None:
    labels = {"finetune.dev/job-uid": UID, "finetune.dev/attempt": "1"}
    statuses = [
        {"name": "sidecar", "state": {"terminated": {"exitCode": 3}}},
        {"name": "node", "image": "i", "state": {"waiting": {"reason": "ErrImagePull", "message": "m"}}},
    ]
    view = pod_view(
        {
            "metadata": {"name": "x", "uid": "u", "namespace": "n", "labels": labels},
            "status": {"phase": "Pending", "containerStatuses": statuses},
        }
    )
    assert view
    assert (view.waiting_reason, view.exit_code) == ("ErrImagePull", None)
