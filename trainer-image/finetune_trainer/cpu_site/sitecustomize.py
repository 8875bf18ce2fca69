"""Python runs this at start-up of every process that has this directory on PYTHONPATH: the engine's workers on a CPU."""

from finetune_trainer import cpu

cpu.install()
