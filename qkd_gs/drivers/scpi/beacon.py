"""The station's beacon on a laser with SCPI commands."""

from __future__ import annotations

from qkd_gs.devices.beacon import Beacon
from qkd_gs.devices.driver import DriverContext, Probed, driver
from qkd_gs.drivers.guarded_laser.beacon import guarded_beacon
from qkd_gs.drivers.scpi.control import IDENTITY, ScpiControl
from qkd_gs.drivers.scpi.options import ScpiOptions
from qkd_gs.drivers.scpi.visa_session import VisaSession
from qkd_gs.errors import DeviceFault

_PROBE_S = 0.3


def probe(address: str, library: str = '@py') -> Probed | None:
    """Ask the instrument at a VISA name who it is."""
    if '::' not in address:
        return None
    session = VisaSession('beacon', address, library, _PROBE_S)
    try:
        session.open()
        identity = session.query(IDENTITY)
    except DeviceFault:
        return None
    finally:
        session.close()
    fields = [one.strip() for one in identity.split(',')]
    if len(fields) < 4:
        return None
    said = f'{identity}; that it is a laser cannot be asked; rated_power_w and its commands are to be added'
    return Probed({'resource': address, 'serial_number': fields[2]}, said)


@driver(ScpiOptions, probe)
def scpi(context: DriverContext[ScpiOptions]) -> Beacon:
    """Driver ``beacon.scpi``; see `guarded_beacon`."""
    return guarded_beacon(context, ScpiControl)
