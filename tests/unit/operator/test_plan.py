"""From a FineTuneJob to its objects."""

import json
from pathlib import Path

import pytest

from finetune_contract.config import TrainConfig
from finetune_operator.plan import names, run
from finetune_operator.plan.claim import workspace_claim, workspace_name
from finetune_operator.plan.configmap import ca_config_map, config_map
from finetune_operator.plan.job import FineTuneJob
from finetune_operator.plan.resolve import resolve
from finetune_operator.plan.sources import parse
from finetune_operator.plan.trainjob import train_job
from support.made import UID, made_job

LONGEST = "a" * 40


def manifest(job: FineTuneJob) -> dict:  # type: ignore[type-arg]
    return train_job(job, resolve(job.spec), 1, "finetune-torch")


def patched_pod(made: dict) -> dict:  # type: ignore[type-arg]
    patch = made["spec"]["runtimePatches"][0]["trainingRuntimeSpec"]
    return patch["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]  # type: ignore[no-any-return]


def test_pod_names_fit() -> None:
    pod = f"{names.train_job(LONGEST, 99)}-node-0-99-abcde"
    assert len(pod) <= 63


def test_train_job_owns_nothing_of_others() -> None:
    spec = manifest(made_job())["spec"]
    assert "suspend" not in spec
    assert "managedBy" not in spec
    assert [patch["manager"] for patch in spec["runtimePatches"]] == ["finetune.dev/operator"]


def test_processes_are_always_a_number() -> None:
    cpu = manifest(made_job(resources={"gpusPerNode": 0}))["spec"]["trainer"]
    assert cpu["numProcPerNode"] == 1
    gpu = manifest(made_job(resources={"gpusPerNode": 4, "gpuResourceName": "nvidia.com/mig-1g.5gb"}))["spec"]
    assert gpu["trainer"]["numProcPerNode"] == 4
    assert gpu["trainer"]["resourcesPerNode"]["limits"] == {"nvidia.com/mig-1g.5gb": "4"}


def test_resources_are_requested_as_limited() -> None:
    trainer = manifest(made_job(resources={"gpusPerNode": 0, "cpu": "500m", "memory": "2Gi"}))["spec"]["trainer"]
    assert trainer["resourcesPerNode"]["requests"] == trainer["resourcesPerNode"]["limits"]
    assert trainer["resourcesPerNode"]["limits"] == {"cpu": "500m", "memory": "2Gi"}


def test_token_is_for_this_job_only() -> None:
    pod = patched_pod(manifest(made_job()))
    volume = next(v for v in pod["spec"]["volumes"] if v["name"] == "finetune-token")
    audience = volume["projected"]["sources"][0]["serviceAccountToken"]["audience"]
    assert audience == f"finetune.dev/v1alpha1/namespaces/team/finetunejobs/j/{UID}"


def test_source_claims_are_mounted_once_and_read_only() -> None:
    job = made_job(
        model={"source": "pvc://shared/models/base"}, dataset={"train": {"source": "pvc://shared/data/train.jsonl"}}
    )
    pod = patched_pod(manifest(job))
    claims = [v["persistentVolumeClaim"]["claimName"] for v in pod["spec"]["volumes"] if "persistentVolumeClaim" in v]
    assert claims == ["j-workspace", "shared"]
    mounts = {m["mountPath"]: m for m in pod["spec"]["containers"][0]["volumeMounts"]}
    assert mounts["/mnt/finetune/shared"]["readOnly"] is True
    assert "readOnly" not in mounts["/workspace"]
    config = run.train_config(job, resolve(job.spec), 1, "https://e")
    assert config.model.path == "/mnt/finetune/shared/models/base"
    assert config.dataset.path == "/mnt/finetune/shared/data/train.jsonl"


@pytest.mark.parametrize(
    ("uri", "claim", "path"),
    [
        ("pvc://c/a/b.jsonl", "c", "/mnt/finetune/c/a/b.jsonl"),
        ("pvc://c//etc/passwd", "c", "/mnt/finetune/c/etc/passwd"),
        ("file:///opt/x", None, "/opt/x"),
        ("hf://o/n", None, None),
    ],
)
def test_sources(uri: str, claim: str | None, path: str | None) -> None:
    found = parse(uri)
    assert (found.claim, found.path) == (claim, path)


def test_unknown_source_is_an_error() -> None:
    with pytest.raises(ValueError, match="gopher"):
        parse("gopher://x")


def test_hub_token_comes_by_reference() -> None:
    job = made_job(model={"source": "hf://o/n", "secretRef": {"name": "hub"}})
    env = manifest(job)["spec"]["trainer"]["env"]
    assert env == [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}]


def test_config_is_what_the_trainer_reads() -> None:
    job = made_job(algorithm="OSFT", osft={"unfreezeRankRatio": "0.5"}, training={"learningRate": "2e-5", "seed": 0})
    stored = config_map(job, run.train_config(job, resolve(job.spec), 1, "https://e/x"))
    assert stored["immutable"] is True
    config = TrainConfig.model_validate_json(stored["data"]["config.json"])
    assert config.training.learning_rate == 2e-5
    assert config.training.seed == 0, "0 is a value, not a gap for the default"
    assert config.osft
    assert config.osft.unfreeze_rank_ratio == 0.5
    assert config.report
    assert config.report.url == "https://e/x"


def test_run_id_follows_what_defines_the_run_and_nothing_else() -> None:
    def of(**spec: object) -> str:
        job = made_job(**spec)
        return run.run_id(job, resolve(job.spec))

    assert of() == of(resources={"gpusPerNode": 0, "memory": "9Gi"}) == of(storage={"size": "9Gi"})
    assert of() == of(training={"effectiveBatchSize": 128}), "a default written out is the same run"
    assert len({of(), of(training={"seed": 1}), of(algorithm="OSFT"), of(model={"source": "file:///other"})}) == 4


def test_workspace_is_made_and_goes_with_the_job() -> None:
    claim = workspace_claim(made_job())
    assert claim
    assert claim["metadata"]["ownerReferences"][0]["uid"] == UID


def test_retained_workspace_has_no_owner() -> None:
    claim = workspace_claim(made_job(storage={"retain": True}))
    assert claim
    assert "ownerReferences" not in claim["metadata"]


def test_named_claim_is_used() -> None:
    job = made_job(storage={"claimName": "mine"})
    assert workspace_claim(job) is None
    assert workspace_name(job) == "mine"


def test_authority_is_mutable_and_apart() -> None:
    made = ca_config_map(made_job(), "PEM")
    assert "immutable" not in made
    assert made["data"] == {"ca.crt": "PEM"}


def test_source_root_does_not_shadow_the_standard_library() -> None:
    import operator

    root = Path(__file__).resolve().parents[3]
    assert not (root / "operator" / "__init__.py").exists()
    assert "site-packages" not in str(operator.__file__)
    assert json.dumps(operator.add(1, 2)) == "3"
