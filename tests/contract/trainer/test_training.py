"""Real trainings: what is promised about a run holds with the real engines."""

import json
import re
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from contract.trainer.conftest import TOKEN, WARMUP, Base, FakeEndpoint, Run, Starter
from finetune_contract.reasons import ExitCode, Reason
from finetune_contract.result import TERMINATION_LIMIT, StageResult
from finetune_trainer import answers, model

STEPS = 15
"""40 rows in batches of 8, 3 epochs."""


def test_sft_completes(sft: Run) -> None:
    result = sft.result
    assert result.complete
    assert (result.steps_done, result.steps_planned, result.reason) == (STEPS, STEPS, Reason.COMPLETED)
    assert result.training is not None
    assert result.training.model_dump(by_alias=True) == sft.config["training"]


def test_osft_completes(osft: Run) -> None:
    result = osft.result
    assert result.complete
    assert (result.steps_done, result.steps_planned) == (STEPS, STEPS)
    assert result.training is not None
    assert result.training.model_dump(by_alias=True) == osft.config["training"]


@pytest.mark.parametrize("algorithm", ["sft", "osft"])
def test_the_loss_falls(algorithm: str, request: pytest.FixtureRequest) -> None:
    losses = [step["loss"] for step in request.getfixturevalue(algorithm).steps]
    assert len(losses) == STEPS
    assert losses[-1] < losses[0] - 0.2


@pytest.mark.parametrize(
    ("algorithm", "log", "key"),
    [("sft", "training_params_and_metrics_global0.jsonl", "avg_loss"), ("osft", "training_metrics_0.jsonl", "loss")],
)
def test_losses_are_the_engines_own(algorithm: str, log: str, key: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(algorithm)
    logged = [json.loads(line) for line in (run.directory / "engine" / log).read_text().splitlines()]
    want = [(record["step"], record[key]) for record in logged if key in record]
    assert [(step["step"], step["loss"]) for step in run.steps] == want
    assert [(p.step, p.loss) for p in run.result.loss_history] == [(step, repr(loss)) for step, loss in want]


@pytest.mark.parametrize("algorithm", ["sft", "osft"])
def test_warm_up_and_rate_are_those_asked_for(algorithm: str, request: pytest.FixtureRequest) -> None:
    rates = [step["learning_rate"] for step in request.getfixturevalue(algorithm).steps]
    # instructlab logs the rate of the next step, mini-trainer that of the step
    first = 1 if algorithm == "sft" else 0
    assert rates[:WARMUP] == pytest.approx([2e-3 * (step + first) / WARMUP for step in range(WARMUP)])
    assert max(rates) == pytest.approx(2e-3)


@pytest.mark.parametrize("algorithm", ["sft", "osft"])
def test_the_model_loads_everywhere(algorithm: str, base: Base, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(algorithm)
    directory, artifact = run.directory / "model", run.result.model
    assert artifact is not None
    assert (artifact.path, artifact.digest) == (f"runs/{algorithm}/model", model.digest(directory))
    _, info = AutoModelForCausalLM.from_pretrained(directory, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    with safe_open(directory / "model.safetensors", framework="pt") as file:
        assert file.metadata()["format"] == "pt"
        assert not [name for name in file.keys() if "inv_freq" in name or name.startswith("module.")]  # noqa: SIM118
    tuned, original = AutoTokenizer.from_pretrained(directory), AutoTokenizer.from_pretrained(base.model)
    assert tuned.chat_template == original.chat_template
    assert tuned.get_vocab() == original.get_vocab()
    assert not (run.directory / "engine" / "hf_format").exists()


def test_osft_decomposes_every_linear_layer(osft: Run, base: Base) -> None:
    assert "opt" in str(base.model)
    arguments = json.loads((osft.directory / "engine" / "training_params.json").read_text())
    linear = ["mlp.down_proj", "mlp.gate_proj", "mlp.up_proj"] + [f"self_attn.{n}_proj" for n in "koqv"]
    assert arguments["osft_target_patterns"] == [f"{name}.weight" for name in linear]


@pytest.mark.parametrize("algorithm", ["sft", "osft"])
def test_every_row_is_trained_on(algorithm: str, base: Base, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(algorithm)
    told = next(json.loads(line) for line in run.output.splitlines() if '"data is tokenized"' in line)
    assert told["samples"] == base.rows
    assert "longer than the max tokens" not in run.output  # what the collators print when they drop a sample


def test_progress_and_result_are_posted(sft: Run, endpoint: FakeEndpoint) -> None:
    assert endpoint.tokens == {f"Bearer {TOKEN}"}
    mine = [r for r in endpoint.results if r.run_id == "sft"]
    assert mine[0] == sft.result
    first, last = (
        endpoint.progress[0],
        next(p for p in endpoint.progress if p.trainer_status.progress_percentage == 100),
    )
    assert (first.step, first.total_steps) == (0, 0)
    assert (last.step, last.total_steps, last.loss_history[-1].step) == (STEPS, STEPS, STEPS)
    assert {m.name: m.value for m in last.trainer_status.metrics}["loss"] == repr(sft.steps[-1]["loss"])
    phases = [p.phase for p in endpoint.progress]
    assert {"loading model", "training", "verifying", "complete"} <= set(phases)


def test_the_termination_message_is_the_result(sft: Run) -> None:
    text = sft.termination_log.read_bytes()
    assert len(text) <= TERMINATION_LIMIT
    assert StageResult.model_validate_json(text).complete


def test_the_chart_is_there(sft: Run) -> None:
    assert "<svg" in (sft.directory / "loss.html").read_text()


def test_a_complete_run_is_told_again_and_not_trained(sft: Run, start: Starter, endpoint: FakeEndpoint) -> None:
    before = (sft.directory / "model" / "model.safetensors").stat().st_mtime_ns
    again = start("SFT", "sft", job={**sft.config["job"], "attempt": 2})
    assert again.wait(60) == 0
    assert endpoint.results[-1] == sft.result.model_copy(update={"attempt": 2})
    assert (sft.directory / "model" / "model.safetensors").stat().st_mtime_ns == before


def test_a_signal_interrupts_and_the_seed_gives_the_same_curve(
    sft: Run, start: Starter, endpoint: FakeEndpoint
) -> None:
    run = start("SFT", "interrupted", training={"numEpochs": 100})  # long enough not to end by itself first
    run.wait_for_step(WARMUP)
    run.process.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    assert run.wait(60) == ExitCode.INTERRUPTED
    assert time.monotonic() - begin < 30
    result = endpoint.results[-1]
    assert (result.run_id, result.outcome, result.reason) == ("interrupted", "Interrupted", Reason.INTERRUPTED)
    assert re.fullmatch(
        r"stopped by a signal at step \d+ of 500 before it was done; create the FineTuneJob again", result.message
    )
    assert not result.complete
    assert not (run.directory / "model").exists()
    assert not (run.directory / "engine" / "full_state").exists()  # a checkpoint would cost time and be of no use
    curves = [[step["loss"] for step in curve.steps[:WARMUP]] for curve in (run, sft)]
    assert curves[0] == curves[1]


def test_a_loss_that_is_not_finite_stops_the_run(start: Starter, endpoint: FakeEndpoint) -> None:
    run = start("OSFT", "nan", training={"learningRate": 1e30, "warmupSteps": 0, "numEpochs": 20})
    assert run.wait() == ExitCode.LOSS_NOT_FINITE, run.output[-3000:]
    result = run.result
    assert (result.outcome, result.reason) == ("Failed", Reason.LOSS_NOT_FINITE)
    assert result.loss_history[-1].loss in ("NaN", "Infinity")
    assert result.steps_done < 100
    assert endpoint.results[-1] == result


@pytest.mark.parametrize(
    ("rows", "code", "told"),
    [
        pytest.param(None, ExitCode.DATASET_NOT_FOUND, "absent.jsonl", id="no file"),
        pytest.param('{"messages": 1}', ExitCode.DATASET_INVALID, "row 2", id="a malformed row"),
    ],
)
def test_bad_data_is_refused_before_torch(
    rows: str | None, code: ExitCode, told: str, start: Starter, endpoint: FakeEndpoint, base: Base, tmp_path: Path
) -> None:
    path = tmp_path / "absent.jsonl"
    if rows is not None:
        path.write_text(base.data.read_text().splitlines()[0] + "\n" + rows + "\n")
    run = start("SFT", f"bad-{code.value}", dataset={"uri": "pvc://data/x", "path": str(path)})
    assert run.wait(60) == code
    assert told in endpoint.results[-1].message
    assert endpoint.results[-1].exit_code == code
    assert "torch" not in run.output


def test_too_long_a_sample_is_refused_with_its_row(start: Starter, endpoint: FakeEndpoint) -> None:
    run = start("SFT", "long", training={"maxSeqLen": 24})
    assert run.wait(120) == ExitCode.DATASET_INVALID
    assert "row 2: has " in endpoint.results[-1].message
    assert "`training.maxSeqLen` 24" in endpoint.results[-1].message


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, ExitCode.HUB_AUTH_FAILED), (403, ExitCode.HUB_AUTH_FAILED), (404, ExitCode.MODEL_NOT_FOUND)],
)
def test_a_refusal_of_the_hub_is_told(
    status: int, code: ExitCode, start: Starter, endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{hub.server_port}")
        monkeypatch.setenv("HF_TOKEN", "hf_not_a_secret")
        run = start("SFT", f"hub-{status}", model={"uri": "hf://team/private-model"})
        assert run.wait(60) == code, run.output
        hub.shutdown()
    assert endpoint.results[-1].exit_code == code
    assert "hf://team/private-model" in endpoint.results[-1].message
    assert "hf_not_a_secret" not in run.output


def test_answers_are_counted(sft: Run, base: Base) -> None:
    asked = answers.ask(sft.directory / "model", answers.read(base.data), limit=2, batch_size=64)
    assert asked["correct"] == round(asked["accuracy"] * base.rows)
    assert len(asked["answers"]) == 2
