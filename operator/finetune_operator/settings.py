"""Settings of the operator, from its environment (the chart sets them)."""

from collections.abc import Mapping
from dataclasses import dataclass

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class SettingsError(ValueError):
    """A setting is missing or malformed; the text names the variable."""


@dataclass(frozen=True)
class Settings:
    """See `charts/finetune-operator/values.yaml` for what each one does."""

    namespace: str
    watch_namespaces: tuple[str, ...]
    """Empty: all."""
    runtime: str
    allowed_runtimes: frozenset[str]
    endpoint_url: str
    endpoint_port: int
    endpoint_secret: str
    endpoint_service: str
    health_port: int
    log_format: str
    log_level: str
    workers: int = 8
    """Reconciles at the same time, each of another object."""
    progress_seconds: float = 3.0
    """Shortest time between two status writes that only move progress on."""
    writes_per_second: float = 20.0
    """Budget of such writes over all jobs: with many jobs each one's progress is written less often."""
    pending_seconds: float = 4.0
    """Time between the first looks at a job that waits for something which no watch reports."""
    longest_pending_seconds: float = 30.0
    """The same after it has waited for long."""
    resync_seconds: float = 300.0
    """Time between full lists, which find what a watch has lost."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the FINETUNE_* variables.

        Raises:
            SettingsError: a required one is missing, or a number isn't one.
        """

        def text(name: str, default: str | None = None) -> str:
            value = environment.get(name, default)
            if value is None:
                raise SettingsError(f"environment variable {name} must be set")
            return value

        def number(name: str, default: int) -> int:
            value = text(name, str(default))
            if not value.isdigit():
                raise SettingsError(f"environment variable {name} must be a number, not {value!r}")
            return int(value)

        def items(name: str) -> tuple[str, ...]:
            return tuple(item.strip() for item in text(name, "").split(",") if item.strip())

        level = text("FINETUNE_LOG_LEVEL", "INFO").upper()
        if level not in LOG_LEVELS:
            raise SettingsError(
                f"environment variable FINETUNE_LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}, not {level}"
            )
        runtime = text("FINETUNE_RUNTIME")
        return cls(
            namespace=text("FINETUNE_NAMESPACE"),
            watch_namespaces=items("FINETUNE_WATCH_NAMESPACES"),
            runtime=runtime,
            allowed_runtimes=frozenset({runtime, *items("FINETUNE_ALLOWED_RUNTIMES")}),
            endpoint_url=text("FINETUNE_ENDPOINT_URL"),
            endpoint_port=number("FINETUNE_ENDPOINT_PORT", 8443),
            endpoint_secret=text("FINETUNE_ENDPOINT_SECRET"),
            endpoint_service=text("FINETUNE_ENDPOINT_SERVICE"),
            health_port=number("FINETUNE_HEALTH_PORT", 8080),
            log_format=text("FINETUNE_LOG_FORMAT", "json"),
            log_level=level,
        )
