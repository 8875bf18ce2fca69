"""Reconciles FineTuneJob objects into Kubeflow Trainer TrainJobs."""
