"""Rendering the chart with Helm, no cluster needed."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from support.kube import ROOT, tool_environment

CHART = ROOT / "charts" / "finetune-operator"
IMAGES = ('image.repository="registry.local/operator"', 'trainer.image.repository="registry.local/trainer"')
KUBE_VERSION = "1.36.0"

Json = dict[str, Any]


class Helm:
    """Helm on the chart."""

    def __init__(self) -> None:
        self._environment = tool_environment()

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                ["helm", *arguments], env=self._environment, capture_output=True, text=True, timeout=60
            )
        except FileNotFoundError:
            pytest.fail("no helm: run dev/cluster/tools/ensure.sh control-plane")

    def template(self, *settings: str) -> subprocess.CompletedProcess[str]:
        options = [option for setting in (*IMAGES, *settings) for option in ("--set-json", setting)]
        return self("template", "ftj", str(CHART), "--namespace", "system", "--kube-version", KUBE_VERSION, *options)


@pytest.fixture(scope="session")
def helm() -> Helm:
    return Helm()


@pytest.fixture(scope="session")
def render(helm: Helm) -> Callable[..., list[Json]]:
    """Objects that the chart makes with `settings` (`key=<JSON>`)."""

    def rendered(*settings: str) -> list[Json]:
        done = helm.template(*settings)
        assert done.returncode == 0, done.stderr
        return [item for item in yaml.safe_load_all(done.stdout) if item]

    return rendered


@pytest.fixture(scope="session")
def objects(render: Callable[..., list[Json]]) -> list[Json]:
    """What the defaults make."""
    return render()
