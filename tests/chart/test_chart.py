"""What the chart installs, and which values it refuses."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from finetune_operator.api.crd import custom_resource_definition
from finetune_operator.settings import Settings
from support.kube import ROOT

CHART = ROOT / "charts" / "finetune-operator"

Json = dict[str, Any]
Render = Callable[..., list[Json]]

NAME = "ftj-finetune-operator"


def of_kind(objects: list[Json], kind: str) -> list[Json]:
    return [item for item in objects if item["kind"] == kind]


def one(objects: list[Json], kind: str) -> Json:
    (item,) = of_kind(objects, kind)
    return item


def operator_pod(objects: list[Json]) -> Json:
    spec: Json = one(objects, "Deployment")["spec"]["template"]["spec"]
    return spec


def training_pod(objects: list[Json]) -> Json:
    (job,) = one(objects, "ClusterTrainingRuntime")["spec"]["template"]["spec"]["replicatedJobs"]
    spec: Json = job["template"]["spec"]["template"]["spec"]
    return spec


def rules(objects: list[Json]) -> Iterator[tuple[str, Json]]:
    for item in objects:
        if item["kind"] in ("Role", "ClusterRole"):
            yield from ((item["metadata"]["name"], rule) for rule in item["rules"])


# --- installing


def test_lint(helm: Any) -> None:
    done = helm(
        "lint", str(CHART), "--strict", "--set", "image.repository=a/b,trainer.image.repository=a/c",
        "--kube-version", "1.36.0",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_objects(objects: list[Json]) -> None:
    assert sorted((item["kind"], item["metadata"]["name"]) for item in objects) == [
        ("ClusterRole", "ftj-finetune-operator"),
        ("ClusterRole", "ftj-finetune-operator-edit"),
        ("ClusterRole", "ftj-finetune-operator-view"),
        ("ClusterRoleBinding", "ftj-finetune-operator"),
        ("ClusterTrainingRuntime", "finetune-torch"),
        ("CustomResourceDefinition", "finetunejobs.finetune.dev"),
        ("Deployment", "ftj-finetune-operator"),
        ("Role", "ftj-finetune-operator-endpoint"),
        ("RoleBinding", "ftj-finetune-operator-endpoint"),
        ("Secret", "ftj-finetune-operator-endpoint"),
        ("Service", "ftj-finetune-operator"),
        ("ServiceAccount", "ftj-finetune-operator"),
    ]


def test_rendering_twice_is_the_same(render: Render, objects: list[Json]) -> None:
    """Nothing random and no time: otherwise Argo CD would sync for ever."""
    assert render() == objects


def test_every_object_carries_the_recommended_labels(objects: list[Json]) -> None:
    for item in objects:
        labels = item["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "finetune-operator"
        assert {f"app.kubernetes.io/{key}" for key in ("instance", "version", "part-of", "managed-by")} <= labels.keys()


def test_selectors_find_the_operator_and_survive_upgrades(objects: list[Json]) -> None:
    deployment = one(objects, "Deployment")["spec"]
    selector = deployment["selector"]["matchLabels"]
    assert selector == one(objects, "Service")["spec"]["selector"]
    assert selector.items() <= deployment["template"]["metadata"]["labels"].items()
    assert not {"helm.sh/chart", "app.kubernetes.io/version"} & selector.keys()


def test_names_fit_with_the_longest_release_name(helm: Any) -> None:
    done = helm(
        "template", "r" * 53, str(CHART), "--kube-version", "1.36.0", "--set",
        "image.repository=a/b,trainer.image.repository=a/c",
    )  # fmt: skip
    for item in filter(None, yaml.safe_load_all(done.stdout)):
        assert len(item["metadata"]["name"]) <= 63
        assert all(len(value) <= 63 for value in item["metadata"]["labels"].values())


# --- the definition


def test_definition_is_the_committed_one(objects: list[Json]) -> None:
    rendered = one(objects, "CustomResourceDefinition")
    committed = yaml.safe_load((ROOT / "crds" / "finetune.dev_finetunejobs.yaml").read_text())
    assert rendered["spec"] == committed["spec"] == custom_resource_definition()["spec"]
    assert rendered["metadata"]["name"] == committed["metadata"]["name"]


def test_definition_is_kept_unless_told_otherwise(render: Render, objects: list[Json]) -> None:
    keep = {"helm.sh/resource-policy": "keep"}
    assert one(objects, "CustomResourceDefinition")["metadata"]["annotations"] == keep
    assert "annotations" not in one(render("crds.keep=false"), "CustomResourceDefinition")["metadata"]
    assert of_kind(render("crds.enabled=false"), "CustomResourceDefinition") == []


# --- security


@pytest.mark.parametrize("pod", [operator_pod, training_pod], ids=["operator", "training"])
def test_pods_meet_the_restricted_standard(objects: list[Json], pod: Callable[[list[Json]], Json]) -> None:
    spec = pod(objects)
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & spec.keys()
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"].get("runAsUser") != 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert all("hostPort" not in port for port in container.get("ports", ()))
    assert all(volume.keys() <= {"name", "emptyDir"} for volume in spec["volumes"])


def test_rights_have_no_wildcards(objects: list[Json]) -> None:
    for name, rule in rules(objects):
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]], name
        assert rule["apiGroups"]
        assert "nonResourceURLs" not in rule


def test_rights_of_the_operator(objects: list[Json]) -> None:
    """Whoever adds a right here says so in a review."""
    granted = {
        f"{resource}.{rule['apiGroups'][0]}": " ".join(sorted(rule["verbs"]))
        for name, rule in rules(objects)
        if not name.endswith(("-view", "-edit"))
        for resource in rule["resources"]
    }
    assert granted == {
        "clustertrainingruntimes.trainer.kubeflow.org": "get",
        "configmaps.": "create get patch",
        "events.": "create",
        "finetunejobs.finetune.dev": "get list watch",
        "finetunejobs/status.finetune.dev": "update",
        "jobs.batch": "get",
        "jobsets.jobset.x-k8s.io": "get",
        "persistentvolumeclaims.": "create get",
        "pods.": "get list watch",
        "secrets.": "get patch",
        "tokenreviews.authentication.k8s.io": "create",
        "trainjobs.trainer.kubeflow.org": "create delete get list watch",
    }


def test_the_only_secret_within_reach_is_the_endpoints(objects: list[Json]) -> None:
    reaching = [(name, rule) for name, rule in rules(objects) if "secrets" in rule["resources"]]
    ((role, rule),) = reaching
    assert [item["metadata"]["name"] for item in of_kind(objects, "Role")] == [role], "not a ClusterRole"
    assert rule["resourceNames"] == [one(objects, "Secret")["metadata"]["name"]]


def test_the_secret_is_shipped_without_data(objects: list[Json]) -> None:
    assert one(objects, "Secret").keys() == {"apiVersion", "kind", "metadata", "type"}


def test_named_namespaces_end_the_rights(render: Render) -> None:
    objects = render('watchNamespaces=["red", "blue"]')
    roles = {item["metadata"]["namespace"]: item for item in of_kind(objects, "Role")}
    assert roles.keys() == {"system", "red", "blue"}
    assert roles["red"]["rules"] == roles["blue"]["rules"]
    cluster_wide = [rule["resources"] for name, rule in rules(of_kind(objects, "ClusterRole")) if name == NAME]
    assert cluster_wide == [["clustertrainingruntimes"], ["tokenreviews"]]
    bindings = {item["metadata"]["namespace"]: item for item in of_kind(objects, "RoleBinding")}
    assert bindings["red"]["subjects"] == [{"kind": "ServiceAccount", "name": NAME, "namespace": "system"}]


def test_users_get_finetunejobs_with_the_clusters_own_roles(objects: list[Json]) -> None:
    roles = {item["metadata"]["name"]: item for item in of_kind(objects, "ClusterRole")}
    view, edit = roles["ftj-finetune-operator-view"], roles["ftj-finetune-operator-edit"]
    assert view["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    assert "finetunejobs/status" not in edit["rules"][0]["resources"], "status is the operator's"


# --- the operator


def environment(objects: list[Json]) -> dict[str, str]:
    return {item["name"]: item.get("value", "system") for item in operator_pod(objects)["containers"][0]["env"]}


def test_settings_are_what_the_operator_reads(objects: list[Json]) -> None:
    settings = Settings.from_environment(environment(objects))
    assert settings.namespace == "system"
    assert settings.watch_namespaces == ()
    assert settings.runtime == one(objects, "ClusterTrainingRuntime")["metadata"]["name"]
    assert settings.allowed_runtimes == {"finetune-torch"}
    service = one(objects, "Service")["metadata"]["name"]
    assert settings.endpoint_url == f"https://{service}.system.svc:8443"
    assert settings.endpoint_service == service
    assert settings.endpoint_secret == one(objects, "Secret")["metadata"]["name"]


def test_settings_follow_values(render: Render) -> None:
    objects = render(
        'watchNamespaces=["red","blue"]', 'trainer.runtime.name="mine"', 'trainer.runtime.allowed=["b200","mine"]',
        "endpoint.port=9443", 'endpoint.secretName="tls"', 'log.level="DEBUG"',
    )  # fmt: skip
    settings = Settings.from_environment(environment(objects))
    assert settings.watch_namespaces == ("red", "blue")
    assert settings.runtime == "mine"
    assert settings.allowed_runtimes == {"mine", "b200"}
    assert settings.endpoint_port == 9443
    assert settings.endpoint_url.endswith(":9443")
    assert settings.endpoint_secret == "tls"
    assert settings.log_level == "DEBUG"


def test_ports_and_probes_meet(objects: list[Json]) -> None:
    (container,) = operator_pod(objects)["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"endpoint": 8443, "health": 8080}
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "health"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": "endpoint", "scheme": "HTTPS"}
    (port,) = one(objects, "Service")["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (8443, "endpoint")


def test_one_operator_at_a_time(objects: list[Json]) -> None:
    spec = one(objects, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


@pytest.mark.parametrize(
    ("settings", "image"),
    [
        ((), "registry.local/operator:0.1.0"),
        (('image.tag="v2"',), "registry.local/operator:v2"),
        (('image.tag="v2"', f'image.digest="sha256:{"a" * 64}"'), f"registry.local/operator@sha256:{'a' * 64}"),
        (('image.repository="localhost:5001/op"',), "localhost:5001/op:0.1.0"),
    ],
)
def test_image(render: Render, settings: tuple[str, ...], image: str) -> None:
    assert operator_pod(render(*settings))["containers"][0]["image"] == image


# --- the training runtime


def test_runtime_is_what_the_operator_and_trainer_rely_on(objects: list[Json]) -> None:
    runtime = one(objects, "ClusterTrainingRuntime")
    assert runtime["metadata"]["labels"]["trainer.kubeflow.org/framework"] == "torch"
    assert runtime["spec"]["template"]["spec"]["failurePolicy"] == {"maxRestarts": 0}
    (job,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    assert job["name"] == "node"
    assert job["template"]["metadata"]["labels"] == {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
    assert job["template"]["spec"]["backoffLimit"] == 0
    assert "ttlSecondsAfterFinished" not in runtime["spec"]["template"]["spec"], "a failed TrainJob would run again"
    pod = training_pod(objects)
    (container,) = pod["containers"]
    assert container["name"] == "node"
    assert container["command"] == ["python", "-m", "finetune_trainer", "train"]
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert pod["restartPolicy"] == "Never"
    assert pod["automountServiceAccountToken"] is False
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume["emptyDir"] for volume in pod["volumes"]}
    assert volumes[mounts["/dev/shm"]] == {"medium": "Memory", "sizeLimit": "8Gi"}
    assert volumes[mounts["/tmp"]] == {}


def test_arbitrary_users_of_openshift(render: Render) -> None:
    pod = training_pod(
        render(*(f"trainer.podSecurityContext.{key}=null" for key in ("runAsUser", "runAsGroup", "fsGroup")))
    )
    assert pod["securityContext"].keys() == {"runAsNonRoot", "fsGroupChangePolicy", "seccompProfile"}


def test_without_runtime_no_trainer_image_is_needed(helm: Any) -> None:
    done = helm.template("trainer.runtime.create=false", 'trainer.image.repository=""')
    assert done.returncode == 0, done.stderr
    assert "ClusterTrainingRuntime" not in {
        item["kind"] for item in filter(None, yaml.safe_load_all(done.stdout)) if item
    }


def test_network_policy_on_request(render: Render, objects: list[Json]) -> None:
    assert of_kind(objects, "NetworkPolicy") == []
    policy = one(render("networkPolicy.enabled=true"), "NetworkPolicy")["spec"]
    assert policy["ingress"] == [{"ports": [{"port": "endpoint"}, {"port": "health"}]}]
    assert {port["port"] for port in policy["egress"][0]["ports"]} == {53, 443, 6443}


# --- values


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('replicas="2"', "additional properties 'replicas' not allowed"),
        ('image.name="x"', "additional properties 'name' not allowed"),
        ('trainer.runtime.allow=["x"]', "additional properties 'allow' not allowed"),
        ('image.repository="a/b:tag"', "does not match pattern"),
        ('image.digest="sha256:abc"', "does not match pattern"),
        ('log.level="info"', "must be one of"),
        ("endpoint.port=80", "minimum"),
        ("endpoint.port=8080", "endpoint/port"),
        ('watchNamespaces="red"', "want array"),
        ('watchNamespaces=["a/b"]', "does not match pattern"),
        ('trainer.sharedMemory="lots"', "does not match pattern"),
        ('extraEnv=[{"nam": "X"}]', "missing property 'name'"),
    ],
)
def test_values_that_mean_nothing_are_refused(helm: Any, setting: str, message: str) -> None:
    done = helm.template(setting)
    assert done.returncode != 0
    assert message in done.stderr


@pytest.mark.parametrize("key", ["image.repository", "trainer.image.repository"])
def test_a_missing_image_is_named_with_its_remedy(helm: Any, key: str) -> None:
    done = helm.template(f'{key}=""')
    assert f"{key} is required: the image made by `make images`" in done.stderr


def leaves(node: Any, path: str = "") -> Iterator[str]:
    if (
        isinstance(node, dict)
        and node
        and not path.endswith(("podSecurityContext", ".resources"))
        and path != "resources"
    ):
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}" if path else key)
    else:
        yield path


VALUES = yaml.safe_load((CHART / "values.yaml").read_text())


def test_readme_lists_every_value() -> None:
    listed = set(re.findall(r"^\| `([^`]+)` \|", (CHART / "README.md").read_text(), re.MULTILINE))
    assert listed == set(leaves(VALUES))


def test_schema_knows_every_value() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())

    def known(path: str) -> bool:
        node = schema
        for key in path.split("."):
            if "$ref" in node:
                node = schema["definitions"][node["$ref"].rsplit("/", 1)[-1]]
            if key not in node.get("properties", {}):
                return False
            node = node["properties"][key]
        return True

    assert [path for path in leaves(VALUES) if not known(path)] == []
