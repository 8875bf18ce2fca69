"""The operator's own stores."""

from typing import Any

from finetune_operator.observe.stores import Key, Stores
from finetune_operator.observe.views import pod_view, train_job_view
from support.made import UID, made_failure, made_pod, made_progress, made_result, made_train_job

KEY = Key("team", "j")


def body(version: int, uid: str = UID, **more: Any) -> dict[str, Any]:
    meta = {"namespace": "team", "name": "j", "uid": uid, "resourceVersion": str(version), "generation": 1}
    return {"metadata": meta, "spec": {}, **more}


def test_older_state_from_a_watch_does_not_undo_our_own_write() -> None:
    stores = Stores()
    stores.put_job(body(11, status={"stage": "Train"}))
    stores.put_job(body(10))
    assert stores.jobs[KEY]["status"] == {"stage": "Train"}


def known() -> Stores:
    stores = Stores()
    stores.put_job(body(11))
    return stores


def test_recreated_job_starts_without_the_old_one_s_posts() -> None:
    stores = known()
    stores.put_progress(UID, made_progress())
    stores.put_job(body(12, uid="new"))
    assert stores.jobs[KEY]["metadata"]["uid"] == "new"
    assert not stores.progress


def test_list_from_before_the_recreation_does_not_bring_the_old_job_back() -> None:
    stores = Stores()
    stores.put_job(body(12, uid="new"))
    stores.put_job(body(11))
    assert stores.jobs[KEY]["metadata"]["uid"] == "new"


def test_answer_to_our_own_write_does_not_revive_a_deleted_job() -> None:
    stores = known()
    stores.drop_job(KEY, UID)
    stores.update_job(body(12))
    assert KEY not in stores.jobs


def test_late_deletion_does_not_drop_the_new_job() -> None:
    stores = Stores()
    stores.put_job(body(12, uid="new"))
    stores.drop_job(KEY, UID)
    assert KEY in stores.jobs


def test_older_view_does_not_undo_a_newer_one() -> None:
    stores = known()
    stores.put_train_job(made_train_job(complete=True, version=9))
    stores.put_train_job(made_train_job(version=8))
    assert stores.train_jobs[UID]["t"].complete
    stores.put_pod(made_pod(exit_code=137, version=9))
    stores.put_pod(made_pod(version=8))
    assert stores.pods[UID]["p"].exit_code == 137


def test_progress_does_not_go_back() -> None:
    stores = known()
    assert stores.put_progress(UID, made_progress(6))
    assert not stores.put_progress(UID, made_progress(5, age=10))
    assert stores.progress[UID].step == 6


def test_posts_of_unknown_jobs_are_not_kept() -> None:
    stores = Stores()
    assert not stores.put_progress(UID, made_progress())
    assert not stores.put_result(UID, made_result())
    assert not stores.progress
    assert not stores.results


def test_result_that_explains_most_is_kept() -> None:
    stores = known()
    stores.put_result(UID, made_failure(outcome="Interrupted", reason="Interrupted", exit_code=23))
    stores.put_result(UID, made_failure())
    assert stores.results[UID].reason == "DataInvalid"
    stores.put_result(UID, made_failure(reason="EngineFailed", exit_code=10))
    assert stores.results[UID].reason == "DataInvalid", "the first failure is the cause, later ones follow from it"
    stores.put_result(UID, made_result())
    stores.put_result(UID, made_failure())
    assert stores.results[UID].complete


def test_a_pod_s_end_is_kept_after_the_pod() -> None:
    stores = known()
    ended = made_pod(exit_code=137, terminated_reason="OOMKilled")
    stores.put_pod(ended)
    stores.drop_pod(ended)
    assert stores.pods[UID]["p"].terminated_reason == "OOMKilled"
    stores.drop_job(KEY, UID)
    stores.drop_pod(ended)
    assert not stores.pods.get(UID), "but not after the job"


def test_views_ignore_what_is_not_ours() -> None:
    meta = {"name": "j-a1", "uid": "u", "namespace": "n", "resourceVersion": "1"}
    labels = {"finetune.dev/job-uid": UID, "finetune.dev/attempt": "1"}
    assert pod_view({"metadata": meta}) is None
    assert train_job_view({"metadata": meta | {"labels": labels}}) is None, "labels prove nothing"
    owner = {"apiVersion": "finetune.dev/v1alpha1", "kind": "FineTuneJob", "name": "j", "uid": UID, "controller": True}
    assert train_job_view({"metadata": meta | {"name": "copy-a1", "ownerReferences": [owner]}}) is None, "a copy"
    found = train_job_view({"metadata": meta | {"ownerReferences": [owner]}})
    assert found
    assert (found.job_uid, found.attempt) == (UID, 1)


def test_pod_view_reads_the_node_container_only() -> None:
    labels = {"finetune.dev/job-uid": UID, "finetune.dev/attempt": "1"}
    statuses = [
        {"name": "sidecar", "state": {"terminated": {"exitCode": 3}}},
        {"name": "node", "image": "i", "state": {"waiting": {"reason": "ErrImagePull", "message": "m"}}},
    ]
    meta = {"name": "x", "uid": "u", "namespace": "n", "labels": labels, "resourceVersion": "1"}
    view = pod_view({"metadata": meta, "status": {"phase": "Pending", "containerStatuses": statuses}})
    assert view
    assert (view.waiting_reason, view.exit_code) == ("ErrImagePull", None)
