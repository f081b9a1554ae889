"""The evening on a station: outcomes of its steps from what the station says; the test plays the station."""

from types import SimpleNamespace

import pytest

from qkd_gs.calibration.light.history import FILE_NAME as HISTORY
from qkd_gs.calibration.light.history import LightHistory, LightNight
from qkd_gs.devices.mount import MountMode, MountReading
from qkd_gs.errors import StationError
from qkd_gs.evening.evening import Evening, Outcome
from qkd_gs.evening.journal import Entry, new_journal
from qkd_gs.evening.steps import State, Step
from qkd_gs.monitoring.health import NodeHealth
from qkd_gs.monitoring.readiness import ComingPass, Level, Readiness
from qkd_gs.monitoring.snapshot import KeyProgress, KeyStep, Snapshot
from qkd_gs.nodes.clients.evening_operator import Aborted, EveningOperator, StationFiles
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

NOW_NS = parse_utc('2018-10-03T14:40:00Z')
DAWN_NS = parse_utc('2018-10-03T18:00:00Z')
CULMINATION_NS = parse_utc('2018-10-03T15:56:42Z')
PASS = '2018-10-03T15:56:42.000Z'
COMING = ComingPass('MICIUS', CULMINATION_NS - 300 * 10**9, CULMINATION_NS, CULMINATION_NS + 300 * 10**9, 1.25)


class Played(EveningOperator):
    """An operator without ROS: the test says what is heard, look by look; the last snapshot stays."""

    def __init__(self, folder, *snapshots, pointing=None):
        elements = load_elements(share_path('config', 'elements', 'micius.tle'))
        station = load_yaml(share_path('config', 'station.yaml'), StationSettings)
        self._files = StationFiles(elements, load_site('shanghai'), station, folder, folder / 'sessions')
        self._fix = self._pps = self._mount = None
        self._reasons, self._planned = '', True
        self.snapshots, self.events, self.asked = list(snapshots), [], []
        self.calibrated = SimpleNamespace(summary='20 of 20 stars', heldout_rms_rad=18e-6)
        self.tracked = SimpleNamespace(folder='pass-1', locked_s=300.0)
        if pointing is not None:
            pointing.save(folder)

    @property
    def gone(self):
        return False

    def listen(self, seconds):
        if self.events:
            self.events.pop(0)()
        return self.snapshots.pop(0) if len(self.snapshots) > 1 else self.snapshots[0]

    def calibrate(self, stars, show):
        self.asked.append('calibrate')
        return result_of(self.calibrated)

    def track(self, at_ns, session, show, step_s=0.2, aborts=True):
        self.asked.append(at_ns)
        return result_of(self.tracked)

    def perform_step(self, step, journal=None, pass_utc=''):
        journal = journal or new_journal(self._files.site, NOW_NS, DAWN_NS, True)
        return self.perform(Entry(step=step, pass_utc=pass_utc), journal, lambda snapshot, said: None)


def result_of(given):
    if isinstance(given, Exception):
        raise given
    return given


def snapshot(now_ns=NOW_NS, level=Level.OK, sentence='ready', fault='', key=None):
    nodes = (NodeHealth('mount', 0.1, 'active', fault, fault), NodeHealth('scene', None))
    return Snapshot(now_ns, readiness=Readiness(level, sentence), coming=COMING, nodes=nodes, key=key)


def pointing(coarse=False, sigma_deg=0.01):
    return StoredPointing.of(
        MountModel(IA=0.1), (639.5, 511.5), '20 stars', '2018-10-02T20:00:00Z', coarse, (1.0, sigma_deg)
    )


def test_the_self_test_waits_until_every_node_works(tmp_path):
    operator = Played(
        tmp_path, snapshot(level=Level.ERROR), snapshot(fault='mount.silent'), snapshot(sentence='next pass in 1:00:00')
    )
    outcome = operator.perform_step(Step.SELF_TEST)
    assert outcome.state is State.DONE
    assert 'next pass in 1:00:00' in outcome.sentence


def test_time_and_place_are_those_of_the_messages_that_come_now(tmp_path):
    operator = Played(tmp_path, snapshot())
    stamp = SimpleNamespace(header=SimpleNamespace(stamp=SimpleNamespace(sec=NOW_NS // 10**9, nanosec=0)))
    fix = SimpleNamespace(status=SimpleNamespace(status=0), latitude=31.1263, longitude=121.5424, altitude=25.0)
    pps = SimpleNamespace(header=stamp.header, time_ref=SimpleNamespace(sec=NOW_NS // 10**9, nanosec=0))
    operator.events = [lambda: operator._take_fix(fix), lambda: operator._take_pps(pps)]
    assert operator.perform_step(Step.TIME_AND_PLACE).state is State.DONE
    fix.status.status = -1
    operator.events = [lambda: operator._take_fix(fix), lambda: operator._take_pps(pps)]
    assert 'no fix' in operator.perform_step(Step.TIME_AND_PLACE).sentence


@pytest.mark.parametrize(
    ('stored', 'state', 'said'),
    [
        (None, State.UNAVAILABLE, 'centre one star by hand'),
        (pointing(coarse=True), State.NOT_NEEDED, 'one star was centred by hand'),
        (pointing(), State.NOT_NEEDED, 'calibrated on 2018-10-02'),
    ],
)
def test_the_orientation_is_not_claimed_to_be_found(tmp_path, stored, state, said):
    outcome = Played(tmp_path, snapshot(), pointing=stored).perform_step(Step.FIND)
    assert outcome.state is state
    assert said in outcome.sentence


def test_a_light_test_counts_only_if_it_was_made_tonight(tmp_path):
    operator = Played(tmp_path, snapshot())
    assert operator.perform_step(Step.EFFICIENCY).state is State.UNAVAILABLE
    for utc, state in (('2018-10-02T20:00:00Z', State.UNAVAILABLE), ('2018-10-03T14:50:00Z', State.DONE)):
        night = LightNight(utc=utc, site='Shanghai', kind='efficiency', value=0.02, summary='weak')
        (tmp_path / HISTORY).write_text(LightHistory(nights=(night,)).model_dump_json())
        assert operator.perform_step(Step.EFFICIENCY).state is state
    outcome = operator.perform_step(Step.ARM)
    assert outcome.values['gain'] == pytest.approx(0.05)
    assert not outcome.values['passes'][0]['worth']


def test_the_passes_that_are_worth_it_are_those_that_the_station_predicts(tmp_path):
    operator = Played(tmp_path, snapshot())
    (one,) = operator.perform_step(Step.ARM).values['passes']
    assert one['worth']
    other = Snapshot(NOW_NS, coming=ComingPass('MICIUS', 0, CULMINATION_NS + 6000 * 10**9, 0, 1.0))
    outcome = Played(tmp_path, other).perform_step(Step.ARM)
    assert outcome.state is State.FAILED
    assert 'the station predicts no such pass' in outcome.sentence


def test_a_pass_its_key_and_its_report(tmp_path):
    key = KeyProgress(KeyStep.DONE, 'pass-1', True, secret_bits=110_000, qber=0.0145)
    working = KeyProgress(KeyStep.WORKING, 'pass-1', True)
    operator = Played(tmp_path, snapshot(key=working), snapshot(key=working), snapshot(key=key))
    outcome = operator.perform_step(Step.TRACK, pass_utc=PASS)
    assert operator.asked == [CULMINATION_NS]
    track = Entry(step=Step.TRACK, pass_utc=PASS, state=State.DONE, values=outcome.values)
    journal = new_journal(load_site('shanghai'), NOW_NS, DAWN_NS, True)
    journal = journal.model_copy(update={'entries': (*journal.entries, track)})
    assert operator.perform_step(Step.PROCESS, journal, PASS).values == {'secret_bits': 110_000}
    assert operator.perform_step(Step.REPORT, journal, PASS).state is State.FAILED
    (tmp_path / 'sessions' / 'pass-1').mkdir(parents=True)
    (tmp_path / 'sessions' / 'pass-1' / 'report.html').write_text('')
    assert operator.perform_step(Step.REPORT, journal, PASS).state is State.DONE


def test_a_refusal_is_the_outcome_and_ctrl_c_ends_the_evening(tmp_path):
    operator = Played(tmp_path, snapshot())
    operator.calibrated = StationError('only 2 of 20 stars measured, 3 are needed (FAILED)', where='calibrate')
    assert operator.perform_step(Step.CALIBRATE) == Outcome(
        State.FAILED, 'calibrate: only 2 of 20 stars measured, 3 are needed (FAILED)'
    )
    operator.calibrated = StationError('aborted by the operator (ABORTED)')
    with pytest.raises(Aborted):
        operator.perform_step(Step.CALIBRATE)
    saved = []
    evening = Evening(new_journal(load_site('shanghai'), NOW_NS, DAWN_NS, True), saved.append)
    evening.skip([Step.SELF_TEST, Step.TIME_AND_PLACE, Step.FIND])
    with pytest.raises(KeyboardInterrupt):
        operator.run(evening, lambda snapshot, said: None, lambda said: None)
    assert saved[-1].entry(Step.CALIBRATE).state is State.PENDING
    assert saved[-1].entry(Step.CALIBRATE).tries == 0


@pytest.mark.parametrize(('el_deg', 'state'), [(0.2, State.DONE), (40.0, State.UNAVAILABLE)])
def test_the_park_is_looked_at_and_not_claimed(tmp_path, el_deg, state):
    operator = Played(tmp_path, snapshot())
    reading = MountReading(NOW_NS, 0.0, el_deg * 0.01745, 0.0, 0.0, MountMode.OFF)
    operator.events = [lambda: setattr(operator, '_mount', reading)]
    assert operator.perform_step(Step.PARK).state is state


def test_the_weather_is_what_the_supervisor_says(tmp_path):
    operator = Played(tmp_path, snapshot())
    operator._take_safety(SimpleNamespace(reasons='laser.aircraft_quiet weather.rain'))
    found = operator.conditions(snapshot())
    assert found.bad_weather == 'weather.rain'
    assert found.next_pass_ns == COMING.start_ns
