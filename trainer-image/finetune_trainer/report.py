"""Posts to the operator and to Kubeflow Trainer. Never raises for a lost post: training goes on, whoever listens."""

import json
import logging
import math
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from finetune_contract import paths
from finetune_contract.progress import ProgressReport, TrainerStatus
from finetune_contract.result import StageResult
from finetune_trainer.log import fields

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 5.0
POST_SECONDS = 2 * TIMEOUT_SECONDS
"""What a post may take: the connection and the answer each have a timeout."""
RESULT_SECONDS = 60.0
"""How long a result is offered: a deposed operator needs seconds until its successor listens."""
KUBEFLOW_INTERVAL_SECONDS = 5.0
"""Trainer's status server has 5 requests per second for all jobs of a cluster."""


@dataclass(frozen=True)
class Credentials:
    """Files re-read on every post: token and authority both rotate."""

    token: Path = Path(paths.TOKEN_FILE)
    ca: Path = Path(paths.CA_FILE)


@dataclass(frozen=True)
class Answer:
    """Outcome of one post."""

    status: int | None
    """None: no answer at all."""
    retry_after: float | None = None
    error: str = ""

    @property
    def ok(self) -> bool:
        """Accepted."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def worth_retrying(self) -> bool:
        """Nobody answered, or whoever did can't now."""
        return self.status is None or self.status == 429 or self.status >= 500


def post(url: str, body: str, credentials: Credentials, timeout: float = TIMEOUT_SECONDS) -> Answer:
    """One POST of JSON over TLS, verified against the given authority alone, past any proxy."""
    try:
        context = ssl.create_default_context(cafile=str(credentials.ca))
        request = urllib.request.Request(  # noqa: S310  # https only: checked in config.py
            url,
            data=body.encode(),
            headers={
                "Content-Type": "application/json",
                "Authorization": f"Bearer {credentials.token.read_text().strip()}",
            },
        )
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(request, timeout=timeout) as response:
            return Answer(response.status)
    except urllib.error.HTTPError as error:
        retry = error.headers.get("Retry-After", "")
        return Answer(error.code, float(retry) if retry.isdigit() else None, error.reason)
    except (OSError, HTTPException, ValueError) as error:  # URLError and ssl.SSLError are OSErrors
        return Answer(None, error=str(error))


class Operator:
    """The operator's endpoint of one job."""

    def __init__(self, url: str, credentials: Credentials) -> None:
        self.url, self.credentials = url.rstrip("/"), credentials
        self._said = ""

    def progress(self, report: ProgressReport) -> bool:
        """Post once; the next report tells the whole picture again."""
        answer = post(f"{self.url}/progress", report.to_json(), self.credentials)
        said = "" if answer.ok else f"{answer.status or ''} {answer.error}".strip()
        if said != self._said:  # once per change, not once per post
            self._said = said
            logger.warning("progress is not accepted", extra=fields(error=said)) if said else logger.info(
                "progress is accepted"
            )
        return answer.ok

    def result(
        self,
        result: StageResult,
        seconds: float = RESULT_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        left: Callable[[], float] = lambda: math.inf,
    ) -> bool:
        """Offer the result until it is accepted, refused for good, or `seconds` are over. `left` is asked before every
        repetition for the seconds that remain at most: a signal may shorten them at any moment.
        """
        end, delay, body = clock() + seconds, 0.5, result.to_json()
        while True:
            answer = post(f"{self.url}/result", body, self.credentials)
            if answer.ok:
                logger.info("result is accepted", extra=fields(outcome=result.outcome))
                return True
            wait = answer.retry_after if answer.retry_after is not None else delay
            if not answer.worth_retrying or clock() + wait > end or wait + POST_SECONDS > left():
                logger.error("result is not accepted", extra=fields(status=answer.status, error=answer.error))
                return False
            logger.info(
                "result will be offered again", extra=fields(status=answer.status, error=answer.error, seconds=wait)
            )
            sleep(wait)
            delay = min(delay * 2, 8.0)


class KubeflowTrainer:
    """Trainer's own status server (alpha gate TrainJobStatus, KEP-2779); all about it is in the environment."""

    def __init__(self, url: str, credentials: Credentials) -> None:
        self.url, self.credentials, self._next = url, credentials, 0.0

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "KubeflowTrainer | None":
        """None when the gate is off."""
        url, token, ca = (environ.get(f"KUBEFLOW_TRAINER_SERVER_{name}") for name in ("URL", "TOKEN", "CA_CERT"))
        if not (url and token and ca and url.startswith("https://")):
            return None
        return cls(url, Credentials(Path(token), Path(ca)))

    def progress(self, status: TrainerStatus, *, now: float, force: bool = False) -> None:
        """Best effort, at most every KUBEFLOW_INTERVAL_SECONDS unless it is the last one."""
        if now < self._next and not force:
            return
        self._next = now + KUBEFLOW_INTERVAL_SECONDS
        body = json.dumps({"trainerStatus": json.loads(status.to_json())})
        answer = post(self.url, body, self.credentials)
        if not answer.ok:
            logger.debug("Trainer's status server: %s %s", answer.status, answer.error)
