"""A u-blox receiver on its serial line.  Its messages are built by pyubx2, another project's implementation."""

from datetime import UTC, datetime

from pyubx2 import GET, SET, UBXMessage, UBXReader
from serial_emulators import Pluggable

SECOND_NS = 10**9


class Ublox(Pluggable):
    DELAY_NS = 80_000_000

    def __init__(self):
        super().__init__()
        self.fixed, self.shift_s, self.leap_seconds, self.leap_source, self.nano = True, 0, 18, 2, -37
        self.position = (31.1263, 121.5424, 25.0)
        self.rates = {}
        self.refused = set()
        self._sent_ns = None

    def receive(self, data):
        if not data.startswith(b'\xb5\x62'):
            return  # the question of another driver
        message = UBXReader.parse(data, msgmode=SET if data[2] == 6 else 2)
        if message.identity == 'MON-VER':
            self._send(self._version())
        elif message.identity == 'SEC-UNIQID':
            self._send(
                UBXMessage(0x27, 0x03, GET, version=1, uniqueId=int.from_bytes(bytes.fromhex('deadbeef01'), 'little'))
            )
        elif message.identity == 'CFG-MSG':
            kind = (message.msgClass, message.msgID)
            self.rates[kind] = data[8]
            self._send(UBXMessage(5, int(kind not in self.refused), GET, clsID=6, msgID=1))

    def _version(self):
        text = b'EXT CORE 1.00 (abc)'.ljust(30, b'\0') + b'00190000'.ljust(10, b'\0')
        text += b'FWVER=TIM 2.20'.ljust(30, b'\0') + b'MOD=ZED-F9T'.ljust(30, b'\0')
        return UBXMessage(0x0A, 0x04, GET, payload=text)

    def _send(self, *messages):
        if not self.silent:
            self.sent += b''.join(message.serialize() for message in messages)

    def advance(self, now_ns):
        second_ns = (now_ns - self.DELAY_NS) // SECOND_NS * SECOND_NS
        if self._sent_ns is not None and second_ns > self._sent_ns and self.rates:
            self._send(*self.messages(second_ns))
        self._sent_ns = max(second_ns, self._sent_ns or 0)

    def messages(self, second_ns):
        stated_ns = second_ns + self.shift_s * SECOND_NS + self.nano
        whole_s = -(-stated_ns // SECOND_NS) if self.nano < 0 else stated_ns // SECOND_NS
        day = datetime.fromtimestamp(whole_s, UTC)
        lat, lon, height = self.position
        pvt = UBXMessage(
            1, 7, GET, year=day.year, month=day.month, day=day.day, hour=day.hour, min=day.minute, second=day.second,
            validDate=self.fixed, validTime=self.fixed, fullyResolved=self.fixed, tAcc=23, nano=self.nano,
            fixType=5 if self.fixed else 0, gnssFixOk=self.fixed, numSV=17, lat=lat, lon=lon,
            height=round(height * 1000), hMSL=17000, hAcc=1500,
        )  # fmt: skip
        leap = UBXMessage(
            1, 0x26, GET, srcOfCurrLs=self.leap_source, currLs=self.leap_seconds, validCurrLs=1, lsChange=0,
        )  # fmt: skip
        survey = UBXMessage(1, 0x3B, GET, dur=300, meanAcc=12345, valid=1, active=0)
        return pvt, leap, UBXMessage(0x0D, 1, GET, qErr=-2345), survey
