"""Quick check of a calibration as an observation: the test plays mount and cameras."""

from math import radians

import pytest

from qkd_gs.calibration.observing import check as module
from qkd_gs.calibration.observing.begin import begin_observation
from qkd_gs.calibration.observing.observation import ObservationKind, ObservationState, Place, Sensed
from qkd_gs.calibration.star_visit import StarMeasurement
from qkd_gs.calibration.stars import star_azel
from qkd_gs.devices.mount import MountMode, MountReading
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import FILE_NAME, StoredPointing, load_pointing
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.tracking.types import MountTask

SITE = load_site('Shanghai')
STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
NIGHT_NS = parse_utc('2018-10-03T15:00:00Z')
STORED = StoredPointing.of(MountModel(IA=0.1, AN=1e-4), (639.5, 511.5), '20 stars', '2018-10-02T20:00:00Z')


class Rig:
    """A station whose mount has become another one; a star is measured as soon as it is to be visited."""

    def __init__(self, folder, monkeypatch, now, missing=0):
        self.true, self.missing, self.visited = now, missing, 0
        monkeypatch.setattr(module, 'Calibrator', self.calibrator)
        place = Place(SITE, STATION, STORED, folder)
        self.observation = begin_observation(ObservationKind.CHECK, place, None, NIGHT_NS)

    def calibrator(self, stars, track_of, model, station, rules):
        """A genuine calibrator that goes on after all its stars but the missing ones were measured."""
        from qkd_gs.calibration.calibrator import Calibrator, StarReport

        self.visited = len(stars)
        reports = []
        for star in stars[self.missing :]:
            az, el = (float(angle[0]) for angle in star_azel([star], SITE, NIGHT_NS))
            seen = StarMeasurement(NIGHT_NS, az, el, *self.true.encoder(az, el), 1e-6, 25, 640.0, 512.0)
            reports.append(StarReport(star, True, '', seen))
        return Calibrator([one.star for one in reports], track_of, model, station, rules, reports)

    def end(self):
        mount = MountReading(NIGHT_NS, 0.0, 0.5, 0.0, 0.0, MountMode.HOLD)
        return self.observation.step(NIGHT_NS, Sensed(mount))


@pytest.mark.parametrize(
    ('terms', 'state', 'said'),
    [
        ({}, ObservationState.DONE, 'it still holds'),
        ({'IA': 0.1 + radians(0.05)}, ObservationState.DONE, 'the zero points have moved'),
        ({'AN': 1e-4 + radians(0.1)}, ObservationState.FAILED, 'a new calibration is needed'),
    ],
)
def test_what_has_become_of_the_mount_is_told(tmp_path, monkeypatch, terms, state, said):
    STORED.save(tmp_path)
    true = MountModel(**({'IA': 0.1, 'AN': 1e-4} | terms))
    rig = Rig(tmp_path, monkeypatch, true)
    assert rig.observation.task is MountTask.CHECKING
    out = rig.end()
    assert (rig.visited, out.state, out.axes) == (3, state, None)
    assert said in out.message
    if state is ObservationState.DONE:
        assert said in rig.observation.keep(NIGHT_NS)
        assert load_pointing(tmp_path).model['IA'] == pytest.approx(true['IA'], abs=2e-6)
    else:
        assert load_pointing(tmp_path) == STORED


def test_a_star_that_is_missing_tells_nothing(tmp_path, monkeypatch):
    rig = Rig(tmp_path, monkeypatch, MountModel(IA=0.1, AN=1e-4), missing=1)
    out = rig.end()
    assert (out.state, out.message) == (ObservationState.FAILED, 'only 2 of 2 stars measured, 3 are needed')
    assert not (tmp_path / FILE_NAME).exists()


def test_an_abort_ends_it(tmp_path, monkeypatch):
    rig = Rig(tmp_path, monkeypatch, MountModel())
    rig.observation.abort()
    assert rig.end().message == 'aborted by the operator'
