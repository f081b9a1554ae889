"""Trusted light of the twin: a pulsed source with its trigger, a lamp, and darkness, on the receiver of a seed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qkd_gs.arrays import ByteArray, IntArray
from qkd_gs.settings.twin_photonics import PhotonicsSettings
from qkd_gs.sim.photons.detectors import alive
from qkd_gs.timing.tags import QUANTUM, Channel, TagBlock

PULSES_HZ = 100_000
_CLICKS_A_PULSE = 0.05  # of one detector
_LAMP_CPS = 20_000
_BLOCK_S = 0.5
_SECOND_PS = 10**12


def pulsed_source(
    settings: PhotonicsSettings, true_delay_ps: IntArray, seed: int, seconds: float
) -> Iterator[TagBlock]:
    """Tags of a pulsed laser on all four detectors; the trigger on the input of the beacon."""
    rng = np.random.default_rng([seed, 1])
    efficiency = _efficiency(settings)
    sigma_ps = 1e3 * np.hypot(settings.spads.jitter_ns, settings.spads.signal_pulse_ns)
    for start_ps, length_ps in _blocks(seconds):
        pulse_ps = start_ps + np.arange(int(length_ps * PULSES_HZ // _SECOND_PS)) * (_SECOND_PS // PULSES_HZ)
        times, channels = [pulse_ps], [np.full(len(pulse_ps), Channel.BEACON, np.uint8)]
        for channel, relative in zip(QUANTUM, efficiency, strict=True):
            seen = pulse_ps[rng.random(len(pulse_ps)) < _CLICKS_A_PULSE * relative]
            jitter_ps = np.rint(rng.standard_normal(len(seen)) * sigma_ps).astype(np.int64)
            times.append(seen + true_delay_ps[channel] + jitter_ps)
            channels.append(np.full(len(seen), channel, np.uint8))
        noise_ps, noise = _steady(settings.noise.dark_cps / 4 * np.ones(4), start_ps, length_ps, rng)
        yield _tagged(settings, [*times, noise_ps], [*channels, noise], rng)


def lamp(settings: PhotonicsSettings, seed: int, seconds: float, lit: bool) -> Iterator[TagBlock]:
    """Tags of an unpolarized lamp, or of the dark."""
    rng = np.random.default_rng([seed, 2, lit])
    rate = settings.noise.dark_cps / 4 + lit * _LAMP_CPS * _efficiency(settings)
    for start_ps, length_ps in _blocks(seconds):
        times, channels = _steady(rate, start_ps, length_ps, rng)
        yield _tagged(settings, [times], [channels], rng)


def _efficiency(settings: PhotonicsSettings) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([settings.spads.relative_efficiency[channel.name] for channel in QUANTUM])


def _blocks(seconds: float) -> Iterator[tuple[int, int]]:
    length_ps = round(_BLOCK_S * _SECOND_PS)
    for number in range(round(seconds / _BLOCK_S)):
        yield _SECOND_PS + number * length_ps, length_ps


def _steady(
    rate_cps: np.ndarray[tuple[int], np.dtype[np.float64]], start_ps: int, length_ps: int, rng: np.random.Generator
) -> tuple[IntArray, ByteArray]:
    counts = rng.poisson(rate_cps * length_ps / _SECOND_PS)
    return (
        rng.integers(start_ps, start_ps + length_ps, int(counts.sum())),
        np.repeat(np.array(QUANTUM, np.uint8), counts),
    )


def _tagged(
    settings: PhotonicsSettings, times: list[IntArray], channels: list[ByteArray], rng: np.random.Generator
) -> TagBlock:
    """Clicks that the dead time lets through, in order, with the jitter of the time tagger."""
    time_ps, channel = np.concatenate(times), np.concatenate(channels)
    order = np.argsort(time_ps, kind='stable')
    time_ps, channel = time_ps[order], channel[order]
    dead_ps = dict.fromkeys(map(int, QUANTUM), round(settings.spads.dead_time_ns * 1e3))
    keep = alive(time_ps, channel, dead_ps, {})
    read_ps = time_ps[keep] + np.rint(rng.standard_normal(int(keep.sum())) * settings.tdc.jitter_ps).astype(np.int64)
    order = np.argsort(read_ps, kind='stable')
    return TagBlock(read_ps[order], channel[keep][order])
