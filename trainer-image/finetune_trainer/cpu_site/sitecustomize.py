"""Python runs this at the start of every process with this directory on PYTHONPATH: the engine's on a CPU."""

from finetune_trainer import cpu

cpu.install()
