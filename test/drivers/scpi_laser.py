"""A laser of PyVISA-sim, which keeps its settings and its error queue; that power follows light is added here."""

from itertools import count

import pyvisa
from pyvisa_sim.sessions import session

RESOURCE = 'TCPIP0::laser::5025::SOCKET'
_NUMBERS = count()  # PyVISA keeps a library by the name of its file, and folders of tests get the names of earlier ones
DEFINITION = """\
spec: "1.1"
devices:
  laser:
    eom:
      TCPIP SOCKET: {q: "\\n", r: "\\n"}
    error:
      error_queue:
        - {q: "SYST:ERR?", default: '0,"No error"', command_error: '-113,"Undefined header"', hot: '-330,"Hot"',
           invented: '201,"Diode"'}
    dialogues:
      - {q: "*IDN?", r: "Maker,Laser 671,123456,1.07"}
      - {q: "*CLS"}
    properties:
      light: {default: "OFF", getter: {q: "OUTP?", r: "{}"}, setter: {q: "OUTP {}"}}
      power: {default: "1", getter: {q: "SOUR:POW?", r: "{}"}, setter: {q: "SOUR:POW {}"},
              specs: {min: "0", max: "1.5", type: float}}
      measured: {default: "0", getter: {q: "MEAS:POW?", r: "{}"}}
      tripped: {default: "0", getter: {q: "OUTP:PROT:INTL:TRIP?", r: "{}"}}
      faults: {default: "0", getter: {q: "SYST:FAUL?", r: "{}"}}
      mode: {default: "CURR", getter: {q: "SOUR:FUNC?", r: "{}"}, setter: {q: "SOUR:FUNC {}"}}
resources:
  TCPIP0::laser::5025::SOCKET: {device: laser}
"""


class _Waiting:
    """Time of PyVISA-sim, which passes only while it waits for a laser: no busy machine makes one silent."""

    now_s = 0.0

    def monotonic(self):
        return self.now_s

    def sleep(self, seconds):
        self.now_s += seconds


class ScpiLaser:
    """The laser; faults are put in between PyVISA-sim's session and its device.

    Attributes
    ----------
    commands : list of str
        All that it was sent.
    silent, deaf, stuck : bool
        Does not answer; does not hear either; does not go off.
    garbage : bytes
        Comes before the next answer.
    factor : float
        Measured power / set power.
    """

    def __init__(self, folder):
        path = folder / f'laser{next(_NUMBERS)}.yaml'
        path.write_text(DEFINITION, encoding='utf-8')
        session.time = _Waiting()
        self.library = f'{path}@sim'
        self._library = pyvisa.ResourceManager(self.library).visalib  # kept: a new one would have new devices
        self._device = self._library.devices[RESOURCE]
        self._write, self._read = self._device.write, self._device.read
        self._device.write, self._device.read = self._take, self._give
        self.commands = []
        self.silent = self.deaf = self.stuck = self.unplugged = False
        self.garbage, self.factor = b'', 1.0

    @property
    def lit(self):
        return self['light'] == 'ON'

    def __getitem__(self, name):
        return self._device._properties[name].get_value()

    def __setitem__(self, name, value):
        self._device._properties[name].set_value(value)

    def report(self, error):
        """Put an error into the queue."""
        self._device.error_response(error)

    def unplug(self):
        """No new session, and none of the old ones."""
        self.unplugged = True
        self._library.devices._internal.clear()

    def plug(self):
        self.unplugged = False
        self._library.devices._internal[RESOURCE] = self._device

    def _take(self, data):
        if self.unplugged:
            raise OSError('no route to host')
        command = data.decode('ascii').strip()
        self.commands.append(command)
        if self.deaf or (self.stuck and command == 'OUTP OFF'):
            return
        self['measured'] = str(self['power'] * self.factor if self.lit else 0.0)
        if command == '*CLS':
            for queue in self._device._error_queues.values():
                queue.clear()
        else:
            self._write(data)

    def _give(self):
        if self.unplugged:
            raise OSError('no route to host')
        waiting = self._device._output_buffers
        if self.silent:
            waiting.clear()
        if self.garbage and waiting:
            waiting[0][:0], self.garbage = self.garbage, b''
        return self._read()
