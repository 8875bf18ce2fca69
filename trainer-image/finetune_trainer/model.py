"""The final model: taken from the engine's output, cleaned, proven to load and compute, put in place in one move."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

from finetune_contract.reasons import Reason
from finetune_contract.result import ModelArtifact
from finetune_trainer.errors import StageError

_FOREIGN = re.compile(r"(^|\.)(original_)?inv_freq$")
"""Buffers that mini-trainer saves with OSFT's weights (train.py save_model takes the whole state dict)."""
_WRAPPER = "module."
"""What DistributedDataParallel puts before every name (instructlab-training saves it so on a CPU)."""
_FROM_BASE = ("generation_config.json",)
"""Files that belong to a model and that the engines don't write."""


def find_saved(output: Path, samples_seen: int) -> Path:
    """The checkpoint of the last step, by the number of samples it has seen (mini-trainer writes it as a float).

    Raises:
        StageError: `ModelNotSaved`.
    """
    for name in (f"samples_{samples_seen}", f"samples_{float(samples_seen)}"):
        if (output / "hf_format" / name / "config.json").is_file():
            return output / "hf_format" / name
    raise StageError(Reason.MODEL_NOT_SAVED, f"the engine has left no model for {samples_seen} samples in {output}")


def osft_targets(model: Path, asked: tuple[str, ...]) -> tuple[str, ...]:
    """Parameter-name patterns of the matrices to decompose: those asked for, else every linear layer of the blocks.

    The engine would choose by a substring of the model's path ("opt" in /opt/models, …) and then train what it did not
    find without protection, and without a word.

    Raises:
        StageError: `ModelInvalid` or, for a pattern that fits nothing, `ConfigInvalid`.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.pytorch_utils import Conv1D

    try:
        with torch.device("meta"):
            skeleton = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model))
    except (OSError, ValueError, KeyError) as error:
        raise StageError(Reason.MODEL_INVALID, f"{model} is no causal language model: {error}") from None
    linear = [name for name, module in skeleton.named_modules() if isinstance(module, torch.nn.Linear | Conv1D)]
    matrices = [f"{name}.weight" for name in linear]
    for pattern in asked:
        if not any(pattern in name for name in matrices):
            raise StageError(
                Reason.CONFIG_INVALID,
                f"`osft.targetPatterns`: {pattern!r} fits no matrix; there are, for example, {matrices[:4]}",
            )
    # `layers.0.self_attn.q_proj` → `self_attn.q_proj.weight`; routers of mixtures of experts stay as they are
    found = {re.split(r"\.\d+\.", name)[-1] for name in linear if re.search(r"\.\d+\.", name)}
    patterns = asked or tuple(
        sorted(f"{name}.weight" for name in found if name.split(".")[-1] not in ("gate", "router"))
    )
    if not patterns:
        raise StageError(Reason.MODEL_INVALID, f"{model} has no linear layers in its blocks; set `osft.targetPatterns`")
    return patterns


def finish(trained: Path, base: Path, final: Path, workspace: Path) -> ModelArtifact:
    """Clean, prove and publish the model; `final` appears complete or not at all.

    Raises:
        StageError: `ModelNotSaved`, with what is wrong with the model.
    """
    from transformers import AutoTokenizer

    partial = final.with_name(f"{final.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    trained.rename(partial)
    AutoTokenizer.from_pretrained(base).save_pretrained(partial)  # the engines add special tokens to theirs
    for name in _FROM_BASE:
        if (base / name).is_file() and not (partial / name).exists():
            shutil.copyfile(base / name, partial / name)
    for shard in sorted(partial.glob("*.safetensors")):
        _clean(shard)
    parameters = prove(partial)
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    return ModelArtifact(
        path=str(final.relative_to(workspace)),
        digest=digest(final),
        parameters=parameters,
        bytes=sum(file.stat().st_size for file in final.rglob("*") if file.is_file()),
    )


def _clean(shard: Path) -> None:
    """Drop foreign tensors, undo the wrapper's names, and say that the tensors are PyTorch's, as loaders expect."""
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(shard, framework="pt") as file:
        names, metadata = list(file.keys()), file.metadata() or {}
    kept = _kept_names(names)
    if kept == {name: name for name in names} and metadata.get("format") == "pt":
        return
    tensors = load_file(shard)
    save_file({new: tensors[old] for old, new in kept.items()}, shard, metadata={**metadata, "format": "pt"})
    index = shard.parent / "model.safetensors.index.json"
    if index.is_file():
        content = json.loads(index.read_text())
        others = {k: v for k, v in content["weight_map"].items() if v != shard.name}
        content["weight_map"] = {**others, **dict.fromkeys(kept.values(), shard.name)}
        index.write_text(json.dumps(content, indent=2, sort_keys=True))


def _kept_names(names: list[str]) -> dict[str, str]:
    """Name in the engine's file → name in the model's."""
    wrapped = all(name.startswith(_WRAPPER) for name in names)
    return {name: name.removeprefix(_WRAPPER) if wrapped else name for name in names if not _FOREIGN.search(name)}


def prove(directory: Path) -> int:
    """Load the model, check that every weight is there and none is foreign, compute once, and count the parameters.

    Raises:
        StageError: `ModelNotSaved`.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    def refuse(why: str) -> StageError:
        return StageError(Reason.MODEL_NOT_SAVED, f"the trained model in {directory} is not usable: {why}")

    try:
        model, info = AutoModelForCausalLM.from_pretrained(directory, dtype="auto", output_loading_info=True)
        tokenizer = AutoTokenizer.from_pretrained(directory)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise refuse(str(error)) from None
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if info.get(kind):
            raise refuse(f"{kind.replace('_', ' ')} {sorted(map(str, info[kind]))[:5]}")
    if not tokenizer.chat_template:
        raise refuse("its tokenizer has no chat template")
    ids: Any = tokenizer("The quick brown fox", return_tensors="pt", add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits = model.eval()(input_ids=ids).logits
    if not torch.isfinite(logits).all():
        raise refuse("it computes values that are not finite")
    return sum(parameter.numel() for parameter in model.parameters())


def digest(directory: Path) -> str:
    """`sha256:` over the relative names and contents of all files, in order of their names."""
    total = hashlib.sha256()
    for file in sorted(p for p in directory.rglob("*") if p.is_file()):
        with file.open("rb") as content:
            total.update(f"{file.relative_to(directory).as_posix()}\0".encode())
            total.update(hashlib.file_digest(content, "sha256").digest())
    return f"sha256:{total.hexdigest()}"
