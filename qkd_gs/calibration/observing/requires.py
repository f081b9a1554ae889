"""Requirements of an observation on the station."""

from __future__ import annotations

from collections.abc import Collection

from qkd_gs.calibration.observing.observation import ObservationKind
from qkd_gs.calibration.plate_solving.catalogues import gaia
from qkd_gs.devices.kinds import CALIBRATION_LIGHT, DOME, FOCUSER
from qkd_gs.errors import StationError
from qkd_gs.settings.station import StationSettings


def lacking(kind: ObservationKind, station: StationSettings, devices: Collection[str]) -> str:
    """Devices that the station lacks for an observation of a kind, in words; empty: none.

    Parameters
    ----------
    devices : collection of str
        Kinds of devices that its devices file names.
    """
    if kind is ObservationKind.FOCUS and FOCUSER.name not in devices:
        return 'the station has no focuser (`focuser` of its devices file): focus by hand'
    if kind in (ObservationKind.POLARIZATION, ObservationKind.DELAYS) and CALIBRATION_LIGHT.name not in devices:
        return 'the station has no calibration light (`calibration_light` of its devices file)'
    if kind is ObservationKind.DELAYS and not station.calibration_light.gives_delays:
        return 'the calibration light has no pulses whose trigger is tagged (`calibration_light` of the settings)'
    if kind is ObservationKind.DARK and not (station.enclosure.shutter.watch and DOME.name in devices):
        return 'the station has no shutter that it closes by itself'
    if kind is ObservationKind.FIND:
        try:
            gaia()  # the catalogue, which is an extra
        except StationError as error:
            return f'no catalogue of stars: {error}'
    return ''
