"""Writes `metrics.jsonl` from inside the engine's worker.

training-hub carries a callback into torchrun's workers as the source text of its class (adapters/serialize.py): so the
class stands at module level, imports inside its methods, keeps no state from the launcher and reads the path from the
environment.
"""

from training_hub import TrainingHubCallback, TrainingHubContext


class StepMetrics(TrainingHubCallback):  # type: ignore[misc]  # untyped engine
    """One JSON object per optimizer step, on global rank 0 only. A crash can cost at most the line being written."""

    def on_train_begin(self, context: TrainingHubContext) -> None:
        """Start the clock of the first step."""
        import time

        self._stepped = time.monotonic()

    def on_log(self, context: TrainingHubContext) -> None:
        """Append the step that the engine has just logged."""
        import json
        import math
        import os
        import time

        def number(value: float | None) -> float | str | None:
            # strict JSON knows no NaN: written as text, and float() reads both
            if value is None:
                return None
            value = float(value)
            return value if math.isfinite(value) else {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]

        now, metrics = time.monotonic(), context.metrics
        tokens = metrics.get("num_total_tokens", metrics.get("total_length"))
        elapsed = now - getattr(self, "_stepped", now)
        self._stepped = now
        line = json.dumps(
            {
                "step": context.step,
                "epoch": context.epoch,
                "loss": number(context.loss),
                "learning_rate": number(context.learning_rate),
                "grad_norm": number(metrics.get("grad_norm")),
                "tokens_per_second": number(tokens / elapsed) if tokens and elapsed > 0 else None,
                "time": time.time(),
            }
        )
        with open(os.environ["FINETUNE_METRICS_FILE"], "a") as file:
            file.write(line + "\n")
