"""The station's beacon on a laser with Cobolt's command set."""

from __future__ import annotations

from qkd_gs.devices.beacon import Beacon
from qkd_gs.devices.driver import DriverContext, Probed, driver
from qkd_gs.drivers.addresses import is_serial
from qkd_gs.drivers.cobolt.control import CoboltControl
from qkd_gs.drivers.cobolt.options import CoboltOptions
from qkd_gs.drivers.guarded_laser.beacon import guarded_beacon
from qkd_gs.drivers.serial_line import SerialLine
from qkd_gs.errors import DeviceFault

_BAUD = 115200
_PROBE_S = 0.3


def probe(address: str) -> Probed | None:
    """Look for a laser at a serial port, by questions alone."""
    if not is_serial(address):
        return None
    line = SerialLine('beacon', address, _BAUD)
    try:
        line.open()
        answers = [_answer(line, question) for question in ('ilk?', 'l?', 'sn?')]
    except DeviceFault:
        return None
    finally:
        line.close()
    if answers[0] not in ('0', '1') or answers[1] not in ('0', '1') or not answers[2]:
        return None
    interlock = 'closed' if answers[0] == '0' else 'open'
    said = f'laser with serial number {answers[2]}, interlock {interlock}; rated_power_w is to be added'
    return Probed({'port': address, 'serial_number': answers[2]}, said)


def _answer(line: SerialLine, question: str) -> str:
    line.send(question.encode('ascii') + b'\r')
    lines = line.lines(_PROBE_S)
    return lines[0].strip() if lines else ''


@driver(CoboltOptions, probe)
def cobolt(context: DriverContext[CoboltOptions]) -> Beacon:
    """Driver ``beacon.cobolt``; see `guarded_beacon`."""
    return guarded_beacon(context, CoboltControl)
