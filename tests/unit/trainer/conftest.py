"""Fixtures of the trainer's unit tests."""

from tests.unit.trainer.loopback import clock

__all__ = ["clock"]
