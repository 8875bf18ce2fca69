from pathlib import Path

import pytest

from finetune_contract.reasons import ExitCode, Reason
from finetune_trainer import config
from finetune_trainer.errors import EXIT_CODE_OF_REASON, StageError
from unit.trainer.builders import OSFT, make_config, write_config


def test_a_complete_configuration_is_accepted(tmp_path: Path) -> None:
    assert config.load(write_config(tmp_path)).training.seed == 7
    assert config.load(write_config(tmp_path, **OSFT)).algorithm == "OSFT"


@pytest.mark.parametrize(
    ("changes", "reason", "named"),
    [
        pytest.param(
            {"training": {"numEpochs": 0}}, Reason.CONFIG_INVALID, "training.numEpochs", id="a value out of range"
        ),
        pytest.param({"job": {"attempt": 1001}}, Reason.CONFIG_INVALID, "job.attempt", id="more than can be reported"),
        pytest.param({"surprise": 1}, Reason.CONFIG_INVALID, "surprise", id="an unknown key is a version mismatch"),
        pytest.param({"schemaVersion": 2}, Reason.CONFIG_INVALID, "schemaVersion", id="a newer schema"),
        pytest.param({"backend": "MiniTrainer"}, Reason.UNSUPPORTED, "backend", id="an engine that can't do it"),
        pytest.param(
            {"algorithm": "OSFT", "backend": "MiniTrainer"}, Reason.CONFIG_INVALID, "osft", id="OSFT without its values"
        ),
        pytest.param(
            {"training": {"maxTokensPerGpu": 100}},
            Reason.CONFIG_INVALID,
            "maxTokensPerGPU",
            id="no room for a long sample",
        ),
        pytest.param(
            {"report": {"url": "http://operator"}},
            Reason.CONFIG_INVALID,
            "report.url",
            id="a token is not sent in the clear",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, object], reason: Reason, named: str) -> None:
    with pytest.raises(StageError) as error:
        config.load(write_config(tmp_path, **changes))
    assert error.value.reason is reason
    assert named in error.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"nowhere\.json"):
        config.load(tmp_path / "nowhere.json")


def test_every_reason_has_its_exit_code() -> None:
    assert set(EXIT_CODE_OF_REASON) == set(Reason)
    assert StageError(Reason.INTERRUPTED, "").exit_code == ExitCode.INTERRUPTED == 23


def test_a_long_message_fits_the_result() -> None:
    assert len(StageError(Reason.ENGINE_FAILED, "x" * 5000).message) == 1024


class TestNode:
    def test_a_single_node_needs_no_name(self, tmp_path: Path) -> None:
        node = config.Node.of(make_config(tmp_path), {"PET_NNODES": "1", "PET_MASTER_ADDR": "unresolvable"})
        assert (node.rank, node.master_addr) == (0, "127.0.0.1")
        assert node.master_port > 1024

    def test_several_nodes_meet_where_trainer_says(self, tmp_path: Path) -> None:
        settings = make_config(tmp_path, distribution={"numNodes": 2})
        environment = {
            "PET_NNODES": "2",
            "PET_NODE_RANK": "1",
            "PET_MASTER_ADDR": "job-node-0-0.job",
            "PET_MASTER_PORT": "29500",
        }
        assert config.Node.of(settings, environment) == config.Node(1, "job-node-0-0.job", 29500)

    @pytest.mark.parametrize(
        "environment",
        [
            pytest.param({"PET_NNODES": "3"}, id="another number of nodes"),
            pytest.param({"PET_NODE_RANK": "1"}, id="no address"),
            pytest.param({"PET_MASTER_ADDR": "a", "PET_NODE_RANK": "2"}, id="a rank out of range"),
            pytest.param({"PET_MASTER_ADDR": "a", "PET_NODE_RANK": "auto"}, id="no number"),
        ],
    )
    def test_a_contradiction_is_refused(self, tmp_path: Path, environment: dict[str, str]) -> None:
        with pytest.raises(StageError, match="PET_"):
            config.Node.of(make_config(tmp_path, distribution={"numNodes": 2}), environment)

    def test_a_port_is_a_number(self, tmp_path: Path) -> None:
        environment = {"PET_NODE_RANK": "1", "PET_MASTER_ADDR": "a", "PET_MASTER_PORT": "tcp://1"}
        with pytest.raises(StageError, match="PET_MASTER_PORT"):
            config.Node.of(make_config(tmp_path, distribution={"numNodes": 2}), environment)
