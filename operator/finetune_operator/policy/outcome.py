"""How an attempt ended. Success is read from the result alone: an exit code of 0, or a TrainJob that is `Complete`,
proves
nothing (an engine exits 0 after SIGTERM, and rank 0's pod may be deleted before anybody reads it).
"""

from finetune_contract.reasons import REASON_OF_EXIT_CODE, ExitCode
from finetune_contract.result import StageResult
from finetune_operator.api.observation import Observation, PodView
from finetune_operator.policy.verdict import Verdict

KILLED = 137
TERMINATED = 143


def known_result(seen: Observation) -> StageResult | None:
    """The posted result; else one from a pod's termination message (the operator was away when it was posted)."""
    told = [seen.result] if seen.result else [r for pod in seen.pods if (r := _from_termination_message(pod))]
    read = [result for result in told if seen.run_id in ("", result.run_id)]
    complete = [result for result in read if result.complete]
    failed = [result for result in read if result.outcome == "Failed"]
    return next(iter(complete + failed + read), None)


def _from_termination_message(pod: PodView) -> StageResult | None:
    try:
        result = StageResult.model_validate_json(pod.termination_message)
    except ValueError:  # the runtime falls back to the log's tail, which is no result
        return None
    return result if result.attempt == pod.attempt else None


def failure(seen: Observation) -> Verdict:
    """Why a finished attempt without a complete result failed: what it said itself, then what the kubelet saw, then
    Trainer.
    """
    return _from_result(known_result(seen)) or _from_pods(seen.pods) or _from_train_job(seen)


def _from_result(result: StageResult | None) -> Verdict | None:
    if result is None:
        return None
    if result.outcome == "Succeeded":
        return Verdict(
            "ResultIncomplete",
            f"The trainer reported success, but {result.steps_done} of {result.steps_planned} steps were done"
            + ("" if result.model else " and no model was proven to load"),
            result.exit_code,
        )
    return Verdict(str(result.reason), result.message, result.exit_code)


def _from_pods(pods: tuple[PodView, ...]) -> Verdict | None:
    ended = [pod for pod in pods if pod.exit_code not in (None, 0)]
    out_of_memory = next((pod for pod in ended if pod.terminated_reason == "OOMKilled"), None)
    if out_of_memory:
        return Verdict(
            "OutOfMemory",
            f"Pod {out_of_memory.name} was killed for exceeding its memory limit. Raise `spec.resources.memory`, or "
            f"lower "
            "`spec.training.maxTokensPerGPU`",
            out_of_memory.exit_code,
        )
    evicted = next((pod for pod in pods if pod.reason in ("Evicted", "Preempting", "NodeLost")), None)
    if evicted:
        return Verdict(evicted.reason, f"Pod {evicted.name}: {evicted.message}", evicted.exit_code)
    # a sibling that was only told to stop explains nothing: look for the one that failed by itself
    own = sorted(ended, key=lambda pod: pod.exit_code in (KILLED, TERMINATED, ExitCode.INTERRUPTED))
    return _from_exit_code(own[0]) if own else None


def _from_exit_code(pod: PodView) -> Verdict:
    code = pod.exit_code or 0
    if code in (KILLED, TERMINATED):
        return Verdict("TrainerKilled", f"Pod {pod.name} was killed (exit code {code}) before it could report", code)
    known = {int(number): reason for number, reason in REASON_OF_EXIT_CODE.items()}
    tail = pod.termination_message.strip()[-512:]
    said = f": {tail}" if tail else ""
    return Verdict(str(known.get(code, "TrainerFailed")), f"Pod {pod.name} ended with exit code {code}{said}", code)


def _from_train_job(seen: Observation) -> Verdict:
    job = seen.train_job
    if job is None:
        return Verdict(
            "TrainJobDeleted", "The TrainJob was deleted while it was training; create the FineTuneJob again"
        )
    if job.failed_reason == "DeadlineExceeded":
        return Verdict("DeadlineExceeded", job.failed_message)
    if job.failed_reason:
        return Verdict(
            "PodsLost",
            f"TrainJob {job.name} failed ({job.failed_reason}: {job.failed_message}) and its pods are gone without "
            f"a result",
        )
    return Verdict(
        "ResultMissing",
        f"TrainJob {job.name} is complete, but no result was posted and none stands in a termination message: this "
        f"is not "
        "taken for success",
    )
