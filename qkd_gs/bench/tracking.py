"""Benchmark of tracking: the published Shanghai pass in the twin, with tracking metrics, step times and a profile.

No key is made.  The tracking metrics are defined as in the result of `qkd-gs simulate`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np

from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.photons.tdc_gps import SimTdc
from qkd_gs.sim.simulate import Simulation, Watcher, run_simulation
from qkd_gs.sim.twin import Twin
from qkd_gs.timing.recorder import TagRecorder
from qkd_gs.timing.sealed.hybrid import SealingKey
from qkd_gs.tracking.camera.camera_loop import CameraLoop
from qkd_gs.tracking.control.tracker import Tracker

_SEED = 1
_AT = '2018-10-03T15:56:42Z'
_PERCENT = (50, 95, 99)
_TIMED = (
    ('twin', Twin, 'advance'),
    ('spots', CameraLoop, 'step'),
    ('tracker', Tracker, 'step'),
    ('photons', SimTdc, 'poll'),
    ('recorder', TagRecorder, 'step'),
)


def run() -> dict[str, Any]:
    """Calibrate and track the pass with seed 1; CPU times of this process, step times in wall time."""
    stopwatch = Stopwatch()
    sealing = SealingKey.generate().public_bytes()
    with TemporaryDirectory() as folder, ExitStack() as stack:
        for name, owner, method in _TIMED:
            stack.enter_context(stopwatch.on(name, owner, method))
        begin = perf_counter()
        manifest = run_simulation(_simulation(), Path(folder) / 'session', lambda session_id: sealing, stopwatch)
        elapsed_s = perf_counter() - begin
    stopwatch.step('')
    steps_us = np.array(stopwatch.wall_s['tracker']) * 1e6
    return {
        **(manifest.tracking or {}),
        'control_steps': len(steps_us),
        **{f'step_{p}_us': float(np.percentile(steps_us, p)) for p in _PERCENT},
        'pass_s': manifest.run['pass_s'],
        'elapsed_s': elapsed_s,
        'times_real_time': manifest.run['pass_s'] / elapsed_s,
        **{f'cpu_{name}_s': seconds for name, seconds in stopwatch.cpu_s.items()},
    }


def _simulation() -> Simulation:
    return Simulation(
        elements=load_elements(share_path('config', 'elements', 'micius.tle')),
        site=load_site('shanghai'),
        at_ns=parse_utc(_AT),
        seed=_SEED,
        station=load_yaml(share_path('config', 'station.yaml'), StationSettings),
        twin=load_twin(),
    )


@dataclass
class Stopwatch(Watcher):
    """CPU seconds of the parts that `run_simulation` announces, and of single methods while the pass is taken."""

    cpu_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    wall_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _part: str = ''
    _since_s: float = 0.0

    def step(self, text: str) -> None:
        """A new part begins; '' ends the last one."""
        now_s = process_time()
        if self._part:
            self.cpu_s[self._part] += now_s - self._since_s
        self._part, self._since_s = text.partition(' ')[0], now_s

    @contextmanager
    def on(self, name: str, owner: type, method: str) -> Iterator[None]:
        """Time every call of a method that falls into the pass."""
        original: Callable[..., Any] = getattr(owner, method)

        def timed(*arguments: Any) -> Any:
            cpu_s, wall_s = process_time(), perf_counter()
            result = original(*arguments)
            if self._part == 'taking':
                self.wall_s[name].append(perf_counter() - wall_s)
                self.cpu_s[f'taking_{name}'] += process_time() - cpu_s
            return result

        setattr(owner, method, timed)
        try:
            yield
        finally:
            setattr(owner, method, original)
