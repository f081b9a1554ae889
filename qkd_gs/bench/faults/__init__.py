"""Fault injection into a station of real processes: whether it survives each, how soon it says so, which tags are lost.

The demo's pass is taken in real time, again and again until every fault was injected, each when the satellite is held
and the station has nothing to complain of.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qkd_gs.bench.faults.campaign import Campaign, Outcome
from qkd_gs.bench.faults.lost_tags import gaps, overlap_s
from qkd_gs.bench.faults.program import FAULTS
from qkd_gs.bench.live_pass import LivePass, Place, demo_processes
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.nodes.clients.operator import Operator
from qkd_gs.station.processes import StationProcesses

_FROM_EL_DEG = 20.0
_LOOK_S = 0.05
_MARGIN_NS = 500_000_000  # the station's clock of a look is so much older than the fault


def run() -> dict[str, Any]:
    """Inject every fault.

    Returns
    -------
    dict
        ``faults``: for each its ``name``; whether it was ``survived`` (the satellite was held again and the station
        had nothing to complain of); ``told_s``, real time until the station said something of it, and what it
        ``said``; ``again_s``, real time until it was survived; ``lost_tags_s``, station time without tags.
    """
    outcomes: list[Outcome] = []
    left = list(FAULTS)
    while left:
        found = _campaign(left)
        outcomes += found
        left = left[len(found) :] if found else []
    return {'faults': [_figures(one) for one in outcomes]}


class Station:
    """A started station as faults see it."""

    def __init__(self, processes: StationProcesses, sessions: Path) -> None:
        self.sessions, self._processes = sessions, processes

    def pids(self) -> dict[str, int]:
        """Process of each node now."""
        return self._processes.pids()


class Lines:
    """Lines that the supervisor of the processes writes."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._lock = threading.Lock()

    def say(self, name: str, line: str) -> None:
        """Take a line of a node or about it."""
        with self._lock:
            self._lines.append(f'{name}: {line}')

    def since(self) -> list[str]:
        """Lines since the last call."""
        with self._lock:
            lines, self._lines = self._lines, []
            return lines


def _campaign(faults: list[Any]) -> list[Outcome]:
    """One world: its pass, and as many faults as it has time for."""
    lines = Lines()
    with demo_processes(_FROM_EL_DEG, lines.say) as place:
        operator: Operator | None = None
        campaign = Campaign(Station(place.processes, place.sessions), faults, lines.since, told=_tell)
        try:
            place.processes.start()
            operator = Operator()
            live = LivePass(place.processes, operator, _LOOK_S)
            live.until_ready()
            campaign.session = 'faults'
            live.track(campaign.session, campaign)
        finally:
            campaign.pass_is_over()
            place.processes.stop()
            if operator is not None:
                operator.close()
        _count_lost_tags(place, campaign.outcomes)
        return campaign.outcomes


def _tell(one: Outcome) -> None:
    """Say how a fault has ended, as the campaign goes on."""
    told = 'not told' if one.told_s is None else f'told after {one.told_s:.1f} s: {one.said}'
    sys.stderr.write(f'{one.fault.name}: {"survived" if one.survived else "not survived"}, {told}\n')


def _count_lost_tags(place: Place, outcomes: list[Outcome]) -> None:
    found = gaps(place.sessions / 'faults', KeyFolder(place.keys)) if outcomes else []
    for one in outcomes:
        end_ns = one.end_ns or 2 * one.begin_ns
        one.lost_tags_s = sum(overlap_s(gap, one.begin_ns - _MARGIN_NS, end_ns) for gap in found)


def _figures(one: Outcome) -> Mapping[str, Any]:
    return {
        'name': one.fault.name,
        'survived': one.survived,
        'told_s': None if one.told_s is None else round(one.told_s, 2),
        'said': one.said,
        'again_s': round(one.end_s - one.begin_s, 1) if one.survived else None,
        'lost_tags_s': round(one.lost_tags_s, 2),
    }
