"""Trains extraction prompts for local language models, as a Kubernetes operator."""

__version__ = "0.1.0"
