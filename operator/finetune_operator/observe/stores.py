"""The operator's own stores, fed by watches, by lists and by the endpoint. Nothing in them is the only copy of
anything.

What comes late must not undo what is known: a watch may bring an older state than the answer to our own write, and a
list may
have been taken before an event. Resource versions of one resource are comparable as numbers:
https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from finetune_contract.progress import ProgressReport
from finetune_contract.result import StageResult
from finetune_operator.api.observation import PodView, TrainJobView


class Key(NamedTuple):
    """A FineTuneJob, as queues and logs know it."""

    namespace: str
    name: str


class Stores:
    """FineTuneJobs by key; TrainJobs, Pods and posts by the FineTuneJob's uid."""

    def __init__(self) -> None:
        self.jobs: dict[Key, dict[str, Any]] = {}
        self.keys: dict[str, Key] = {}
        self.train_jobs: defaultdict[str, dict[str, TrainJobView]] = defaultdict(dict)
        self.pods: defaultdict[str, dict[str, PodView]] = defaultdict(dict)
        self.progress: dict[str, ProgressReport] = {}
        self.results: dict[str, StageResult] = {}

    def put_job(self, body: Mapping[str, Any]) -> Key:
        """Keep a FineTuneJob, unless what is kept is newer."""
        meta = body["metadata"]
        key = Key(meta["namespace"], meta["name"])
        known = self.jobs.get(key)
        if known is None or version(body) >= version(known):
            if known and known["metadata"]["uid"] != meta["uid"]:
                self.forget(known["metadata"]["uid"])
            trimmed = {name: meta[name] for name in _KEPT_METADATA if name in meta}
            self.jobs[key] = {"metadata": trimmed, "spec": body.get("spec"), "status": body.get("status")}
            self.keys[meta["uid"]] = key
        return key

    def update_job(self, body: Mapping[str, Any]) -> None:
        """Keep the answer to a write or read of our own, unless the job has been deleted meanwhile."""
        if body["metadata"]["uid"] in self.keys:
            self.put_job(body)

    def drop_job(self, key: Key, uid: str) -> None:
        """A FineTuneJob is gone; a new one of the same name stays."""
        known = self.jobs.get(key)
        if known and known["metadata"]["uid"] == uid:
            del self.jobs[key]
            self.forget(uid)

    def put_train_job(self, view: TrainJobView) -> Key | None:
        """Keep a TrainJob; returns whom it concerns."""
        known = self.train_jobs[view.job_uid].get(view.uid)
        if known is None or view.version >= known.version:
            self.train_jobs[view.job_uid][view.uid] = view
        return self.keys.get(view.job_uid)

    def drop_train_job(self, view: TrainJobView) -> Key | None:
        """A TrainJob is gone."""
        self.train_jobs[view.job_uid].pop(view.uid, None)
        return self.keys.get(view.job_uid)

    def put_pod(self, view: PodView) -> Key | None:
        """Keep a Pod."""
        known = self.pods[view.job_uid].get(view.uid)
        if known is None or view.version >= known.version:
            self.pods[view.job_uid][view.uid] = view
        return self.keys.get(view.job_uid)

    def drop_pod(self, view: PodView) -> Key | None:
        """A Pod is gone. How it ended is kept: Trainer removes pods before anybody may have read them."""
        if view.exit_code is None:
            self.pods[view.job_uid].pop(view.uid, None)
        elif view.job_uid in self.keys:
            self.pods[view.job_uid][view.uid] = replace(view, deleting=True)
        return self.keys.get(view.job_uid)

    def put_progress(self, uid: str, report: ProgressReport) -> bool:
        """Keep a report of a known job unless a later one is known: posts may arrive twice or out of order. True:
        news.
        """
        known = self.progress.get(uid)
        if uid not in self.keys or (known and _when(known) >= _when(report)):
            return False
        self.progress[uid] = report
        return True

    def put_result(self, uid: str, result: StageResult) -> bool:
        """Keep the result of a known job that explains most: a complete one beats all, a failure beats an
        interruption, else
        first come. True: news.
        """
        known = self.results.get(uid)
        if uid not in self.keys or not (
            known is None or result.attempt > known.attempt or _explains_more(result, known)
        ):
            return False
        self.results[uid] = result
        return True

    def forget(self, uid: str) -> None:
        """The job is gone."""
        self.keys.pop(uid, None)
        self.train_jobs.pop(uid, None)
        self.forget_posts(uid)

    def forget_posts(self, uid: str) -> None:
        """The job is gone or has ended: what its pods said stands in its status."""
        self.pods.pop(uid, None)
        self.progress.pop(uid, None)
        self.results.pop(uid, None)


_KEPT_METADATA = ("namespace", "name", "uid", "generation", "resourceVersion", "creationTimestamp", "deletionTimestamp")


def version(body: Mapping[str, Any]) -> int:
    """ResourceVersion as a number."""
    return int(body["metadata"]["resourceVersion"])


def _when(report: ProgressReport) -> tuple[int, float]:
    return report.attempt, report.trainer_status.last_updated_time.timestamp()


def _explains_more(new: StageResult, known: StageResult) -> bool:
    if new.attempt < known.attempt or known.complete:
        return False
    return new.complete or (known.outcome == "Interrupted" and new.outcome == "Failed")
