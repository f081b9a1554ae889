"""Time tags of the twin's detectors between two passes: a star in the field, the sky, and the dark."""

from __future__ import annotations

import numpy as np

from qkd_gs.settings.site import Site
from qkd_gs.settings.twin_photonics import PhotonicsSettings
from qkd_gs.sim.photons.light_meter import LightRates, View, dead_time_s
from qkd_gs.timing.tags import QUANTUM, TagBlock

_STREAM = 0x57A6
_NO_TAGS = TagBlock(np.empty(0, np.int64), np.empty(0, np.uint8))


class Starlight:
    """Photons that come at random: the tags of a run that begins at `start_ns`.

    Dead time lowers the rates; how the clicks lie in an interval has no meaning.
    """

    def __init__(self, settings: PhotonicsSettings, site: Site, seed: int, start_ns: int) -> None:
        self._rates = LightRates(settings, site, seed, start_ns)
        self._dead_s = dead_time_s(settings)
        self._rng = np.random.default_rng(np.random.SeedSequence([seed, _STREAM, start_ns % 2**32]))
        self._start_ns = self._until_ns = start_ns
        self._waiting: list[TagBlock] = []

    def observe(self, view: View) -> None:
        """The true state at the end of the interval just elapsed, behind an open shutter."""
        self._count(view.t_ns, view)

    def observe_dark(self, t_ns: int) -> None:
        """The interval just elapsed was spent behind a closed shutter."""
        self._count(t_ns, None)

    def add(self, more: TagBlock) -> None:
        """Tags of another light in the interval just elapsed."""
        last = self._waiting.pop() if self._waiting else _NO_TAGS
        time_ps = np.concatenate([last.time_ps, more.time_ps])
        order = np.argsort(time_ps, kind='stable')
        self._waiting.append(TagBlock(time_ps[order], np.concatenate([last.channel, more.channel])[order]))

    def _count(self, t_ns: int, view: View | None) -> None:
        span_ns = t_ns - self._until_ns
        if span_ns <= 0:
            return
        rates = self._rates.at(view)
        counts = self._rng.poisson(rates / (1 + rates * self._dead_s) * span_ns * 1e-9)
        channel = np.repeat(np.array([int(one) for one in QUANTUM], np.uint8), counts)
        time_ps = (self._until_ns - self._start_ns) * 1000 + self._rng.integers(0, span_ns * 1000, len(channel))
        order = np.argsort(time_ps, kind='stable')
        self._waiting.append(TagBlock(time_ps[order], channel[order]))
        self._until_ns = t_ns

    def poll(self) -> TagBlock:
        """Tags since the last call."""
        blocks, self._waiting = self._waiting, []
        if not blocks:
            return _NO_TAGS
        return TagBlock(
            np.concatenate([one.time_ps for one in blocks]), np.concatenate([one.channel for one in blocks])
        )
