"""The HTTPS endpoint that running stages post progress and results to."""

from finetune_operator.endpoint.certificate import SecretMissing
from finetune_operator.endpoint.run import Endpoint, Settings, start
from finetune_operator.endpoint.sink import Sender, Sink

__all__ = ["Endpoint", "SecretMissing", "Sender", "Settings", "Sink", "start"]
