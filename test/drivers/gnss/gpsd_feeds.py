"""Sources for the gpsd driver: messages as gpsd writes them, in a test's time; and gpsd itself, fed with NMEA."""

import json
import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from qkd_gs.devices.conformance.rig import Counterpart
from qkd_gs.orbit.timescale import format_utc

SECOND_NS = 10**9
SHANGHAI = (31.1263, 121.5424)


class FeedInTime(Counterpart):
    """A connection to gpsd: SKY and TPV 150 ms after each second, for the second that began."""

    DELAY_NS = 150_000_000

    def __init__(self):
        self.mode, self.used, self.shift_s, self.lat, self.lon = 3, 11, 0, *SHANGHAI
        self.leap_seconds, self.silent, self.more = 18, False, {}
        self.asked = b''
        self._ends = []
        self._sent_ns = None

    def connect(self, where, timeout_s):
        ours, theirs = socket.socketpair()
        self._ends.append(ours)
        self._send({'class': 'VERSION', 'release': '3.25'}, {'class': 'DEVICES', 'devices': []})
        return theirs

    def advance(self, now_ns):
        second_ns = (now_ns - self.DELAY_NS) // SECOND_NS * SECOND_NS
        if self._sent_ns is not None and second_ns > self._sent_ns and not self.silent:
            self._send(*self.messages(second_ns))
        self._sent_ns = max(second_ns, self._sent_ns or 0)

    def messages(self, second_ns):
        tpv = {'class': 'TPV', 'device': '/dev/gps0', 'mode': self.mode, 'leapseconds': self.leap_seconds}
        if self.mode > 1:
            time = format_utc(second_ns + round(self.shift_s * SECOND_NS))
            tpv |= {'time': time, 'lat': self.lat, 'lon': self.lon, 'altHAE': 25.0}
        sky = {'class': 'SKY', 'device': '/dev/gps0', 'uSat': self.used, 'nSat': 14, 'pdop': 1.4}
        return {'class': 'DEVICE', 'path': '/dev/gps0', 'driver': 'u-blox', 'activated': 1.0}, sky, tpv | self.more

    def _send(self, *messages):
        data = b''.join(json.dumps(one).encode('ascii') + b'\r\n' for one in messages)
        for end in self._ends:
            with suppress(OSError):  # the driver has closed it
                end.sendall(data)

    def send(self, **message):
        self._send(message)

    def cut(self):
        while self._ends:
            self._ends.pop().close()

    def silence(self):
        self.silent = True

    def lose_fix(self):
        self.mode, self.used = 1, 0


def nmea(start, seconds, lost=(), jump=None):
    """An NMEA log, one fix a second; `lost`: seconds without a fix; `jump`: (second, seconds added from it on)."""
    lines = []
    for k in range(seconds):
        shown = start + timedelta(seconds=k + (jump[1] if jump and k >= jump[0] else 0))
        clock, day = shown.strftime('%H%M%S'), shown.strftime('%d%m%y')
        fixed = k not in lost
        place = '3107.5780,N,12132.5440,E' if fixed else ',,,'
        used = '01,02,03,04,05,06,07,08,09' if fixed else ',,,,,,,,'
        lines += [
            f'GPRMC,{clock}.00,{"A" if fixed else "V"},{place},0.0,0.0,{day},,,{"A" if fixed else "N"}',
            f'GPGGA,{clock}.00,{place},{int(fixed)},{"09" if fixed else "00"},0.9,25.0,M,8.0,M,,',
            f'GPGSA,A,{3 if fixed else 1},{used},,,,1.5,0.9,1.2',
            'GPGSV,1,1,04,01,40,083,46,02,17,308,41,03,07,344,39,04,22,228,45',
            f'GPZDA,{clock}.00,{shown.strftime("%d,%m,%Y")},00,00',
        ]
    return ''.join(f'${line}*{_checksum(line):02X}\r\n' for line in lines)


def _checksum(line):
    value = 0
    for character in line:
        value ^= ord(character)
    return value


class GpsFake:
    """gpsd with gpsfake, in processes of their own.  A log begins when somebody has connected."""

    def __init__(self, folder, cycle_s=0.04, **how):
        lacking = [name for name in ('gpsd', 'gpsfake') if shutil.which(name, path='/usr/bin:/usr/sbin') is None]
        if lacking:
            pytest.skip(f'{" and ".join(lacking)} not installed (Debian: gpsd gpsd-clients)')
        self._log = folder / 'made.nmea'
        self._log.write_text(nmea(datetime.now(UTC).replace(microsecond=0), 120, **how), encoding='ascii', newline='')
        self._cycle_s = cycle_s
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            self.port = free.getsockname()[1]
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ['/usr/bin/gpsfake', '-1', '-c', str(self._cycle_s), '-P', str(self.port), '-q', str(self._log)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def kill(self):
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def freeze(self):
        os.killpg(self.process.pid, signal.SIGSTOP)
