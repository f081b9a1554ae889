"""Planner node: next pass, and the predicted position of the satellite from the elements alone."""

from __future__ import annotations

from math import nan, radians

import numpy as np

import qkd_gs.msg as m
from qkd_gs.devices.capability import why_too_coarse
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.base import CoreNode
from qkd_gs.nodes.runtime.context import mount_capability, site_of, station_of
from qkd_gs.nodes.runtime.process import run, say_age_of_elements
from qkd_gs.nodes.runtime.qos import TRANSIENT_LOCAL
from qkd_gs.orbit.elements import load_elements
from qkd_gs.pointing.pass_window import PassWindow, next_pass_window, spans_without_light

_TARGET_S = 0.1
_SEARCH_S = 60.0
_NEAR_NS = 300 * 10**9  # before the start: the target is published from then on


class PlannerNode(CoreNode):
    """Searches a day ahead, and again when a pass is over."""

    name = 'planner'

    def __init__(self) -> None:
        super().__init__()
        say_age_of_elements()
        self._station, self._site = station_of(self), site_of(self)
        self._capability = mount_capability(self)
        self._elements = load_elements(self.elements_path())
        self._next: PassWindow | None = None
        self._searched_ns: int | None = None
        self._passes = self.publisher(m.NextPass, 'next_pass', TRANSIENT_LOCAL)
        self._targets = self.publisher(m.Target, 'target')
        self.every(_TARGET_S, self._step)

    def _step(self, now_ns: int) -> None:
        due = self._searched_ns is None or now_ns - self._searched_ns > _SEARCH_S * 1e9
        if due and (self._next is None or now_ns > self._next.end_ns):
            self._searched_ns = now_ns
            self._next = next_pass_window(self._elements, self._site, now_ns, self._station)
            self._passes.publish(self._message(now_ns))
        following = self._next
        if following is None:
            return
        first_ns = max(following.start_ns - _NEAR_NS, following.predicted.start_ns)
        if first_ns <= now_ns <= following.end_ns:
            state = following.predicted.at(now_ns)
            self._targets.publish(messages.target(now_ns, state, following.found.satellite))

    def _message(self, now_ns: int) -> m.NextPass:
        message = m.NextPass(
            header=messages.header(now_ns, 'station'),
            max_elevation_rad=nan,
            min_range_m=nan,
            sun_elevation_rad=nan,
            reasons='no pass within a day',
        )
        if self._next is None:
            return message
        found = self._next.found
        message.satellite = found.satellite
        coarse = self._too_coarse(self._next)
        message.usable = found.usable and not coarse
        message.reasons = '; '.join((*found.reasons, *coarse, *self._dark(self._next)))
        message.start, message.end = messages.to_time(self._next.start_ns), messages.to_time(self._next.end_ns)
        message.culmination = messages.to_time(found.culmination_ns)
        message.max_elevation_rad = radians(found.max_elevation_deg)
        message.min_range_m = found.min_range_km * 1e3
        message.sun_elevation_rad = radians(found.sun_elevation_deg)
        return message

    def _too_coarse(self, window: PassWindow) -> list[str]:
        """Reason why the mount cannot hold the satellite in the tracking camera; empty: it can."""
        if self._capability is None:
            return []
        t_ns = np.arange(window.start_ns, window.end_ns, 10**9, dtype=np.int64)
        fastest = float(np.abs(window.predicted.table(t_ns).az_rate_rad_s).max())
        coarse = why_too_coarse(self._capability, fastest, self._station)
        return [coarse] if coarse else []

    def _dark(self, window: PassWindow) -> tuple[str, ...]:
        return spans_without_light(window.predicted, window.start_ns, window.end_ns, self._station, self._site)


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run(PlannerNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
