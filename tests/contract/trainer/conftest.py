"""Real engines on a CPU with a tiny model made here.

Needs the trainer image's packages (trainer-image/requirements.lock); elsewhere these tests are not collected.
"""

import importlib.util
import json
import os
import random
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from finetune_contract.progress import ProgressReport
from finetune_contract.result import StageResult

ROOT = Path(__file__).resolve().parents[3]
if importlib.util.find_spec("training_hub") is None:
    collect_ignore_glob = ["test_*.py"]

WORDS = ["red", "green", "blue", "one", "two", "three", "cat", "dog", "bird", "sky", "sea", "tree", "what", "france"]
RANDOM = random.Random(0)  # noqa: S311  # data, not keys
TOKEN = "not-a-secret"
WARMUP = 6
"""Steps in which the learning rate does not depend on how long the run is."""


@dataclass
class Base:
    """The tiny model and its data."""

    directory: Path
    model: Path
    data: Path
    rows: int = 40


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """A random Qwen2 of 140,000 parameters, a byte-level tokenizer with a chat template, 40 short chats."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    # a path with "opt" in it: mini-trainer would take OPT's matrix names from it
    directory = tmp_path_factory.mktemp("opt-base")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([sentence(30) for _ in range(100)], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=["<|im_start|>"],
    )
    fast.chat_template = (
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    config = Qwen2Config(
        vocab_size=512,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
        bos_token_id=None,
    )
    made = Base(directory, directory / "model", directory / "train.jsonl")
    Qwen2ForCausalLM(config).save_pretrained(made.model)
    fast.save_pretrained(made.model)
    with made.data.open("w") as file:
        for index in range(made.rows):
            answer = (
                "yes" if index == 0 else sentence(RANDOM.randint(3, 9))
            )  # the first is under the engines' 20 tokens
            file.write(json.dumps(chat("a" if index == 0 else sentence(5), answer)) + "\n")
    return made


def sentence(words: int) -> str:
    return " ".join(RANDOM.choice(WORDS) for _ in range(words))


def chat(question: str, answer: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


@dataclass
class Run:
    """One start of the stage, as the kubelet would make it."""

    process: subprocess.Popen[str]
    directory: Path
    termination_log: Path
    config: dict[str, Any]
    output: str = ""

    def wait(self, seconds: float = 280) -> int:
        try:
            self.output, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode

    @property
    def result(self) -> StageResult:
        return StageResult.model_validate_json((self.directory / "result.json").read_text())

    @property
    def steps(self) -> list[dict[str, Any]]:
        file = self.directory / "metrics.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def wait_for_step(self, step: int, seconds: float = 240) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if len(self.steps) >= step:
                return
            assert self.process.poll() is None, self.wait()
            time.sleep(0.1)
        raise AssertionError(f"no step {step} after {seconds} s")


class Starter:
    """Starts stages in a workspace of their own."""

    def __init__(self, base: Base, workspace: Path, arguments: list[str], report: dict[str, Any] | None) -> None:
        self.base, self.workspace, self.arguments, self.report = base, workspace, arguments, report

    def __call__(
        self, algorithm: str = "SFT", run_id: str = "run", training: dict[str, Any] | None = None, **changes: Any
    ) -> Run:
        config: dict[str, Any] = {
            "schemaVersion": 1,
            "job": {"namespace": "team", "name": "tiny", "uid": f"uid-{run_id}", "attempt": 1},
            "runId": run_id,
            "runDir": str(self.workspace / "runs" / run_id),
            "algorithm": algorithm,
            "backend": {"SFT": "InstructLabTraining", "OSFT": "MiniTrainer"}[algorithm],
            "model": {"uri": "file://base", "path": str(self.base.model)},
            "dataset": {"uri": "file://train.jsonl", "path": str(self.base.data)},
            "training": {
                "effectiveBatchSize": 8,
                "maxTokensPerGpu": 2048,
                "maxSeqLen": 128,
                "numEpochs": 3,
                "learningRate": 2e-3,
                "warmupSteps": WARMUP,
                "seed": 7,
                **(training or {}),
            },
            "distribution": {"numNodes": 1, "numProcPerNode": 1, "accelerator": "CPU"},
            **({"osft": {"unfreezeRankRatio": 0.5}} if algorithm == "OSFT" else {}),
            **({"report": self.report} if self.report else {}),
            **changes,
        }
        self.workspace.mkdir(parents=True, exist_ok=True)
        file, log = self.workspace / f"{run_id}.json", self.workspace / f"{run_id}.termination"
        file.write_text(json.dumps(config))
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": f"{ROOT / 'operator'}{os.pathsep}{ROOT / 'trainer-image'}",
        }
        command = [
            sys.executable,
            "-m",
            "finetune_trainer",
            "train",
            "--config",
            str(file),
            "--termination-log",
            str(log),
        ]
        process = subprocess.Popen(
            [*command, *self.arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return Run(process, Path(config["runDir"]), log, config)


@dataclass
class FakeEndpoint:
    """The operator's endpoint: real TLS, remembers what is posted."""

    url: str
    arguments: list[str]
    progress: list[ProgressReport] = field(default_factory=list)
    results: list[StageResult] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    refusals: int = 0
    """Results to refuse with 503 first."""


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeEndpoint]:
    directory = tmp_path_factory.mktemp("tls")
    key, certificate, token = directory / "tls.key", directory / "tls.crt", directory / "token"
    token.write_text(TOKEN + "\n")
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=operator"
    subject = "subjectAltName=IP:127.0.0.1"
    subprocess.run(
        [*make.split(), "-addext", subject, "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            fake.tokens.add(self.headers["Authorization"])
            status = 200
            if self.path.endswith("/progress"):
                fake.progress.append(ProgressReport.model_validate_json(body))
            elif fake.refusals:
                fake.refusals, status = fake.refusals - 1, 503
            else:
                fake.results.append(StageResult.model_validate_json(body))
            self.send_response(status)
            if status == 503:
                self.send_header("Retry-After", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    fake = FakeEndpoint(
        f"https://127.0.0.1:{server.server_port}/v1/jobs/team/tiny",
        ["--token-file", str(token), "--ca-file", str(certificate)],
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield fake
    server.shutdown()


@pytest.fixture(scope="session")
def start(base: Base, endpoint: FakeEndpoint, tmp_path_factory: pytest.TempPathFactory) -> Starter:
    return Starter(
        base, tmp_path_factory.mktemp("workspace"), endpoint.arguments, {"url": endpoint.url, "intervalSeconds": 0.2}
    )


@pytest.fixture(scope="session")
def sft(start: Starter, endpoint: FakeEndpoint) -> Run:
    """A finished SFT run; the operator answers its result with 503 first."""
    endpoint.refusals = 1
    run = start("SFT", "sft")
    assert run.wait() == 0, run.output[-4000:]
    return run


@pytest.fixture(scope="session")
def osft(start: Starter) -> Run:
    """A finished OSFT run."""
    run = start("OSFT", "osft")
    assert run.wait() == 0, run.output[-4000:]
    return run
