"""The one error that the sandbox raises for what its user can do something about."""

from __future__ import annotations


class SandboxError(RuntimeError):
    """Something of the sandbox did not start or answer; the message says what, with the end of its log."""
