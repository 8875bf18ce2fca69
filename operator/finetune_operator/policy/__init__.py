"""Ordered, named judgements over an Observation. Pure."""
