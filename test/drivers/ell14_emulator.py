"""An ELL14 on its serial line, from Thorlabs' description of the protocol; turns as its time advances."""

from serial_emulators import SerialDevice

COUNTS = 143360
_LENGTHS = {'ma': 11, 'mr': 11, 'ho': 4, 'sv': 5, 'sj': 11, 'so': 11, 'ca': 4}


class Ell14(SerialDevice):
    SPEED = COUNTS / 360 * 200  # counts a second

    def __init__(self, counts=12345, stops=True, serial_number='11400517', model='0E'):
        super().__init__()
        self.counts, self.goal, self.stops = counts, None, stops
        self.info = f'0IN{model}{serial_number}20231701016800023000'
        self.status = 0  # answered to the next request instead of doing it, once
        self.requests = []
        self._buffer, self._now_ns = '', None

    def receive(self, data):
        self._buffer += data.decode('ascii').replace('\r', '').replace('\n', '')
        while len(self._buffer) >= 3:
            length = _LENGTHS.get(self._buffer[1:3], 3)
            if len(self._buffer) < length:
                return
            one, self._buffer = self._buffer[:length], self._buffer[length:]
            if one[0] == '0':
                self.requests.append(one[1:])
                self._answer(one[1:3], one[3:])

    def _answer(self, command, data):
        if self.status and command not in ('in', 'gs'):
            status, self.status, self.goal = self.status, 0, None
            self.say(f'0GS{status:02X}\r\n')
        elif command == 'in':
            self.say(self.info + '\r\n')
        elif command == 'gs':
            self.say(f'0GS{9 if self.goal is not None else 0:02X}\r\n')
        elif command == 'gp':
            self._say_position()
        elif command == 'ms':
            self._stop()
        elif command in ('ma', 'mr', 'ho'):
            value = int(data, 16) if command != 'ho' else 0
            value = value - 2**32 if value >= 2**31 else value
            self.goal = self.counts + value if command == 'mr' else value
        else:
            self.say('0GS03\r\n')

    def _stop(self):
        if not self.stops:
            self.say('0GS03\r\n')
        elif self.goal is not None:
            self.goal = None
            self._say_position()

    def _say_position(self):
        self.say(f'0PO{self.counts & 0xFFFFFFFF:08X}\r\n')

    def advance(self, now_ns):
        since_s, self._now_ns = (now_ns - (self._now_ns or now_ns)) * 1e-9, now_ns
        if self.goal is None:
            return
        left, reach = self.goal - self.counts, round(self.SPEED * since_s)
        self.counts += max(-reach, min(reach, left))
        if self.counts == self.goal:
            self.goal = None
            self._say_position()
