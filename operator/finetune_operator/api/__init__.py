"""The FineTuneJob API: models, and the custom resource definition made from them. Pure."""
