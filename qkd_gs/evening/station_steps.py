"""Performances of the steps of an evening on a running station: generators on what was heard; free of ROS.

What moves the telescope is asked of the station's actions.  A performance that is interrupted ends what it has asked
for, and waits until that has ended.  What went on during a restart of the evening, a pass or a calibration, is waited
for.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from qkd_gs.calibration.focus import load_focus
from qkd_gs.calibration.light.history import LightNight, load_history
from qkd_gs.calibration.light.result import kept_noise_map
from qkd_gs.calibration.observing.observation import ObservationKind
from qkd_gs.errors import StationError
from qkd_gs.evening.asking import asked
from qkd_gs.evening.checks import time_and_place
from qkd_gs.evening.choice import MeasuredLight, ready_s
from qkd_gs.evening.evening import Outcome
from qkd_gs.evening.heard import Action, Answer, Ask, Choose, End, Heard
from qkd_gs.evening.journal import Entry, Journal
from qkd_gs.evening.polarized_step import NOT_DONE, delays_verdict, polarization
from qkd_gs.evening.sequence import Doing, Interrupted, Performance
from qkd_gs.evening.steps import State, Step
from qkd_gs.monitoring.readiness import countdown
from qkd_gs.monitoring.snapshot import KeyStep
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.pointing_file import FILE_NAME, StoredPointing, load_pointing
from qkd_gs.session.manifest import FINISHED, KEY, load_manifest, session_path
from qkd_gs.settings.downlink import load_downlink
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.tracking.control.parking import rests_near_park

_S = 10**9
_AGAIN_NS = 5 * _S  # before a question that was not answered is asked again
_FRESH_NS = _S  # a reading of the mount that is older says nothing of the present
_SAME_PASS_NS = 60 * _S
_HALF_PASS_NS = 600 * _S
Waiting = Generator[Doing, Heard, Heard]


@dataclass(frozen=True)
class StationFiles:
    """Settings, folders and names of the nodes of the running station."""

    site: Site
    station: StationSettings
    state_dir: Path
    sessions_dir: Path
    nodes: tuple[str, ...]


class StationSteps:
    """Performs the steps of an evening on a running station."""

    def __init__(self, files: StationFiles) -> None:
        self._files = files
        self._ready_ns = round(ready_s(files.station.mount) * _S)

    def perform(self, entry: Entry, journal: Journal) -> Performance[Heard]:
        """Performance of a step."""
        performers: dict[Step, Callable[[], Performance[Heard]]] = {
            Step.SELF_TEST: self._self_test,
            Step.TIME_AND_PLACE: self._time_and_place,
            Step.FIND: self._find,
            Step.CALIBRATE: self._calibrate,
            Step.FOCUS: lambda: self._focus(entry),
            Step.EFFICIENCY: lambda: self._light(entry, journal, 'efficiency', ObservationKind.STAR_TEST),
            Step.NOISE: lambda: self._light(entry, journal, 'noise', ObservationKind.NOISE_MAP),
            Step.POLARIZATION: lambda: self._polarization(entry, journal),
            Step.ARM: lambda: self._arm(journal),
            Step.TRACK: lambda: self._track(entry, journal),
            Step.PROCESS: lambda: self._process(_session(journal, entry)),
            Step.REPORT: lambda: self._report(_session(journal, entry)),
            Step.PARK: lambda: self._park(journal),
        }
        return performers[entry.step]()

    # ---- before the sky is needed ----

    def _self_test(self) -> Performance[Heard]:
        """Wait until the monitor has activated every node; it says what is missing meanwhile."""
        heard = yield Doing('waits for the station')
        while not heard.works(self._files.nodes):
            heard = yield Doing(f'waits for the station: {heard.snapshot.readiness.sentence}')
        return Outcome(State.DONE, f'{len(self._files.nodes)} nodes work: {heard.snapshot.readiness.sentence}')

    def _time_and_place(self) -> Performance[Heard]:
        heard = yield Doing('waits for a message of the GPS receiver')
        begun_ns = heard.now_ns
        while heard.gps is None or heard.gps.stamp_ns < begun_ns:
            heard = yield Doing()
        return time_and_place(heard.gps, heard.now_ns, self._files.site)

    # ---- under the sky ----

    def _find(self) -> Performance[Heard]:
        """Let the telescope find itself, unless a calibration or a star centred by hand says where it looks."""
        heard = yield Doing()
        under_way = heard.moving is Action.OBSERVE
        yield from self._until_free(heard)
        stored = self._stored()
        if stored is not None and not stored.compass:
            if under_way and stored.aligned_deg is not None:
                return Outcome(State.DONE, f'the search that was under way: {stored.summary}')
            said = f'calibrated on {stored.fitted_utc}'
            return Outcome(State.NOT_NEEDED, stored.summary if stored.coarse else said)
        answer = yield from asked(Ask(Action.OBSERVE, kind=ObservationKind.FIND), ('DONE', 'REFUSED'))
        if answer.code == 'REFUSED':
            return Outcome(State.UNAVAILABLE, f'{NOT_DONE}: {answer.sentence}')
        return Outcome(State.DONE, answer.sentence)

    def _calibrate(self) -> Performance[Heard]:
        heard = yield Doing()
        if heard.moving is Action.CALIBRATE:
            before = self._stored()
            heard = yield from self._until_free(heard)
            stored = self._stored()
            if stored is not None and not stored.coarse and stored != before:
                return Outcome(State.DONE, f'the calibration that was under way: {stored.summary}')
        yield from self._until_free(heard)
        stored, said = self._stored(), ''
        if stored is not None and not stored.coarse:
            answer = yield from asked(Ask(Action.OBSERVE, kind=ObservationKind.CHECK), ('DONE', 'FAILED'))
            if answer.code == 'DONE':
                return Outcome(State.DONE, answer.sentence, {'checked': True})
            said = f'{answer.sentence}; '
        answer = yield from asked(Ask(Action.CALIBRATE))
        return Outcome(State.DONE, said + answer.sentence, answer.values)

    def _focus(self, entry: Entry) -> Performance[Heard]:
        """Focus, if it has not been done yet, the temperature has changed since, or it is to be repeated."""
        heard = yield Doing()
        before, under_way = load_focus(self._files.state_dir), heard.moving is Action.OBSERVE
        heard = yield from self._until_free(heard)
        last, warning = load_focus(self._files.state_dir), heard.focus
        if last is not None and under_way and last != before:
            return Outcome(State.DONE, f'the autofocus that was under way: at {last.position}')
        if last is not None and not warning and not entry.ended_utc:
            return Outcome(State.NOT_NEEDED, f'focused on {last.utc}, and the temperature is about the same')
        answer = yield from self._spare(ObservationKind.FOCUS, ('DONE', 'REFUSED'))
        if answer.code == 'REFUSED':
            return Outcome(State.UNAVAILABLE, f'{NOT_DONE}: {answer.sentence}')
        return Outcome(State.DONE, f'{warning}; {answer.sentence}' if warning else answer.sentence)

    def _light(self, entry: Entry, journal: Journal, name: str, kind: ObservationKind) -> Performance[Heard]:
        """Star test or noise map, unless tonight's is there already and is not to be repeated."""
        heard = yield Doing()
        before = self._tonights(journal, name)
        under_way = heard.moving is Action.OBSERVE
        heard = yield from self._until_free(heard)
        found = self._tonights(journal, name)
        if found is not None and ((under_way and found != before) or not entry.ended_utc):
            return Outcome(State.DONE, f'measured at {found.utc}: {found.summary}', {'value': found.value})
        lacks = (yield from self._dark(heard)) if kind is ObservationKind.NOISE_MAP else ''
        answer = yield from self._spare(kind)
        found = self._tonights(journal, name)
        said = f'{answer.sentence} ({lacks})' if lacks else answer.sentence
        return Outcome(State.DONE, said, {} if found is None else {'value': found.value})

    def _let_close(self, heard: Heard) -> Generator[Doing, Heard, None]:
        """Park where the shutter closes above a parked mount only."""
        if self._files.station.enclosure.shutter.close_after_park and not self._is_parked(heard):
            yield from asked(Ask(Action.PARK))

    def _dark(self, heard: Heard) -> Generator[Doing, Heard, str]:
        """Count with the shutter closed; why that is not done, empty: it is."""
        yield from self._let_close(heard)
        whatever = ('DONE', 'REFUSED', 'NOT_READY', 'FAILED')  # the map is made without them, too
        answer = yield from self._spare(ObservationKind.DARK, whatever)
        return '' if answer.code == 'DONE' else answer.sentence

    def _polarization(self, entry: Entry, journal: Journal) -> Performance[Heard]:
        """Zero of the half-wave plate and delays of the detectors, unless tonight's are there."""
        heard = yield Doing()
        heard = yield from self._until_free(heard)
        folder, again = self._files.state_dir, bool(entry.ended_utc)
        ways = self._let_close, self._spare
        return (yield from polarization(folder, self._stored(), journal, again, heard, *ways))

    def _arm(self, journal: Journal) -> Performance[Heard]:
        heard = yield Doing()
        downlink, test = load_downlink(), self._tonights(journal, 'efficiency')
        gain = test.value / downlink.link.system_efficiency if test is not None else 1.0
        since_ns = parse_utc(journal.begun_utc, 'begun_utc')
        sky = kept_noise_map(self._files.state_dir, self._files.station, since_ns)
        measured = MeasuredLight(downlink, self._files.site, gain, sky)
        heard = yield Doing('', Choose(measured, (heard.now_ns, journal.until_ns), journal.least_bits))
        while heard.chosen is None:
            heard = yield Doing()
        if isinstance(heard.chosen, StationError):
            raise heard.chosen
        rows = heard.chosen
        names = ', '.join(f'{row["culmination"][:19]}Z' for row in rows if row['worth'])
        worth = sum(row['worth'] for row in rows)
        said = f'{worth} of {len(rows)} passes until {journal.until_utc} are worth it{": " * bool(worth)}{names}'
        wrong = delays_verdict(self._files.state_dir, self._files.station)
        said += f'; {wrong}' if wrong else ''
        return Outcome(State.DONE, said, {'passes': rows, 'gain': gain, 'noise_measured': sky is not None})

    def _track(self, entry: Entry, journal: Journal) -> Performance[Heard]:
        """Track a pass, or wait for the end of one that is under way already."""
        at_ns = parse_utc(entry.pass_utc, 'pass')
        heard = yield Doing()
        session, coming = heard.snapshot.session, heard.snapshot.coming
        this_one = coming is not None and abs(coming.culmination_ns - at_ns) < _SAME_PASS_NS
        if heard.in_pass and this_one and session is not None:
            yield from self._until_free(heard)
            return self._tracked(session.folder)
        rise_ns = _rise_ns(entry, journal, at_ns)
        heard = yield from self._until_armed(heard, rise_ns - 2 * self._ready_ns)
        while True:
            yield from self._until_free(heard)
            answer = yield from asked(Ask(Action.TRACK, at_ns), ('DONE', 'BUSY', 'NOT_READY', 'NO_LOCK'))
            if answer.code in ('DONE', 'NO_LOCK'):
                return self._tracked(str(answer.values.get('folder', '')))
            heard = yield Doing(f'{answer.sentence}: asked again until the pass is over')
            asked_ns = heard.now_ns
            while heard.now_ns - asked_ns < _AGAIN_NS:
                heard = yield Doing()
            if heard.now_ns > 2 * at_ns - rise_ns:
                raise StationError(answer.sentence, where=str(Action.TRACK))

    def _until_armed(self, heard: Heard, armed_ns: int) -> Waiting:
        """Wait parked until it is time to slew to the pass."""
        while armed_ns - heard.now_ns > 2 * self._ready_ns and heard.mount is None:
            heard = yield Doing('waits for the mount to tell where it is')
        if armed_ns - heard.now_ns > 2 * self._ready_ns and heard.mount is not None and not self._is_parked(heard):
            heard = yield from self._until_free(heard)
            yield from asked(Ask(Action.PARK))
            heard = yield Doing('parked until the pass')
        while heard.now_ns < armed_ns:
            left = countdown((armed_ns - heard.now_ns) / _S)
            heard = yield Doing(f'armed, slews to the first point in {left}')
        return heard

    def _tracked(self, folder: str) -> Outcome:
        """Outcome of a pass, by its manifest: whoever has asked for it, and however often the tracker was restarted."""
        if not folder:
            return Outcome(State.FAILED, 'the pass has left no session')
        manifest = load_manifest(session_path(self._files.sessions_dir, folder))
        locked_s = sum(span.end_ns - span.start_ns for span in manifest.locked) * 1e-9
        values = {'session': folder, 'locked_s': round(locked_s, 1)}
        if not locked_s:
            return Outcome(State.FAILED, 'the satellite was never locked', values)
        return Outcome(State.DONE, f'locked for {locked_s:.0f} s', values)

    # ---- afterwards ----

    def _process(self, folder: str) -> Performance[Heard]:
        """Wait for the post-processor; what it has said before a restart is in the session."""
        heard = yield Doing('waits for the key')
        looked_ns = 0
        while True:
            key = heard.snapshot.key
            if key is not None and key.folder == folder and key.state is KeyStep.FAILED:
                return Outcome(State.FAILED, key.message)
            if key is not None and key.folder == folder and key.state is KeyStep.DONE:
                return _key(key.secret_bits, key.qber)
            if heard.now_ns - looked_ns >= _AGAIN_NS:
                looked_ns = heard.now_ns
                made = self._made(folder)
                if made is not None:
                    return made
            working = key is not None and key.folder == folder and key.state is KeyStep.WORKING
            heard = yield Doing(f'makes the key: {key.step}' if working and key is not None and key.step else '')

    def _made(self, folder: str) -> Outcome | None:
        manifest = load_manifest(session_path(self._files.sessions_dir, folder))
        if manifest.run.get(KEY) != FINISHED:
            return None
        if manifest.result is None or 'key' not in manifest.result:
            return Outcome(State.FAILED, f'the session allows no key; `qkd-gs process {folder}` says why')
        return _key(manifest.result['key']['secret_bits'], manifest.result['key']['qber'])

    def _report(self, folder: str) -> Performance[Heard]:
        yield Doing()
        path = session_path(self._files.sessions_dir, folder) / 'report.html'
        if not path.exists():
            return Outcome(State.FAILED, f'the station has not written {path}')
        return Outcome(State.DONE, f'the station has written {path}')

    def _park(self, journal: Journal) -> Performance[Heard]:
        heard = yield Doing()
        night = not heard.weather and heard.now_ns < journal.until_ns
        looking = heard.moving in (Action.CALIBRATE, Action.OBSERVE)
        if looking and heard.moving is not None and not night:  # it went on during a restart; the monitor ends a pass
            yield Doing(f'ends the {_NOUNS[heard.moving]} under way', End(heard.moving))
        heard = yield from self._until_free(heard)
        while heard.mount is None or heard.now_ns - heard.mount.stamp_ns > _FRESH_NS:
            heard = yield Doing('waits for the mount to tell where it is')
        if not self._is_parked(heard):
            yield from asked(Ask(Action.PARK))
        return Outcome(State.DONE, 'parked')

    # ---- what several steps need ----

    def _spare(self, kind: ObservationKind, good: tuple[str, ...] = ('DONE',)) -> Generator[Doing, Heard, Answer]:
        """Ask for an observation that no pass needs: it is ended before one."""
        return asked(Ask(Action.OBSERVE, kind=kind), good, self._ready_ns)

    def _until_free(self, heard: Heard) -> Waiting:
        """Wait until nobody moves the mount; an interruption ends what moves it."""
        try:
            while heard.moving is not None:
                heard = yield Doing(f'waits until the {_NOUNS[heard.moving]} under way is over')
        except Interrupted:
            if heard.moving is not None:
                heard = yield Doing('ends what is under way', End(heard.moving))
            while heard.moving is not None:
                heard = yield Doing()
            raise
        return heard

    def _is_parked(self, heard: Heard) -> bool:
        return heard.mount is not None and rests_near_park(self._files.station.mount, heard.mount)

    def _stored(self) -> StoredPointing | None:
        folder = self._files.state_dir
        return load_pointing(folder) if (folder / FILE_NAME).exists() else None

    def _tonights(self, journal: Journal, kind: str) -> LightNight | None:
        last = load_history(self._files.state_dir).before(self._files.site.name, kind)
        fresh = last is not None and parse_utc(last.utc, 'utc') >= parse_utc(journal.begun_utc, 'begun_utc')
        return last if fresh else None


_NOUNS = {
    Action.TRACK: 'pass',
    Action.CALIBRATE: 'calibration',
    Action.OBSERVE: 'observation',
    Action.PARK: 'way to the park position',
}


def _session(journal: Journal, entry: Entry) -> str:
    return str(journal.entry(Step.TRACK, entry.pass_utc).values.get('session', ''))


def _rise_ns(entry: Entry, journal: Journal, at_ns: int) -> int:
    """UTC at which the satellite of a step rises; a while before its culmination if the forecast has no such pass."""
    rows: list[dict[str, Any]] = journal.entry(Step.ARM).values.get('passes', [])
    found = next((row for row in rows if row['culmination'] == entry.pass_utc), None)
    return parse_utc(found['rise'], 'rise') if found is not None else at_ns - _HALF_PASS_NS


def _key(bits: int, qber: float | None) -> Outcome:
    rate = f', error rate {100 * qber:.2f} %' if qber is not None and isfinite(qber) else ''
    return Outcome(State.DONE, f'{bits} secret bits{rate}', {'secret_bits': bits, 'qber': qber if rate else None})
