"""The zero of the half-wave plate is found from polarized light; what cannot be trusted is refused."""

import json
from math import degrees, pi, radians

import numpy as np
import pytest

from qkd_gs.calibration.hwp_zero import fit_hwp_zero
from qkd_gs.cli import main
from qkd_gs.errors import StationError
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import StoredPointing, load_pointing
from qkd_gs.pointing.polarization import polarization_error
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.photons.polarized_light import measure_hwp_zero
from qkd_gs.sim.physics.hwp import SimHwp
from qkd_gs.sim.physics.plant import HWP_STREAM, draws

STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
ANGLES = np.linspace(0, pi, 24, endpoint=False)


def curves(zero_rad, polarization_rad=0.0, parity=1, photons=20_000, error=0.01):
    """Counts of H, V, D, A by Malus' law; with parity +1 the D detector lies clockwise of H."""
    axes = -parity * np.array([0, pi / 2, pi / 4, -pi / 4])
    out = 2 * (ANGLES - zero_rad)[:, None] - parity * polarization_rad
    share = error + (1 - 2 * error) * np.cos(out - axes) ** 2
    return np.random.default_rng(1).poisson(photons / 2 * share * np.array([1.01, 0.98, 1.03, 0.97]))


@pytest.mark.parametrize('parity', [1, -1])
@pytest.mark.parametrize('polarization_deg', [0.0, 30.0])
@pytest.mark.parametrize('off_deg', [-3.0, 0.4, 3.0])
def test_the_zero_is_found(off_deg, polarization_deg, parity):
    near, pol = radians(12.0), radians(polarization_deg)
    found = fit_hwp_zero(ANGLES, curves(near + radians(off_deg), pol, parity), pol, near, parity)
    assert degrees(found.zero_rad - near) == pytest.approx(off_deg, abs=0.05)
    assert degrees(found.sigma_rad) < 0.05
    assert found.visibility.min() > 0.95
    # a plate at this zero turns the satellite's H onto the receiver's H
    aligned = found.zero_rad + parity * pol / 2
    assert polarization_error(aligned, near + radians(off_deg), pol, parity) == pytest.approx(0, abs=radians(0.1))


def test_what_cannot_be_trusted_is_refused():
    good = curves(radians(12.0))
    with pytest.raises(StationError, match='different angles'):
        fit_hwp_zero(ANGLES[:4], good[:4], 0.0, radians(12.0))
    with pytest.raises(StationError, match='polarizer'):
        fit_hwp_zero(ANGLES, curves(0.2, error=0.4), 0.0, 0.2)
    with pytest.raises(StationError, match=r'hwp\.parity'):
        fit_hwp_zero(ANGLES, good, 0.0, radians(12.0), parity=-1)
    with pytest.raises(StationError, match='measure longer'):
        fit_hwp_zero(ANGLES, curves(radians(12.0), photons=20), 0.0, radians(12.0))


@pytest.mark.parametrize('seed', range(6))
def test_the_twins_unknown_mounting_error_is_found(seed):
    settings = load_twin()
    assert settings.plant.hwp.mounting_error_deg == 3
    true = SimHwp(settings.plant.hwp, 0, settings.plant.sample_hz, draws(seed)[HWP_STREAM]).mounting_error_rad
    found = measure_hwp_zero(settings, STATION, seed)
    left_rad = 2 * (found.zero_rad + true - radians(STATION.hwp.zero_deg))
    assert abs(degrees(left_rad)) < 0.15


def test_the_command_keeps_the_zero_and_refuses_broken_tables(tmp_path, capsys):
    table = tmp_path / 'counts.csv'
    rows = [f'{degrees(a):.4f},{",".join(map(str, c))}' for a, c in zip(ANGLES, curves(radians(14.0)), strict=True)]
    table.write_text('hwp_deg,H,V,D,A\n' + '\n'.join(rows))
    StoredPointing.of(MountModel(), (1.0, 2.0), '', '2018-10-03T14:00:00Z').save(tmp_path)
    command = ['calibrate-hwp', str(table), '--state', str(tmp_path), '--write', '--json']
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)['offset_deg'] == pytest.approx(2.0, abs=0.1)
    stored = load_pointing(tmp_path)
    assert stored.refine(STATION).hwp.zero_deg == pytest.approx(14.0, abs=0.1)
    for broken in ('hwp_deg,H,V,D\n1,2,3,4', 'hwp_deg,H,V,D,A\n1,2,3,4,x', 'hwp_deg,H,V,D,A\n1,2,3,4,5'):
        table.write_text(broken)
        assert main(command) == 2
        assert 'counts.csv' in capsys.readouterr().err
