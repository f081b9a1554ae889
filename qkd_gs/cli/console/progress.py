"""Progress display of a running command, on standard error."""

from __future__ import annotations

import sys
from math import degrees, isfinite

from rich.console import Console

from qkd_gs.orbit.timescale import format_utc
from qkd_gs.sim.lockstep import Progress
from qkd_gs.sim.simulate import Watcher

_LINE_EVERY_NS = 10 * 10**9
_STEP_SHARE = 0.25


class ConsoleWatcher(Watcher):
    """A line for each step, and one that keeps changing (on a terminal) or comes every ten seconds of the pass."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(file=sys.stderr, quiet=quiet, highlight=False, soft_wrap=True)
        self._status = self._console.status('') if self._console.is_terminal else None
        self._told_ns = 0
        self._told: tuple[str, float] = ('', 0.0)
        self._last = ''

    def step(self, text: str) -> None:
        """A new part of the work."""
        self._stop()
        self._console.print(f'[bold]{text}[/bold]')

    def calibrating(self, now_ns: int, text: str) -> None:
        """The calibration goes on."""
        if text != self._last:
            self._last = text
            self._show(f'{format_utc(now_ns, 0)}  {text}', True)

    def passing(self, progress: Progress) -> None:
        """The pass goes on."""
        due = progress.now_ns - self._told_ns >= _LINE_EVERY_NS
        if due:
            self._told_ns = progress.now_ns
        self._show(pass_line(progress), due)

    def making_key(self, step: str, fraction: float) -> None:
        """A step of the post-processing."""
        before, share = self._told
        if step == before and fraction < 1.0 and fraction - share < _STEP_SHARE:
            return
        self._told = (step, fraction)
        percent = f' {fraction:.0%}' if fraction > 0 else ''
        self._show(f'  {step}{percent}', True)

    def done(self) -> None:
        """Nothing more will change."""
        self._stop()

    def _show(self, text: str, due: bool) -> None:
        if self._status is not None:
            self._status.start()
            self._status.update(text)
        elif due:
            self._console.print(text)

    def _stop(self) -> None:
        if self._status is not None:
            self._status.stop()


def pass_line(progress: Progress) -> str:
    """One line: time, phase, elevation, tracking error, counts."""
    parts = [format_utc(progress.now_ns, 0), f'{progress.phase.name:<7}', f'el {degrees(progress.el_rad):5.1f} deg']
    if isfinite(progress.error_x_urad):
        parts.append(f'spot x {progress.error_x_urad:6.1f}  y {progress.error_y_urad:6.1f} urad')
    if progress.counts is not None:
        photons, beacon = sum(progress.counts.counts[:4]), progress.counts.counts[4]
        parts.append(f'{photons:6d} photons/s  {beacon:5d} sync/s')
        live = progress.counts.live
        if isfinite(live.signal_share):
            parts.append(
                f'sync +-{live.sync_residual_ns:3.0f} ns  about {progress.counts.sifted_bit_s:5.0f} sifted bit/s'
            )
    return '  '.join(parts)
