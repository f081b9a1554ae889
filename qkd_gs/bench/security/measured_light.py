"""Light that an eavesdropper measures, splits or replaces, and detectors that she controls."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

from qkd_gs.arrays import ByteArray, FloatArray, IntArray
from qkd_gs.qkd.sifting.states import PulseStates
from qkd_gs.sim.photons.arrivals import Clicks, PhotonSource
from qkd_gs.sim.photons.detectors import BB84Module
from qkd_gs.timing.tags import TagBlock


class Interceptor(BB84Module):
    """Measures a part of the photons in a random basis and sends on what it found."""

    share = 1.0

    def measure(self, states: PulseStates, polarization_error_rad: FloatArray, rng: np.random.Generator) -> ByteArray:
        """Channel of each photon, some of which are replaced."""
        n = len(states.bit)
        caught = rng.random(n) < self.share
        basis = rng.integers(0, 2, n).astype(np.uint8)
        bit = np.where(basis == states.basis, states.bit, rng.integers(0, 2, n)).astype(np.uint8)
        sent_on = PulseStates(
            states.intensity, np.where(caught, basis, states.basis), np.where(caught, bit, states.bit)
        )
        return super().measure(sent_on, polarization_error_rad, rng)


class SomeIntercepted(Interceptor):
    """A tenth of them."""

    share = 0.1


class FakedStates(BB84Module):
    """Detector control by bright light: clicks only where Bob measures in Eve's basis, and then always her bit."""

    def measure(self, states: PulseStates, polarization_error_rad: FloatArray, rng: np.random.Generator) -> ByteArray:
        """Channel of each photon that she lets click."""
        n = len(states.bit)
        eve, bob = rng.integers(0, 2, (2, n))
        bit = np.where(eve == states.basis, states.bit, rng.integers(0, 2, n))
        return np.where(eve == bob, 1 + 2 * bob + bit, 0).astype(np.uint8)

    def afterpulses(
        self, time_ps: IntArray, channel: ByteArray, rng: np.random.Generator
    ) -> tuple[IntArray, ByteArray]:
        """None: bright light does not leave any."""
        return time_ps[:0], channel[:0]


def source_with(module: type[BB84Module]) -> type[PhotonSource]:
    """Photons that pass through somebody's hands."""

    class Tapped(PhotonSource):
        def __init__(self, settings: Any, *arguments: Any) -> None:
            super().__init__(settings, *arguments)
            self._module = module(settings.spads, settings.polarization)

    return Tapped


class BlindedSource(source_with(FakedStates)):  # type: ignore[misc]
    """Blinded diodes have no dark counts."""

    def _noise(self, *_: Any) -> Clicks:
        return np.empty(0, np.int64), np.empty(0, np.uint8)


class _Splitter:
    """Keeps single photons back, and lets the pulses with more through so that the signal's rate stays."""

    def __init__(self, transmitter: Any) -> None:
        self._transmitter = transmitter
        many = 1 - np.exp(-transmitter.mu) * (1 + transmitter.mu)
        self.mu = transmitter.mu[0] * many / many[0]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transmitter, name)


class SplittingSource(PhotonSource):
    """Photon-number splitting."""

    def __init__(self, settings: Any, detectors: Any, transmitter: Any, *rest: Any) -> None:
        super().__init__(settings, detectors, _Splitter(transmitter), *rest)  # type: ignore[arg-type]


def each_block(change: Callable[[int, TagBlock], TagBlock]) -> Callable[[TagBlock], TagBlock]:
    """Apply a change, told the number of the block, to the tags of each tenth of a second, and sort them again."""
    number = count()

    def changed(block: TagBlock) -> TagBlock:
        found = change(next(number), block)
        order = np.argsort(found.time_ps, kind='stable')
        return TagBlock(found.time_ps[order], found.channel[order])

    return changed
