"""The memory of this process as the kernel counts it."""

from __future__ import annotations

from pathlib import Path


def memory_mib() -> tuple[float, float]:
    """Most resident memory so far (VmHWM) and that of now (VmRSS), in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    values = dict(line.split(":", 1) for line in lines)
    peak, now = (int(values[name].split()[0]) / 1024 for name in ("VmHWM", "VmRSS"))
    return peak, now
