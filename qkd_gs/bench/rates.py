"""Repetition rates through the whole chain: photons, sealed tags, clock, gate, key; also with a gate of 200 ps."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from qkd_gs.keys.folder import KeyFolder
from qkd_gs.processing.pipeline import process_session
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin_photonics import PhotonicsSettings
from qkd_gs.share import share_path
from qkd_gs.sim.satellite import simulated_satellite
from qkd_gs.sim.synthetic_session import SyntheticSession

SECONDS = 20.0
_GAIN = 4.0  # so that a short interval makes a key


@dataclass(frozen=True)
class _Source:
    """A source, and the gate that fits it; `jitter_ns` of the detectors if not the twin's."""

    rate_hz: float
    gate_ns: float
    tolerance_ns: float
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
    '76 MHz': _Source(7.6e7, 2.0, 2.0),
    '100 MHz': _Source(1e8, 2.0, 2.0),
    '625 MHz': _Source(6.25e8, 1.2, 0.7),
    '625 MHz, gate of 200 ps': _Source(6.25e8, 0.2, 0.7, jitter_ns=0.015),
    '1 GHz': _Source(1e9, 0.6, 0.45, jitter_ns=0.06),
    '1 GHz, gate of 200 ps': _Source(1e9, 0.2, 0.45, jitter_ns=0.015),
}


def run() -> dict[str, Any]:
    """Twenty seconds about culmination at each rate, on a link four times as good as published."""
    with tempfile.TemporaryDirectory() as folder:
        keys = KeyFolder.create(Path(folder) / 'keys')
        return {name: _measure(Path(folder), keys, source) for name, source in _SOURCES.items()}


def _measure(base: Path, keys: KeyFolder, source: _Source) -> dict[str, Any]:
    station = _station(source)
    folder = base / f'{source.rate_hz:.0f}-{source.gate_ns}'
    session = _Session(SECONDS, SECONDS / 2, gain=_GAIN, station=station)
    replace(session, jitter_ns=source.jitter_ns).write(folder, keys.session_public_key)
    begin = perf_counter()
    result = process_session(folder, keys, partial(simulated_satellite, folder, keys), lambda step, done: None)
    key, timing = result['key'], result['timing']
    return {
        'gate_ns': source.gate_ns,
        'tags': timing['tags'],
        'seconds': perf_counter() - begin,
        'sync_rms_ns': timing['sync_rms_ns'],
        'sifted_bits': key['sifted_bits'],
        'qber': key['qber'],
        'secret_bits': key['secret_bits'],
        'reasons': key['reasons'],
    }


def _station(source: _Source) -> StationSettings:
    data = load_yaml(share_path('config', 'station.yaml'), StationSettings).model_dump()
    data['source']['pulse_rate_hz'] = source.rate_hz
    data['key']['gate_ns'], data['detectors']['delay_tolerance_ns'] = source.gate_ns, source.tolerance_ns
    if source.jitter_ns is not None:
        data['detectors']['delay_uncertainty_ns'] = min(0.3, source.gate_ns / 10)
    return StationSettings.model_validate(data)
