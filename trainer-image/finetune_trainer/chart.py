"""`loss.html`: the run on one page. Self-contained, drawn here as SVG: no script, no network, light and dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from finetune_contract.config import TrainConfig
from finetune_contract.result import StageResult
from finetune_trainer.metrics import History

POINTS = 1200
"""Most points drawn: more than a screen can show."""
SMOOTHING_FROM = 30
"""Steps from which a smoothed line helps."""
LARGEST, SMALLEST = 1e300, 1e-290
"""Beyond these the difference of two numbers, or a part of it, is no longer a number to divide by."""


@dataclass(frozen=True)
class Tick:
    """A grid line and its label."""

    position: float
    label: str


@dataclass(frozen=True)
class Plot:
    """One curve, in the coordinates of its SVG."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    line: str
    smooth: str
    end: tuple[float, float] | None
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def nice_ticks(low: float, high: float, wanted: int) -> list[float]:
    """About `wanted` round numbers that cover low to high, never all the same."""
    size = max(abs(low), abs(high))
    if high - low <= max(size * 1e-9, SMALLEST):  # a constant, or too close to one for numbers to tell apart
        high = low + (size if size > SMALLEST else 1.0)
    raw = (high - low) / max(1, wanted)
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= raw * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    digits = 2 - math.floor(math.log10(step))  # relative to the step: losses may be far below 1
    return [round(i * step, digits) for i in range(first, last + 1)]


def label(value: float) -> str:
    """A short number."""
    if value == 0:
        return "0"
    if abs(value) < 1e-3 or abs(value) >= 1e6:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.6g}"


def smoothed(values: Sequence[float], weight: float = 0.9) -> list[float]:
    """Moving average over both sides, so that it lies in the middle of a falling curve and not behind it."""

    def one_way(sequence: Sequence[float]) -> list[float]:
        result, average, scale = [], 0.0, 0.0
        for value in sequence:
            average, scale = average * weight + value * (1 - weight), scale * weight + (1 - weight)
            result.append(average / scale)
        return result

    return [(a + b) / 2 for a, b in zip(one_way(values), reversed(one_way(values[::-1])), strict=True)]


def plot(
    points: Sequence[tuple[int, float]], *, width: int, height: int, y_ticks: int, smooth: bool, x_labels: bool
) -> Plot:
    """The curve through the finite points, however small or far apart."""
    left, right, top, bottom = 56, width - 14, 12, height - (30 if x_labels else 12)
    drawn = [(x, y) for x, y in points if abs(y) < LARGEST]  # never true of NaN
    xs = [x for x, _ in points] or [0, 1]
    x_values = [v for v in nice_ticks(0, max(xs[-1], 1), 8) if v == int(v)]
    x_low, x_high = min(0, xs[0]), max(xs[-1], 1)
    ys = [y for _, y in drawn] or [0.0, 1.0]
    y_values = nice_ticks(min(ys), max(ys), y_ticks)
    y_low, y_high = y_values[0], y_values[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        across = left + (x - x_low) / (x_high - x_low) * (right - left)
        return round(across, 2), round(bottom - (y - y_low) / (y_high - y_low) * (bottom - top), 2)

    def path(values: Sequence[tuple[float, float]]) -> str:
        places = [place(x, y) for x, y in values]
        return "M" + " L".join(f"{x:g} {y:g}" for x, y in places) if len(places) > 1 else ""

    stride = max(1, math.ceil(len(drawn) / POINTS))
    thinned = [*drawn[:-1:stride], drawn[-1]] if drawn else []
    averages = (
        list(zip([x for x, _ in drawn], smoothed(ys), strict=False)) if smooth and len(drawn) >= SMOOTHING_FROM else []
    )
    return Plot(
        width=width,
        height=height,
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        line=path(thinned),
        smooth=path([*averages[:-1:stride], averages[-1]]) if averages else "",
        end=place(*drawn[-1]) if drawn else None,
        x_ticks=tuple(Tick(place(v, y_low)[0], label(v)) for v in x_values if v <= x_high) if x_labels else (),
        y_ticks=tuple(Tick(place(x_low, v)[1], label(v)) for v in y_values),
    )


def render(config: TrainConfig, result: StageResult, history: History) -> str:
    """The page as HTML."""
    losses = [(r.step, r.loss) for r in history.records]
    rates = [(r.step, r.learning_rate) for r in history.records if r.learning_rate is not None]
    finite = [(y, x) for x, y in losses if math.isfinite(y)]
    return _template().render(
        config=config,
        result=result,
        loss=plot(losses, width=860, height=330, y_ticks=7, smooth=True, x_labels=True),
        rate=plot(rates, width=860, height=110, y_ticks=2, smooth=False, x_labels=False) if rates else None,
        figures=_figures(result, losses, finite),
        parameters=_parameters(config),
    )


def _figures(
    result: StageResult, losses: list[tuple[int, float]], finite: list[tuple[float, int]]
) -> list[tuple[str, str, str]]:
    """The numbers on top: name, value, remark."""
    figures = []
    if losses:
        figures.append(("Final loss", f"{losses[-1][1]:.4g}".replace("nan", "NaN"), f"step {losses[-1][0]}"))
    if finite:
        figures.append(("Lowest loss", f"{min(finite)[0]:.4g}", f"step {min(finite)[1]}"))
    figures.append(
        ("Steps", f"{result.steps_done}", f"of {result.steps_planned}" if result.steps_planned else "not planned")
    )
    seconds = (result.finished - result.started).total_seconds()
    figures.append(("Time", duration(seconds), "with loading and proof"))
    if result.model is not None:
        figures.append(("Parameters", count(result.model.parameters), f"{result.model.bytes / 1e6:,.1f} MB"))
    return figures


def duration(seconds: float) -> str:
    """`48 s`, `3 min 5 s`, `2 h 4 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def count(number: int) -> str:
    """`140 k`, `1.54 B`."""
    for size, name in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.3g} {name}"
    return str(number)


def _parameters(config: TrainConfig) -> list[tuple[str, str]]:
    """Every hyperparameter as used, by its name in the FineTuneJob."""
    values: dict[str, object] = {
        "algorithm": config.algorithm,
        "backend": config.backend,
        "model.source": config.model.uri,
        "dataset.train.source": config.dataset.uri,
        **{f"training.{_api_name(k)}": v for k, v in config.training.model_dump(by_alias=True).items()},
    }
    if config.osft is not None:
        values["osft.unfreezeRankRatio"] = config.osft.unfreeze_rank_ratio
        values["osft.targetPatterns"] = ", ".join(config.osft.target_patterns) or "every linear layer"
    shape = config.distribution
    values["resources"] = f"{shape.num_nodes} × {shape.num_proc_per_node} process(es) on {shape.accelerator}"
    return [(name, str(value)) for name, value in values.items()]


def _api_name(name: str) -> str:
    return name.replace("Gpu", "GPU")  # Kubernetes' spelling of an acronym


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("finetune_trainer"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("loss.html.j2")
