"""Whether a station that runs for hours grows: memory, open files, threads, logs."""

from qkd_gs.bench.endurance.program import run

__all__ = ['run']
