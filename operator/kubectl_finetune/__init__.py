"""The kubectl plugin: `kubectl finetune watch NAME`."""
