"""The evening on a running station: a client that performs its steps by the station's actions, and listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import degrees, hypot
from pathlib import Path

from sensor_msgs.msg import NavSatFix, NavSatStatus, TimeReference

import qkd_gs.msg as m
from qkd_gs.calibration.light.history import LightNight, load_history
from qkd_gs.devices.gps import GpsReading
from qkd_gs.devices.mount import MountReading
from qkd_gs.errors import StationError
from qkd_gs.evening.checks import time_and_place
from qkd_gs.evening.choice import LEAST_BITS, MeasuredLight, choose_passes
from qkd_gs.evening.evening import Conditions, Evening, Order, Outcome
from qkd_gs.evening.journal import Entry, Journal
from qkd_gs.evening.steps import State, Step
from qkd_gs.monitoring.readiness import OPTIONAL, Level
from qkd_gs.monitoring.snapshot import KeyStep, Snapshot
from qkd_gs.nodes.clients.operator import Operator
from qkd_gs.nodes.conversions import messages
from qkd_gs.orbit.elements import Elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.pointing_file import FILE_NAME, load_pointing
from qkd_gs.settings.downlink import load_downlink
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings

_STEP_S = 0.2
_PARKED_DEG = 1.0
_SAME_PASS_NS = 60 * 10**9
_BY_HAND = 'the detector node counts during a pass only: count by hand'


class Aborted(StationError):
    """The operator has ended a step."""


@dataclass(frozen=True)
class StationFiles:
    """Settings and folders of the running station, as it was started with them."""

    elements: Elements
    site: Site
    station: StationSettings
    state_dir: Path
    sessions_dir: Path
    least_bits: int = LEAST_BITS


class EveningOperator(Operator):
    """Performs the steps of an evening, one at a time; each call returns when the step is over."""

    def __init__(self, namespace: str, files: StationFiles) -> None:
        super().__init__(namespace)
        self._files = files
        self._fix: NavSatFix | None = None
        self._pps: TimeReference | None = None
        self._mount: MountReading | None = None
        self._reasons = ''
        self._listen(NavSatFix, 'gps/fix', self._take_fix)
        self._listen(TimeReference, 'gps/time', self._take_pps)
        self._listen(m.MountState, 'mount/state', self._take_mount)
        self._listen(m.SafetyStatus, 'safety/status', self._take_safety)

    def now_ns(self) -> int:
        """Station time; also receives what has come."""
        return self._listen_to_station(_STEP_S).now_ns

    @property
    def bad_weather(self) -> str:
        """What the supervisor says of weather and shutter; empty: nothing."""
        return ' '.join(one for one in self._reasons.split() if one.startswith('weather.'))

    def conditions(self, snapshot: Snapshot) -> Conditions:
        """Weather and next pass."""
        coming = snapshot.coming
        ahead = coming is not None and coming.usable and coming.start_ns > snapshot.now_ns
        return Conditions(self.bad_weather, coming.start_ns if ahead and coming is not None else None)

    def run(self, evening: Evening, show: Callable[[Snapshot, str], None], say: Callable[[str], None]) -> None:
        """Perform the steps of an evening until it is over.

        Weather and dawn are looked at between the steps; within them the station itself closes, parks and darkens.

        Raises
        ------
        KeyboardInterrupt
            Ctrl-C; the step under way was ended safely, and the same command goes on with it.
        StationError
            No station, or the journal cannot be written.
        """
        while True:
            snapshot = self._listen_to_station(_STEP_S)
            order = evening.next(snapshot.now_ns, self.conditions(snapshot))
            say(order.sentence)
            if order.order is Order.OVER:
                return
            if order.order is Order.WAIT:
                show(snapshot, order.sentence)
                evening.seen(snapshot.now_ns)
                continue
            assert order.entry is not None
            evening.begin(snapshot.now_ns, order.entry)
            try:
                outcome = self.perform(order.entry, evening.journal, show)
            except Aborted as error:
                evening.end(self.now_ns(), Outcome(State.PENDING, f'ended by the operator: {error.what}'))
                raise KeyboardInterrupt from error
            evening.end(self.now_ns(), outcome)
            say(f'  {outcome.state}: {outcome.sentence}')

    def perform(self, entry: Entry, journal: Journal, show: Callable[[Snapshot, str], None]) -> Outcome:
        """Perform a step.

        Raises
        ------
        Aborted
            By Ctrl-C; the step can be repeated.
        """
        performers: dict[Step, Callable[[], Outcome]] = {
            Step.SELF_TEST: lambda: self._self_test(show),
            Step.TIME_AND_PLACE: lambda: self._time_and_place(show),
            Step.FIND: self._find,
            Step.CALIBRATE: lambda: self._calibrate(show),
            Step.FOCUS: lambda: Outcome(State.UNAVAILABLE, 'no node moves the focuser: focus by hand'),
            Step.EFFICIENCY: lambda: self._light(journal, 'efficiency', 'star-test'),
            Step.NOISE: lambda: self._light(journal, 'noise', 'noise-map'),
            Step.POLARIZATION: self._polarization,
            Step.ARM: lambda: self._arm(journal),
            Step.TRACK: lambda: self._track(entry, show),
            Step.PROCESS: lambda: self._process(entry, journal, show),
            Step.REPORT: lambda: self._report(entry, journal),
            Step.PARK: self._park,
        }
        try:
            return performers[entry.step]()
        except StationError as error:
            if '(ABORTED)' in error.what:
                raise Aborted(error.what) from error
            return Outcome(State.FAILED, str(error))

    def _self_test(self, show: Callable[[Snapshot, str], None]) -> Outcome:
        """Wait until the monitor has activated every node; it says what is missing meanwhile."""
        found = self.listen_until(
            lambda now: now.readiness.level is not Level.ERROR and bool(now.nodes) and not _troubled(now),
            lambda now: self._see(now, show, 'waits for the station'),
            _STEP_S,
        )
        return Outcome(State.DONE, f'{len(found.nodes)} nodes work: {found.readiness.sentence}')

    def _time_and_place(self, show: Callable[[Snapshot, str], None]) -> Outcome:
        self._fix = self._pps = None
        found = self.listen_until(
            lambda now: self._fix is not None and self._pps is not None,
            lambda now: self._see(now, show, 'waits for a message of the GPS receiver'),
            _STEP_S,
        )
        assert self._fix is not None
        assert self._pps is not None
        seen = self._fix.status.status != NavSatStatus.STATUS_NO_FIX
        place = self._fix.latitude, self._fix.longitude, self._fix.altitude
        reading = GpsReading(
            messages.stamp_of(self._pps), messages.from_time(self._pps.time_ref), *place, int(seen), float('nan')
        )
        return time_and_place(reading, found.now_ns, self._files.site)

    def _find(self) -> Outcome:
        if not (self._files.state_dir / FILE_NAME).exists():
            why = 'the calibrator node does not photograph strips of sky: centre one star by hand'
            return Outcome(State.UNAVAILABLE, why)
        stored = load_pointing(self._files.state_dir)
        said = 'one star was centred by hand' if stored.coarse else f'calibrated on {stored.fitted_utc}'
        return Outcome(State.NOT_NEEDED, said)

    def _calibrate(self, show: Callable[[Snapshot, str], None]) -> Outcome:
        result = self.calibrate(0, show)
        return Outcome(State.DONE, result.summary, {'heldout_urad': round(result.heldout_rms_rad * 1e6, 2)})

    def _light(self, journal: Journal, kind: str, command: str) -> Outcome:
        """Tonight's result of a test that was made by hand."""
        found = self._tonights(journal, kind)
        if found is None:
            return Outcome(State.UNAVAILABLE, f'{_BY_HAND}, and give the counts to `qkd-gs {command} --write`')
        return Outcome(State.DONE, f'measured by hand: {found.summary}', {'value': found.value})

    def _tonights(self, journal: Journal, kind: str) -> LightNight | None:
        last = load_history(self._files.state_dir).before(self._files.site.name, kind)
        fresh = last is not None and parse_utc(last.utc, 'utc') >= parse_utc(journal.begun_utc, 'begun_utc')
        return last if fresh else None

    def _polarization(self) -> Outcome:
        stored = load_pointing(self._files.state_dir)
        if stored.hwp_sigma_deg is None:
            return Outcome(State.UNAVAILABLE, 'no polarized light: count it by hand for `qkd-gs calibrate-hwp`')
        said = f'zero known to {stored.hwp_sigma_deg:.3f} deg, {stored.hwp_offset_deg:+.3f} deg from the setting'
        return Outcome(State.NOT_NEEDED, said)

    def _arm(self, journal: Journal) -> Outcome:
        files, now_ns, downlink = self._files, self.now_ns(), load_downlink()
        test = self._tonights(journal, 'efficiency')
        gain = test.value / downlink.link.system_efficiency if test is not None else 1.0
        measured = MeasuredLight(downlink, files.site, gain)
        rows = choose_passes(
            files.elements, files.site, files.station, measured, (now_ns, journal.until_ns), files.least_bits
        )
        worth = [row for row in rows if row['worth']]
        if worth:
            self._must_agree(parse_utc(worth[0]['culmination'], 'culmination'))
        names = ', '.join(f'{row["culmination"][:19]}Z' for row in worth)
        said = f'{len(worth)} of {len(rows)} passes until {journal.until_utc} are worth it{": " * bool(worth)}{names}'
        return Outcome(State.DONE, said, {'passes': rows, 'gain': gain, 'noise_measured': False})

    def _must_agree(self, culmination_ns: int) -> None:
        """Refuse passes that the station does not predict: it was started with other elements or another site."""
        next_ns = self.next_pass_ns()
        if culmination_ns < next_ns - _SAME_PASS_NS:
            raise StationError(
                'the station predicts no such pass', hint='give --elements, --site and --station as it was started'
            )

    def _track(self, entry: Entry, show: Callable[[Snapshot, str], None]) -> Outcome:
        result = self.track(parse_utc(entry.pass_utc, 'pass'), '', show)
        locked_s = round(float(getattr(result, 'locked_s', 0.0)), 1)
        return Outcome(State.DONE, f'locked for {locked_s} s', {'session': result.folder, 'locked_s': locked_s})

    def _process(self, entry: Entry, journal: Journal, show: Callable[[Snapshot, str], None]) -> Outcome:
        """Wait for the post-processor."""
        folder = str(journal.entry(Step.TRACK, entry.pass_utc).values.get('session', ''))

        def ended(now: Snapshot) -> bool:
            key = now.key
            return key is not None and key.folder == folder and key.state in (KeyStep.DONE, KeyStep.FAILED)

        found = self.listen_until(ended, lambda now: self._see(now, show, 'waits for the key'), _STEP_S)
        assert found.key is not None
        if found.key.state is KeyStep.FAILED:
            return Outcome(State.FAILED, found.key.message)
        bits, qber = found.key.secret_bits, found.key.qber
        return Outcome(State.DONE, f'{bits} secret bits, error rate {100 * qber:.2f} %', {'secret_bits': bits})

    def _report(self, entry: Entry, journal: Journal) -> Outcome:
        folder = str(journal.entry(Step.TRACK, entry.pass_utc).values.get('session', ''))
        path = self._files.sessions_dir / folder / 'report.html'
        if not path.exists():
            return Outcome(State.FAILED, f'{path} is not there: is --sessions-dir that of the station?')
        return Outcome(State.DONE, f'the station has written {path}')

    def _park(self) -> Outcome:
        """The tracker parks after a pass; the station has no other order to park."""
        self._mount = None
        park = self._files.station.mount
        self.listen_until(lambda now: self._mount is not None, lambda now: None, _STEP_S)
        assert self._mount is not None
        off_deg = hypot(degrees(self._mount.az_rad) - park.park_az_deg, degrees(self._mount.el_rad) - park.park_el_deg)
        if off_deg < _PARKED_DEG:
            return Outcome(State.DONE, 'parked')
        why = f'the mount stands {off_deg:.0f} deg from its park position, braked: the station parks after a pass only'
        return Outcome(State.UNAVAILABLE, why)

    def _see(self, snapshot: Snapshot, show: Callable[[Snapshot, str], None], said: str) -> None:
        show(snapshot, said)
        self._listen_to_station(0.0)  # raises if the station has gone

    def _take_fix(self, message: NavSatFix) -> None:
        self._fix = message

    def _take_pps(self, message: TimeReference) -> None:
        self._pps = message

    def _take_mount(self, message: m.MountState) -> None:
        self._mount = messages.from_mount_state(message)

    def _take_safety(self, message: m.SafetyStatus) -> None:
        self._reasons = message.reasons


def _troubled(snapshot: Snapshot) -> bool:
    """Whether a node that a pass needs does not work yet."""
    return any(node.trouble for node in snapshot.nodes if node.name not in OPTIONAL)
