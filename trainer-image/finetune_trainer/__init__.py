"""Runs the Train stage of a FineTuneJob: SFT and OSFT through training-hub, on CPU and GPU."""

__version__ = "0.1.0"
