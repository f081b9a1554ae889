"""Sources through the whole chain: photons, sealed tags, clock, gate, key; other rates, and gates of 200 ps, too."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from time import perf_counter
from typing import Any

from qkd_gs.errors import StationError
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.processing.pipeline import process_session
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.source import load_source
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin_photonics import PhotonicsSettings
from qkd_gs.share import share_path
from qkd_gs.sim.satellite import simulated_satellite
from qkd_gs.sim.synthetic_session import SyntheticSession

SECONDS = 20.0
_GAIN = 4.0  # so that a short interval makes a key


@dataclass(frozen=True)
class _Source:
    """A source, and the gate that fits it.

    Attributes
    ----------
    name : str
        Of config/sources.
    rate_hz : float, optional
        If not that of the file.
    gate_ns, tolerance_ns : float
    jitter_ns : float, optional
        Of the detectors, if not the twin's.
    """

    name: str
    gate_ns: float = 2.0
    tolerance_ns: float = 2.0
    rate_hz: float | None = None
    jitter_ns: float | None = None


@dataclass(frozen=True)
class _Session(SyntheticSession):
    """With detectors of another jitter."""

    jitter_ns: float | None = None

    def photonics(self) -> PhotonicsSettings:
        light = super().photonics()
        if self.jitter_ns is None:
            return light
        change = {'jitter_ns': self.jitter_ns, 'signal_pulse_ns': self.jitter_ns, 'delay_error_ns': 0.01}
        tdc = light.tdc.model_copy(update={'jitter_ps': 5.0})
        return light.model_copy(update={'spads': light.spads.model_copy(update=change), 'tdc': tdc})


_SOURCES = {
    'Micius, 100 MHz': _Source('micius'),
    'Jinan-1, 625 MHz': _Source('jinan1', 1.2, 0.7),
    'bench, 100 MHz': _Source('bench'),
    'bench without a beacon, 100 MHz': _Source('bench_without_beacon'),
    'bench, 76 MHz': _Source('bench', rate_hz=7.6e7),
    '625 MHz, gate of 200 ps': _Source('jinan1', 0.2, 0.7, jitter_ns=0.015),
    '1 GHz': _Source('bench', 0.6, 0.45, rate_hz=1e9, jitter_ns=0.06),
    '1 GHz, gate of 200 ps': _Source('bench', 0.2, 0.45, rate_hz=1e9, jitter_ns=0.015),
}


def run() -> dict[str, Any]:
    """Twenty seconds about culmination with each source, on a link four times as good as published."""
    with tempfile.TemporaryDirectory() as folder:
        keys = KeyFolder.create(Path(folder) / 'keys')
        return {name: _told(Path(folder) / str(k), keys, source) for k, (name, source) in enumerate(_SOURCES.items())}


def _told(folder: Path, keys: KeyFolder, source: _Source) -> dict[str, Any]:
    try:
        return _measure(folder, keys, source)
    except StationError as error:
        return {'refused': error.what}


def _measure(folder: Path, keys: KeyFolder, source: _Source) -> dict[str, Any]:
    station = _station(source)
    session = _Session(SECONDS, SECONDS / 2, gain=_GAIN, station=station)
    replace(session, jitter_ns=source.jitter_ns).write(folder, keys.session_public_key)
    begin, cpu = perf_counter(), _cpu_s()
    result = process_session(folder, keys, partial(simulated_satellite, folder, keys), lambda step, done: None)
    key, timing = result['key'], result['timing']
    return {
        'gate_ns': source.gate_ns,
        'tags': timing['tags'],
        'seconds': perf_counter() - begin,
        'cpu_s': _cpu_s() - cpu,
        'sync_rms_ns': timing['sync_rms_ns'],
        'sifted_bits': key['sifted_bits'],
        'qber': key['qber'],
        'secret_bits': key['secret_bits'],
        'reasons': key['reasons'],
    }


def _cpu_s() -> float:
    """Processor time of this process and of those that have ended: the satellite's."""
    used = [getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _station(source: _Source) -> StationSettings:
    data = load_yaml(share_path('config', 'station.yaml'), StationSettings).model_dump()
    data['source'] = load_source(source.name).model_dump()
    if source.rate_hz is not None:
        data['source']['pulse_rate_hz'] = source.rate_hz
    data['key']['gate_ns'], data['detectors']['delay_tolerance_ns'] = source.gate_ns, source.tolerance_ns
    if source.jitter_ns is not None:
        data['detectors']['delay_uncertainty_ns'] = min(0.3, source.gate_ns / 10)
    return StationSettings.model_validate(data)
