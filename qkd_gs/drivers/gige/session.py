"""One connection to a camera, in a thread of its own: whatever waits for the camera waits here."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

import numpy as np

from qkd_gs.arrays import ImageArray
from qkd_gs.drivers.extras import need
from qkd_gs.drivers.gige.device_clock import ArrivalClock, LatchedClock
from qkd_gs.drivers.gige.features import Abilities, Native, choose_format, look
from qkd_gs.drivers.gige.options import GigeOptions
from qkd_gs.errors import DeviceFault

EXTRA = 'gige'
_LISTEN_MS = 20  # longest time in which a new setting waits for an image
_IDLE_S = 0.05
_ASK_NS = 1_000_000_000  # from one exchange to the next, which shows that the camera answers
_FIRST_ASK_NS = 100_000_000  # while the clock has few latches
_FIRST_LATCHES = 8
_DISCOVERY_MS = 300
_KEPT = 8  # settings before the present ones
_MOST_WAITING = 64  # images that the loop has not taken
_PRIVILEGE_REGISTER = 0x0A00
NO_IMAGE = 'timeout waiting for frame'


def library() -> Any:
    """PyPI's viva-genicam.

    Raises
    ------
    StationError
        It is not installed; the sentence names the extra.
    """
    return need('viva_genicam', EXTRA)


def find(address: str, interface: str | None) -> Any:
    """Camera at an address; None if none answers.  It is only asked who it is."""
    local = IPv4Address(address).is_loopback
    genicam = library()
    try:
        found = genicam.discover(_DISCOVERY_MS, 'lo' if local and interface is None else interface, all=local)
    except genicam.GenicamError as error:
        raise DeviceFault('camera.silent', f'network interface {interface or "of any name"}: {error}') from error
    return next((one for one in found if one.ip == address), None)


@dataclass(frozen=True)
class Received:
    """Image as it has arrived; times are of the monotonic clock of this machine.

    Attributes
    ----------
    stamp_ns : int
        Of the camera's time stamp.
    image : (height, width) array of uint16
        Of the region that the camera reads out.
    settings : Native
        With which it was exposed.
    """

    stamp_ns: int
    arrival_ns: int
    image: ImageArray
    settings: Native


@dataclass
class Told:
    """Figures that the thread keeps up to date.

    Attributes
    ----------
    statistics : dict
        Counters of the library.
    mis_sized : int
        Images of another size than asked for.
    """

    pixel_format: str = ''
    clock_error_ns: float = float('nan')
    exchange_ns: int = 0
    statistics: dict[str, int] = field(default_factory=dict)
    mis_sized: int = 0


class Session:
    """Owns the camera from connecting to closing.

    Attributes
    ----------
    ready : threading.Event
        Set when the camera is connected and known, or `fault` is.
    received : deque of Received
    fault : DeviceFault, optional
        Reason why the connection is over.
    busy_since_ns : int
        Since when the camera has been waited for, monotonic; 0: it is not.
    """

    def __init__(self, options: GigeOptions) -> None:
        self._thread = threading.Thread(target=self._run, name=f'gige {options.address}', daemon=True)
        self._options, self._genicam = options, library()
        self.ready, self._closing, self._news = threading.Event(), threading.Event(), threading.Event()
        self.received: deque[Received] = deque(maxlen=_MOST_WAITING)
        self.fault: DeviceFault | None = None
        self.abilities: Abilities | None = None
        self.busy_since_ns = time.monotonic_ns()
        self.told = Told()
        self._wanted: Native | None = None
        self._applied: Native | None = None
        self._history: list[tuple[int, Native]] = []  # since when settings hold, monotonic ns
        self._frames: Any = None
        self._running = False
        self._ask_ns = self._asked = 0

    # --- for the loop; never waits, unless told to ---

    def start(self) -> None:
        """Connect."""
        self._thread.start()

    def want(self, settings: Native | None) -> None:
        """Stream with these settings; None: no stream."""
        self._wanted = settings
        self._news.set()

    def close(self, wait_s: float) -> None:
        """Give the camera free; a camera that hangs is left to the thread."""
        self._closing.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(wait_s)

    # --- the thread ---

    def _run(self) -> None:
        """Connect, then do what is wanted until it is to close."""
        camera = None
        try:
            camera = self._connect()
            self._done()
            self.ready.set()
            while not self._closing.is_set():
                self._work(camera)
        except DeviceFault as fault:
            self.fault = fault
        except self._genicam.GenicamError as error:
            self.fault = DeviceFault('camera.silent', f'camera {self._options.address}: {error}')
        finally:
            self.ready.set()
            self._leave(camera)

    def _connect(self) -> Any:
        options = self._options
        found = find(options.address, options.interface)
        if found is None:
            raise DeviceFault('camera.silent', f'no camera answers at {options.address}')
        camera = self._genicam.connect_gige(found)
        for name in ('OffsetX', 'OffsetY'):  # they limit the size
            if camera.node_info(name) is not None:
                camera.set_integer(name, 0)
        abilities = look(camera, self._genicam.GenicamError)
        serial = abilities.identity['serial_number']
        if options.serial_number not in (None, serial):
            camera.close()
            raise DeviceFault('camera.other', f'camera {serial} instead of {options.serial_number}')
        if options.clock == 'latch' and abilities.latch is None:
            camera.close()
            raise DeviceFault(
                'camera.clock', f'{abilities.identity["model"]} cannot latch its clock: choose clock: ptp or arrival'
            )
        choose_format(camera, options)
        self._clock = (
            LatchedClock(abilities.tick_hz)
            if options.clock == 'latch'
            else ArrivalClock(abilities.tick_hz, round(options.latency_s * 1e9))
        )
        self.abilities = abilities
        for _ in range(_FIRST_LATCHES if options.clock == 'latch' else 1):
            self._exchange(camera)
        return camera

    def _work(self, camera: Any) -> None:
        if self._wanted is not self._applied:
            self._busy()
            self._apply(camera)
            self._done()
        if time.monotonic_ns() >= self._ask_ns:
            self._busy()
            self._exchange(camera)
            self._done()
        if not self._running:
            self._news.wait(_IDLE_S)
            self._news.clear()
        else:
            self._receive()

    def _busy(self) -> None:
        self.busy_since_ns = time.monotonic_ns()

    def _done(self) -> None:
        self.busy_since_ns = 0

    def _apply(self, camera: Any) -> None:
        """Write what is wanted; only another size of the images needs a pause of the stream."""
        wanted, applied = self._wanted, self._applied
        if wanted is None or applied is None or wanted.region[2:] != applied.region[2:]:
            self._pause(camera)
            applied = None
        self._applied = wanted
        if wanted is None:
            return
        if applied is None or wanted.exposure_us != applied.exposure_us:
            camera.set_exposure_time(wanted.exposure_us)
        if applied is None or wanted.gain != applied.gain:
            self._set_gain(camera, wanted.gain)
        if applied is None:
            camera.set_roi(self._genicam.Roi(*wanted.region))
        elif wanted.region != applied.region:
            self._move_region(camera, wanted)
        if applied is None or wanted.rate_hz != applied.rate_hz:
            camera.set_frame_rate(wanted.rate_hz)
        if not self._running:
            self._resume(camera)
        delay_ns = round(self._options.pipeline_frames * 1e9 / wanted.rate_hz) if applied is not None else 0
        self._history = [*self._history[-_KEPT:], (time.monotonic_ns() + delay_ns, wanted)]

    def _move_region(self, camera: Any, wanted: Native) -> None:
        """Move a region of the same size; a camera that locks its offsets meanwhile needs a pause, too."""
        try:
            camera.set_integer('OffsetX', wanted.region[0])
            camera.set_integer('OffsetY', wanted.region[1])
        except self._genicam.GenApiError:
            self._pause(camera)
            camera.set_roi(self._genicam.Roi(*wanted.region))

    def _set_gain(self, camera: Any, gain: float) -> None:
        assert self.abilities is not None
        if self.abilities.gain_in_db:
            camera.set_float('Gain', gain)
        elif self.abilities.gain.most > 0:
            camera.set_integer('GainRaw', round(gain))

    def _resume(self, camera: Any) -> None:
        if self._frames is None:
            self._frames = camera.stream(iface=self._options.interface, packet_size=self._options.packet_size)
        camera.acquisition_start()
        self._running = True

    def _pause(self, camera: Any) -> None:
        if self._running:
            camera.acquisition_stop()
        self._running = False

    def _exchange(self, camera: Any) -> None:
        """Ask the camera something: its clock, or else whether it is still ours."""
        assert self.abilities is not None
        before_ns = time.monotonic_ns()
        if self.abilities.latch is not None and isinstance(self._clock, LatchedClock):
            command, value = self.abilities.latch
            camera.execute(command, wait=False)
            after_ns = time.monotonic_ns()
            camera.invalidate(value)
            self._clock.latch(camera.get_integer(value), before_ns, after_ns)
        else:
            camera.read_register(_PRIVILEGE_REGISTER, 4)
            after_ns = time.monotonic_ns()
        if camera.control_state.name == 'LOST':
            raise DeviceFault('camera.silent', f'another program has taken the camera {self._options.address}')
        self._asked += 1
        self._ask_ns = after_ns + (_ASK_NS if self._asked > 2 * _FIRST_LATCHES else _FIRST_ASK_NS)
        self.told.exchange_ns = after_ns - before_ns

    def _receive(self) -> None:
        """Wait a moment for an image, and pass it on."""
        try:
            frame = self._frames.next_frame(_LISTEN_MS)
        except self._genicam.TransportError as error:
            if NO_IMAGE not in str(error):
                raise
            frame = None
        self.told.statistics = self._counters()
        if frame is None:
            return
        arrival_ns = time.monotonic_ns()
        stamp_ns = self._stamp(frame.ts_dev, arrival_ns)
        pixels = frame.to_numpy()
        self.told.pixel_format = frame.pixel_format
        settings = self._settings_of(stamp_ns, pixels.shape)
        if settings is None:
            self.told.mis_sized += 1
            return
        self.received.append(Received(stamp_ns, arrival_ns, pixels.astype(np.uint16, copy=False), settings))

    def _settings_of(self, stamp_ns: int, shape: tuple[int, ...]) -> Native | None:
        """Newest settings of an image's shape that held when it was exposed, else the newest of its shape."""
        fitting = [one for one in reversed(self._history) if shape == (one[1].region[3], one[1].region[2])]
        held = (settings for since_ns, settings in fitting if stamp_ns >= since_ns)
        return next(held, fitting[0][1] if fitting else None)

    def _stamp(self, ticks: int | None, arrival_ns: int) -> int:
        if not ticks:
            raise DeviceFault('camera.clock', 'the images have no time stamps')
        if self._options.clock == 'ptp':
            assert self.abilities is not None
            utc_ns = round(ticks * (1e9 / self.abilities.tick_hz)) if self.abilities.tick_hz != 1e9 else ticks
            return utc_ns - round(self._options.ptp_ahead_s * 1e9) - (time.time_ns() - time.monotonic_ns())
        if isinstance(self._clock, ArrivalClock):
            self._clock.arrived(ticks, arrival_ns)
        self.told.clock_error_ns = self._clock.error_ns
        host_ns = self._clock.host_ns(ticks)
        assert host_ns is not None  # latched when it was connected
        return host_ns

    def _counters(self) -> dict[str, int]:
        now = self._frames.stats()
        return {name: getattr(now, name) for name in COUNTERS}

    def _leave(self, camera: Any) -> None:
        """Stop the stream and give the camera free, if it answers; only then may it be asked."""
        try:
            if camera is not None and self.fault is None:
                self._pause(camera)
            if self._frames is not None:
                self._frames.close()
            if camera is not None:
                camera.close()
        except self._genicam.GenicamError as error:
            self.fault = self.fault or DeviceFault('camera.silent', f'camera {self._options.address}: {error}')


COUNTERS = (
    'frames_complete', 'frames_incomplete', 'frames_missed', 'frames_backpressure', 'frames_unsupported',
    'packets_received', 'packets_missing', 'packets_ignored', 'packets_ignored_malformed', 'packets_size_mismatch',
    'resend_requested', 'resend_recovered',
)  # fmt: skip
