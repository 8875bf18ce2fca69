"""The chart on a real API server, as a second release beside the one that the other tests use."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from support.kube import ROOT, Cluster

RELEASE = NAMESPACE = "second"
FULLNAME = f"{RELEASE}-finetune-operator"
CHART = str(ROOT / "charts" / "finetune-operator")
SETTINGS = (
    "--set", "crds.enabled=false,trainer.runtime.name=second-torch",
    "--set", "image.repository=none/operator,trainer.image.repository=none/trainer",
)  # fmt: skip
OPERATOR = f"system:serviceaccount:{NAMESPACE}:{FULLNAME}"


def helm(cluster: Cluster, *arguments: str) -> str:
    environment = cluster.environment | {"KUBECONFIG": str(cluster.kubeconfig)}
    done = subprocess.run(
        ["helm", *arguments, "--namespace", NAMESPACE], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def release(cluster: Cluster) -> Iterator[Cluster]:
    """Installed in a namespace that enforces the restricted Pod Security Standard."""
    cluster.kubectl("create", "namespace", NAMESPACE)
    cluster.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    helm(cluster, "install", RELEASE, CHART, *SETTINGS)
    yield cluster
    helm(cluster, "uninstall", RELEASE, "--ignore-not-found")
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def objects(cluster: Cluster) -> list[dict[str, Any]]:
    manifest = helm(cluster, "get", "manifest", RELEASE)
    return [item for item in yaml.safe_load_all(manifest) if item]


def test_no_object_says_what_the_api_server_does_not_know(release: Cluster) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects(release)})
    release.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", input=text)


def test_pods_are_admitted_under_the_restricted_standard(release: Cluster) -> None:
    by_kind = {item["kind"]: item for item in objects(release)}
    operator = by_kind["Deployment"]["spec"]["template"]["spec"]
    job = by_kind["ClusterTrainingRuntime"]["spec"]["template"]["spec"]["replicatedJobs"][0]
    for name, spec in {"operator": operator, "training": job["template"]["spec"]["template"]["spec"]}.items():
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}
        release.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(pod))


@pytest.mark.parametrize(
    ("allowed", "verb", "what"),
    [
        (True, "list", "finetunejobs.finetune.dev"),
        (True, "update", "finetunejobs.finetune.dev/status"),
        (False, "patch", "finetunejobs.finetune.dev"),
        (False, "delete", "finetunejobs.finetune.dev"),
        (True, "create", "trainjobs.trainer.kubeflow.org"),
        (True, "delete", "trainjobs.trainer.kubeflow.org"),
        (False, "patch", "trainjobs.trainer.kubeflow.org"),
        (True, "watch", "pods"),
        (False, "create", "pods"),
        (False, "create", "pods/exec"),
        (True, "create", "configmaps"),
        (False, "list", "configmaps"),
        (False, "delete", "persistentvolumeclaims"),
        (False, "get", "secrets"),
        (False, "list", "secrets"),
        (False, "create", "serviceaccounts/token"),
    ],
)
def test_rights_in_a_users_namespace(release: Cluster, allowed: bool, verb: str, what: str) -> None:
    resource, _, subresource = what.partition("/")
    options = [f"--subresource={subresource}"] if subresource else []
    done = release.kubectl(
        "auth", "can-i", verb, resource, *options, f"--as={OPERATOR}", check=False, namespace="default"
    )
    assert done.stdout.strip() == ("yes" if allowed else "no"), done.stderr


@pytest.mark.parametrize(
    ("allowed", "verb", "secret"),
    [(True, "get", f"{FULLNAME}-endpoint"), (True, "patch", f"{FULLNAME}-endpoint"), (False, "get", "other")],
)
def test_the_one_secret_of_its_own(release: Cluster, allowed: bool, verb: str, secret: str) -> None:
    done = release.kubectl(
        "auth", "can-i", verb, f"secrets/{secret}", f"--as={OPERATOR}", check=False, namespace=NAMESPACE
    )
    assert done.stdout.strip() == ("yes" if allowed else "no"), done.stderr


def test_an_upgrade_leaves_the_certificate_alone(release: Cluster) -> None:
    secret = f"secret/{FULLNAME}-endpoint"
    assert "data" not in json.loads(release.kubectl("get", secret, "-o", "json", namespace=NAMESPACE).stdout)
    data = {"tls.crt": "Y2VydA==", "tls.key": "a2V5"}
    release.kubectl("patch", secret, "--type=merge", "-p", json.dumps({"data": data}), namespace=NAMESPACE)
    helm(release, "upgrade", RELEASE, CHART, *SETTINGS, "--set", "log.level=DEBUG")
    assert json.loads(release.kubectl("get", secret, "-o", "json", namespace=NAMESPACE).stdout)["data"] == data


@pytest.mark.parametrize(("allowed", "verb"), [(True, "create"), (True, "get"), (False, "patch")])
def test_editors_of_a_namespace_run_jobs_but_write_no_status(release: Cluster, allowed: bool, verb: str) -> None:
    release.kubectl("create", "rolebinding", f"edit-{verb}", "--clusterrole=edit", "--user=ann", namespace=NAMESPACE)
    options = ["--subresource=status"] if verb == "patch" else []
    done = release.kubectl(
        "auth", "can-i", verb, "finetunejobs.finetune.dev", *options, "--as=ann", check=False, namespace=NAMESPACE
    )
    assert done.stdout.strip() == ("yes" if allowed else "no"), done.stderr


def test_uninstalling_leaves_nothing(release: Cluster) -> None:
    """Last in this module: it takes the release away."""
    helm(release, "uninstall", RELEASE)
    kinds = "clusterrole,clusterrolebinding,clustertrainingruntime,deploy,svc,secret,role,rolebinding,sa"
    left = release.kubectl("get", kinds, "-A", "-l", f"app.kubernetes.io/instance={RELEASE}", "-o", "name").stdout
    assert left == ""
