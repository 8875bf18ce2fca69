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
    """The result that explains most, of what was posted and what stands in termination messages (the operator may
    have been
    away when it was posted): a complete one, else a failure, else an interruption.
    """
    told = [seen.result] if seen.result else []
    told += [result for pod in seen.pods if (result := _from_termination_message(pod))]
    ours = [result for result in told if seen.run_id in ("", result.run_id)]
    return min(ours, key=_rank, default=None)


def _rank(result: StageResult) -> int:
    return 0 if result.complete else {"Succeeded": 1, "Failed": 1, "Interrupted": 2}[result.outcome]


def _from_termination_message(pod: PodView) -> StageResult | None:
    try:
        result = StageResult.model_validate_json(pod.termination_message)
    except ValueError:  # the runtime falls back to the log's tail, which is no result
        return None
    return result if result.attempt == pod.attempt else None


def failure(seen: Observation) -> Verdict:
    """Why a finished attempt without a complete result failed: what the trainer said itself, then what the kubelet
    saw, then
    Trainer. An interruption explains least: whoever was only told to stop says so, while another was the cause.
    """
    result = known_result(seen)
    if result and result.outcome != "Interrupted":
        return _from_result(result)
    return (
        _out_of_memory(seen.pods)
        or _failed_by_itself(seen.pods)
        or _evicted(seen.pods)
        or _deadline(seen)
        or (result and _from_result(result))
        or _killed(seen.pods)
        or _from_train_job(seen)
    )


def _from_result(result: StageResult) -> Verdict:
    if result.outcome == "Succeeded":
        return Verdict(
            "ResultIncomplete",
            f"The trainer reported success, but {result.steps_done} of {result.steps_planned} steps were done"
            + ("" if result.model else " and no model was proven to load"),
            result.exit_code,
        )
    return Verdict(str(result.reason), result.message, result.exit_code)


def _out_of_memory(pods: tuple[PodView, ...]) -> Verdict | None:
    pod = next((pod for pod in pods if pod.terminated_reason == "OOMKilled"), None)
    if pod is None:
        return None
    text = f"Pod {pod.name} was killed for exceeding its memory limit"
    advice = "Raise `spec.resources.memory`, or lower `spec.training.maxTokensPerGPU`"
    return Verdict("OutOfMemory", f"{text}. {advice}", pod.exit_code)


def _failed_by_itself(pods: tuple[PodView, ...]) -> Verdict | None:
    told_to_stop = (None, 0, KILLED, TERMINATED, ExitCode.INTERRUPTED)
    pod = next((pod for pod in pods if pod.exit_code not in told_to_stop), None)
    return _from_exit_code(pod) if pod else None


def _evicted(pods: tuple[PodView, ...]) -> Verdict | None:
    pod = next((pod for pod in pods if pod.reason in ("Evicted", "Preempting", "NodeLost")), None)
    return Verdict(pod.reason, f"Pod {pod.name}: {pod.message}", pod.exit_code) if pod else None


def _deadline(seen: Observation) -> Verdict | None:
    job = seen.train_job
    if job is None or job.failed_reason != "DeadlineExceeded":
        return None
    return Verdict("DeadlineExceeded", job.failed_message)


def _killed(pods: tuple[PodView, ...]) -> Verdict | None:
    pod = next((pod for pod in pods if pod.exit_code not in (None, 0)), None)
    return _from_exit_code(pod) if pod else None


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
    if job.failed_reason:
        return Verdict(
            "PodsLost",
            f"TrainJob {job.name} failed ({job.failed_reason}: {job.failed_message}) and its pods are gone without a "
            "result",
        )
    return Verdict(
        "ResultMissing",
        f"TrainJob {job.name} is complete, but no result was posted and none stands in a termination message: this is "
        "not taken for success",
    )
