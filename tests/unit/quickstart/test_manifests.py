from pathlib import Path

import pytest
import yaml

from demo import jobs, osft, quickstart
from finetune_operator.api.v1alpha1 import FineTuneJobSpec

ROOT = Path(__file__).parents[3]
TUNED = "pvc://quickstart-workspace/runs/abc/model"
JOBS = [*jobs.documents(quickstart.MANIFEST), *jobs.documents(osft.MANIFEST, TUNED_MODEL=TUNED)]


@pytest.mark.parametrize("document", JOBS)
def test_examples_are_valid(document):
    body = yaml.safe_load(document)
    assert body["kind"] == "FineTuneJob"
    FineTuneJobSpec.model_validate(body["spec"])


def test_both_of_the_second_example_differ_in_the_algorithm_alone():
    sft, with_osft = (yaml.safe_load(document)["spec"] for document in JOBS[1:])
    assert sft["model"]["source"] == with_osft["model"]["source"] == TUNED
    assert (sft.pop("algorithm"), with_osft.pop("algorithm")) == ("SFT", "OSFT")
    with_osft.pop("osft")
    assert sft == with_osft


def test_pods_are_restricted():
    documents = list(yaml.safe_load_all((ROOT / jobs.DATA_MANIFEST).read_text()))
    maker = documents[1]["spec"]["template"]["spec"]
    reader = jobs.reader_pod("image", ["claim"])["spec"]
    for pod in (maker, reader):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_jobs_that_start_from_a_model_are_found():
    bodies = [yaml.safe_load(document) for document in JOBS]
    assert jobs.starting_from("pvc://quickstart-workspace/", bodies) == [osft.SFT, osft.OSFT]
    assert jobs.starting_from("pvc://quickstart-data/", bodies) == [quickstart.NAME]
