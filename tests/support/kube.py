"""A cluster as tests use it: through kubectl, the way users do."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

Json = dict[str, Any]


def tool_environment() -> dict[str, str]:
    """Environment with the cluster tools on PATH, as `dev/cluster/env.sh` sets it."""
    done = subprocess.run(
        ["bash", "-c", ". dev/cluster/env.sh && env -0"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return dict(line.split("=", 1) for line in done.stdout.split("\0") if "=" in line)


@dataclass(frozen=True)
class Cluster:
    """One cluster."""

    kubeconfig: Path
    environment: dict[str, str]

    def kubectl(
        self, *args: str, input: str | None = None, check: bool = True, namespace: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl; `check` turns a failure into an error with its output."""
        scope = ["-n", namespace] if namespace else []
        done = subprocess.run(
            ["kubectl", *scope, *args],
            input=input,
            capture_output=True,
            text=True,
            env={**self.environment, "KUBECONFIG": str(self.kubeconfig)},
        )
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(args)}: {done.stdout}{done.stderr}")
        return done

    def apply(self, manifest: Json | list[Json], namespace: str | None = None) -> subprocess.CompletedProcess[str]:
        """`kubectl apply`, validating strictly, as kubectl does by default."""
        items = manifest if isinstance(manifest, list) else [manifest]
        text = "\n---\n".join(json.dumps(item) for item in items)
        return self.kubectl("apply", "-f", "-", input=text, check=False, namespace=namespace)

    def get(self, kind: str, name: str, namespace: str) -> Json | None:
        """One object, or None."""
        done = self.kubectl("get", kind, name, "-o", "json", "--ignore-not-found", namespace=namespace)
        found: Json | None = json.loads(done.stdout) if done.stdout.strip() else None
        return found

    def list(self, kind: str, namespace: str, selector: str = "") -> list[Json]:
        """Objects of a namespace."""
        items: list[Json] = json.loads(
            self.kubectl("get", kind, "-o", "json", "-l", selector, namespace=namespace).stdout
        )["items"]
        return items


def eventually(check: Callable[[], Any], seconds: float = 20.0, what: str = "") -> Any:
    """Wait until `check` returns something true and return that; an AssertionError in it means: not yet."""
    deadline = time.monotonic() + seconds
    last: Any = None
    while True:
        try:
            last = check()
            if last:
                return last
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or check}: last {last!r}")
        time.sleep(0.2)


def condition(body: Json | None, kind: str) -> Json:
    """A condition of an object, or an empty one."""
    found: Json = next((c for c in ((body or {}).get("status") or {}).get("conditions", ()) if c["type"] == kind), {})
    return found
