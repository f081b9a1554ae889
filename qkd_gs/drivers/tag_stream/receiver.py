"""TDC that sends its tags over a socket."""

from __future__ import annotations

import json
import socket
import time

import numpy as np
from pydantic import ValidationError

from qkd_gs.arrays import ByteArray, IntArray
from qkd_gs.devices.driver import DriverContext, Probed, driver
from qkd_gs.devices.open_state import OpenState
from qkd_gs.devices.tdc import Tdc
from qkd_gs.drivers.addresses import CONNECT_S, Connect, greeting_of, host_and_port
from qkd_gs.drivers.percentiles import Latencies
from qkd_gs.drivers.steady import Forward, looks
from qkd_gs.drivers.tag_stream.frames import BrokenStream, Flag, Frame, FrameReader, Kind, encode, unpack_tags
from qkd_gs.drivers.tag_stream.options import Hello, TagStreamOptions
from qkd_gs.errors import DeviceFault
from qkd_gs.timing.tags import Channel, TagBlock

_CHUNK = 1 << 20
_MOST_BYTES = 1 << 23  # taken in one poll; the rest waits in the network, which slows the sender down
_TEST_S = 1.5  # of a self-test


class TagStreamTdc:
    """Implements `Tdc`.

    What was good is delivered before a fault is raised: tags up to an overflow or a gap in the sequence come with one
    ``poll()``, the fault with the next.

    Parameters
    ----------
    simulated : bool
        The station is marked as simulated; another one refuses a TDC whose tags are.
    """

    def __init__(
        self, options: TagStreamOptions, connect: Connect = socket.create_connection, simulated: bool = False
    ) -> None:
        self._options, self._connect, self._simulated = options, connect, simulated
        self._state = OpenState('tdc')
        self._socket: socket.socket | None = None
        self._runs = 0
        self._table = np.zeros(256, np.uint8)
        for number, name in options.channels.items():
            self._table[number] = Channel[name]
        self._begin()

    def _begin(self) -> None:
        self._reader = FrameReader()
        self._hello: Hello | None = None
        self._lost: DeviceFault | None = None
        self._heard_ns: int | None = None
        self._unmapped = 0
        self._time = Forward('tdc')
        self._end_run()

    def _end_run(self) -> None:
        self._run = 0
        self._started = False
        self._lags = Latencies()  # from the end of a frame to the poll that takes it
        self._now_ns = 0
        self._sequence = 0
        self._end_ticks = 0
        self._flags: Flag | None = None
        self._next: DeviceFault | None = None  # fault behind the tags of the last poll
        self._parts: list[tuple[IntArray, ByteArray]] = []

    # --- Protocol ---

    def open(self) -> None:
        """Connect and wait for the greeting of the TDC.

        Raises
        ------
        DeviceFault
            ``tdc.silent``: nobody there; ``tdc.other``: another TDC; ``tdc.garbled``: another protocol;
            ``tdc.simulated``: its tags are not of real light, and the station is not marked as simulated.
        """
        self.close()
        self._begin()
        where = (self._options.host, self._options.port)
        try:
            self._socket = self._connect(where, CONNECT_S)
            self._socket.setblocking(False)
            self._wait_for_hello()
        except OSError as error:
            self.close()
            raise DeviceFault('tdc.silent', f'{where[0]}:{where[1]}: {error}') from error
        except DeviceFault:
            self.close()
            raise
        self._state.is_open = True

    def start(self, now_ns: int) -> None:
        """Begin a run; tags of the one before that are still under way are dropped."""
        self._check()
        self._end_run()
        self._runs = self._runs % 0xFFFFFFFF + 1
        self._run = self._runs
        self._asked_ns = now_ns
        self._send(Frame(Kind.START, run=self._run))

    def poll(self, now_ns: int) -> TagBlock:
        """Tags since the last call, in order of time.

        Raises
        ------
        DeviceFault
            ``tdc.silent``: the TDC; ``tdc.overflow``: it has lost tags; ``tdc.sequence``: frames are missing;
            ``tdc.clock``: its reference was lost or came back; ``tdc.disorder``: a tag is earlier than the end of the
            frame before; ``tdc.garbled``.  All of them last until the device is opened again.
        """
        self._check()
        self._heard_ns = now_ns if self._heard_ns is None else self._heard_ns
        try:
            if self._next is not None:
                raise self._next
            self._time.check(now_ns)
            self._now_ns = now_ns
            heard = self._take_all()
            self._heard_ns = now_ns if heard else self._heard_ns
            self._check_silence(now_ns)
        except DeviceFault as fault:
            self._lost = fault
            raise
        return self._block()

    def stop(self, now_ns: int) -> None:
        """End the run."""
        running = self._run and self._state.is_open and self._lost is None
        self._end_run()
        if running:
            try:
                self._send(Frame(Kind.STOP))
            except DeviceFault as fault:
                self._lost = fault  # poll() reports it

    def close(self) -> None:
        """End the run and disconnect."""
        if self._state.is_open:
            self.stop(0)
        self._state.is_open = False
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # --- beyond the Protocol ---

    def health(self) -> dict[str, str]:
        """Values for the diagnostics; nothing of the tags but how many came from inputs that are not used."""
        hello = self._hello
        return {
            'model': hello.model if hello else '',
            'serial_number': hello.serial_number if hello else '',
            'firmware': hello.firmware if hello else '',
            'reference': 'missing' if (self._flags or Flag(0)) & Flag.UNLOCKED else 'locked',
            'lag_ms': str(self._lags),
            'tags_on_unused_inputs': str(self._unmapped),
        }

    def self_test(self, move: bool = False) -> str:
        """A run of 1.5 s of the TDC's own time, for which it has its time-out: whether there are pulses of the PPS."""
        self.start(time.time_ns())
        assert self._hello is not None
        numerator, denominator = self._hello.tick_ps
        counts = np.zeros(256, np.int64)
        for _ in looks(max(_TEST_S, self._options.timeout_s)):
            counts += np.bincount(self.poll(time.time_ns()).channel, minlength=256)
            if self._end_ticks * numerator / denominator * 1e-12 >= _TEST_S:
                break
            time.sleep(0.05)
        self.stop(time.time_ns())
        hello = self._hello
        said = f'{hello.model if hello else ""} serial {hello.serial_number if hello else ""}'
        if not counts[Channel.PPS]:
            raise DeviceFault('tdc.no_pps', f'{said}: no pulse on the input of the PPS within {_TEST_S} s')
        return f'{said}, PPS is there, {counts[Channel.BEACON]} beacon pulses in {_TEST_S} s'

    # --- the stream ---

    def _check(self) -> None:
        self._state.require()
        if self._lost is not None:
            raise self._lost

    def _wait_for_hello(self) -> None:
        for _ in looks(self._options.timeout_s):
            self._take_all()
            if self._hello is not None:
                return
            time.sleep(0.005)
        raise DeviceFault('tdc.silent', f'no greeting within {self._options.timeout_s:g} s')

    def _send(self, frame: Frame) -> None:
        assert self._socket is not None
        try:
            self._socket.sendall(encode(frame))
        except OSError as error:
            raise DeviceFault('tdc.silent', f'the TDC takes no orders: {error}') from error

    def _take_all(self) -> bool:
        """Take the frames that have arrived; whether there was anything."""
        taken = 0
        while taken < _MOST_BYTES and self._next is None:
            data = self._receive()
            if not data:
                break
            taken += len(data)
            try:
                frames = self._reader.feed(data)
                for frame in frames:
                    if self._next is None:
                        self._take(frame)
            except BrokenStream as error:
                self._fail('tdc.garbled', str(error))
        return taken > 0

    def _receive(self) -> bytes:
        assert self._socket is not None
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return b''
        except OSError as error:
            self._fail('tdc.silent', str(error))
            return b''
        if not data:
            self._fail('tdc.silent', 'the TDC has closed the connection')
        return data

    def _fail(self, code: str, message: str) -> None:
        """Raise a fault with the next poll if this one has tags to deliver, else now."""
        fault = DeviceFault(code, message)
        if not self._parts:
            raise fault
        self._next = fault

    def _check_silence(self, now_ns: int) -> None:
        assert self._heard_ns is not None
        silent_s = (now_ns - self._heard_ns) * 1e-9
        if silent_s > self._options.timeout_s:
            self._fail('tdc.silent', f'nothing from the TDC for {silent_s:.1f} s')
        elif self._run and not self._started and now_ns - self._asked_ns > self._options.timeout_s * 1e9:
            self._fail('tdc.silent', 'the TDC does not begin the run')

    def _take(self, frame: Frame) -> None:
        if frame.kind is Kind.HELLO:
            self._greet(frame.payload)
        elif not self._run or frame.run != self._run:
            return  # of another run, or alive without one
        elif frame.kind is Kind.STARTED:
            self._started = True
        elif frame.kind is Kind.TAGS and self._started:
            self._take_tags(frame)
        elif frame.kind is Kind.ALIVE and self._started and frame.sequence != self._sequence:
            self._fail('tdc.sequence', f'{(frame.sequence - self._sequence) % 2**32} frames are missing')

    def _greet(self, payload: bytes) -> None:
        try:
            self._hello = Hello.model_validate(json.loads(payload))
        except (ValueError, ValidationError) as error:
            raise DeviceFault('tdc.garbled', f'greeting: {str(error).splitlines()[0]}') from error
        wanted = self._options.serial_number
        if wanted is not None and wanted != self._hello.serial_number:
            raise DeviceFault('tdc.other', f'TDC {self._hello.serial_number} instead of {wanted}')
        if self._hello.simulated and not self._simulated:
            raise DeviceFault(
                'tdc.simulated',
                f'{self._hello.model} sends simulated tags, and this station is not marked as simulated',
            )

    def _take_tags(self, frame: Frame) -> None:
        unlocked = frame.flags & Flag.UNLOCKED
        if frame.sequence != self._sequence:
            self._fail('tdc.sequence', f'frame {frame.sequence} instead of {self._sequence}')
        elif frame.flags & Flag.OVERFLOW:
            self._fail('tdc.overflow', 'the TDC has lost tags: its buffer was full')
        elif self._flags is not None and unlocked != self._flags & Flag.UNLOCKED:
            self._fail(
                'tdc.clock', f'the reference of the clock {"is missing" if unlocked else "came back"} during the run'
            )
        else:
            self._append(frame)

    def _append(self, frame: Frame) -> None:
        ticks, inputs = unpack_tags(frame.payload)
        if len(ticks) and (ticks.min() < self._end_ticks or ticks.max() >= frame.end_ticks):
            self._fail('tdc.disorder', f'tags of frame {frame.sequence} are not between its beginning and its end')
            return
        self._sequence = (self._sequence + 1) % 2**32
        self._flags, self._end_ticks = frame.flags, frame.end_ticks
        assert self._hello is not None
        numerator, denominator = self._hello.tick_ps
        self._lags.add((self._now_ns - self._asked_ns) * 1e-9 - frame.end_ticks * numerator / denominator * 1e-12)
        if np.any(ticks[1:] < ticks[:-1]):
            order = np.argsort(ticks, kind='stable')
            ticks, inputs = ticks[order], inputs[order]
        channel = self._table[inputs]
        used = channel > 0
        if not used.all():
            self._unmapped += int(len(used) - used.sum())
            ticks, channel = ticks[used], channel[used]
        self._parts.append((self._picoseconds(ticks), channel))

    def _picoseconds(self, ticks: IntArray) -> IntArray:
        assert self._hello is not None
        numerator, denominator = self._hello.tick_ps
        if denominator == 1:
            return ticks * numerator
        whole, rest = np.divmod(ticks, denominator)
        picoseconds: IntArray = whole * numerator + rest * numerator // denominator
        return picoseconds

    def _block(self) -> TagBlock:
        parts, self._parts = self._parts, []
        if not parts:
            return TagBlock(np.empty(0, np.int64), np.empty(0, np.uint8))
        return TagBlock(np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))


def probe(address: str) -> Probed | None:
    """Look for a TDC at ``HOST:PORT``."""
    where = host_and_port(address)
    if where is None:
        return None
    try:
        greeting = next(iter(FrameReader().feed(greeting_of(where))), None)
    except BrokenStream:
        return None
    if greeting is None or greeting.kind is not Kind.HELLO:
        return None
    try:
        hello = Hello.model_validate(json.loads(greeting.payload))
    except ValueError:
        return None
    options = {'host': where[0], 'port': where[1], 'serial_number': hello.serial_number}
    return Probed(options, f'TDC {hello.model}, serial number {hello.serial_number}; channels is to be added')


@driver(TagStreamOptions, probe)
def tag_stream(context: DriverContext[TagStreamOptions]) -> Tdc:
    """Driver ``tdc.tag_stream``."""
    return TagStreamTdc(context.options, simulated=context.simulated)
