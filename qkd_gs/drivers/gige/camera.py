"""Guiding or tracking camera on GigE Vision."""

from __future__ import annotations

import re
import time
from collections import deque

from qkd_gs.devices.camera import Camera, CameraSettings, Frame
from qkd_gs.devices.driver import DriverContext, Probed, driver
from qkd_gs.devices.open_state import OpenState
from qkd_gs.drivers.gige.features import native
from qkd_gs.drivers.gige.losses import Losses
from qkd_gs.drivers.gige.options import GigeOptions
from qkd_gs.drivers.gige.session import Received, Session, find
from qkd_gs.drivers.percentiles import Latencies
from qkd_gs.drivers.station_time import StationTime
from qkd_gs.drivers.steady import Forward, Waiting, looks
from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.settings.station import CameraModel

_OPEN_S = 6.0  # a camera whose last program was killed is free after its heartbeat, 3 s as a rule
_CLOSE_S = 1.0
_LONG_AGO_NS = 10_000_000_000


class GigeCamera:
    """Implements `Camera`.

    Attributes
    ----------
    trouble : str
        Trouble of the images although the camera works; empty: none.
    """

    def __init__(self, options: GigeOptions, model: CameraModel) -> None:
        self._options, self._model = options, model
        self._state = OpenState('camera')
        self._session: Session | None = None
        self._forget()

    def _forget(self) -> None:
        self._lost: DeviceFault | None = None
        self._settings: CameraSettings | None = None
        self._since_ns = self._newest_ns = self._heard_ns = 0
        self._time, self._station = Forward('camera'), StationTime()
        self._waiting: deque[Received] = deque()
        self._answer, self._busy_since_ns = Waiting(), 0
        self._losses = Losses(self._options.most_lost)
        self._latencies = Latencies()

    # --- Protocol ---

    def open(self) -> None:
        """Connect, identify, and choose the pixel format; the stream does not begin.

        Raises
        ------
        DeviceFault
            ``camera.silent``: no camera, or it is in other hands; ``camera.other``: another camera, or one with fewer
            pixels than the station's settings say; ``camera.settings``, ``camera.clock``: it cannot do what the options
            ask for.
        """
        self.close()
        self._forget()
        session = Session(self._options)
        session.start()
        if not session.ready.wait(_OPEN_S):
            session.close(0)
            raise DeviceFault('camera.silent', f'camera {self._options.address}: no answer within {_OPEN_S:g} s')
        if session.fault is not None:
            raise session.fault
        can, model = session.abilities, self._model
        assert can is not None
        if model.width_px > can.width.most or model.height_px > can.height.most:
            session.close(_CLOSE_S)
            size = f'{can.width.most:g} x {can.height.most:g}'
            raise DeviceFault(
                'camera.other', f'{size} pixels, {model.width_px} x {model.height_px} in the settings of the station'
            )
        self._session = session
        self._state.is_open = True

    def configure(self, now_ns: int, settings: CameraSettings) -> None:
        """Settings for the next exposures; starts the stream.  The thread of the camera writes them."""
        session = self._check(now_ns)
        assert session.abilities is not None
        session.want(native(settings, self._model, session.abilities, self._options))
        if self._settings is None or settings.rate_hz != self._settings.rate_hz:
            self._heard_ns = now_ns
        if self._settings is None:
            self._since_ns = now_ns
        self._settings = settings

    def poll(self, now_ns: int) -> list[Frame]:
        """Images that have arrived."""
        session = self._check(now_ns)
        self._station.pair(now_ns, time.monotonic_ns())
        while session.received:
            self._waiting.append(session.received.popleft())
        frames = []
        # in a station that is late with its loop an image may seem to come from the future: the next call takes it
        while self._waiting and self._station.of(self._waiting[0].arrival_ns) <= now_ns:
            frame = self._frame(self._waiting.popleft())
            if frame is not None:
                frames.append(frame)
        if self._settings is not None:
            self._losses.take(now_ns, session.told.statistics, session.told.mis_sized)
            self._check_silence(now_ns)
        return frames

    def stop(self, now_ns: int) -> None:
        """Stop the stream."""
        self._settings = None
        if self._session is not None:
            self._session.want(None)

    def close(self) -> None:
        """Stop the stream and give the camera free."""
        self._state.is_open = False
        self._settings = None
        if self._session is not None:
            hangs = self._lost is not None or self._session.busy_since_ns
            self._session.close(0 if hangs else _CLOSE_S)
            self._session = None

    # --- beyond the Protocol ---

    @property
    def trouble(self) -> str:
        """See the class."""
        return self._losses.trouble

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        session = self._session
        if session is None or session.abilities is None:
            return {}
        told = session.told
        counts = self._losses.totals(told.statistics, told.mis_sized)
        return (
            session.abilities.identity
            | {
                'pixel_format': told.pixel_format,
                'clock': self._options.clock,
                'clock_error_us': f'{told.clock_error_ns * 1e-3:.1f}',
                'latency_ms': str(self._latencies),
                'exchange_ms': f'{told.exchange_ns * 1e-6:.2f}',
                'packets_resent': str(told.statistics.get('resend_recovered', 0)),
                'trouble': self.trouble,
            }
            | {f'images_{name.replace("-", "_")}': str(count) for name, count in counts.items()}
        )

    def self_test(self, move: bool = False) -> str:
        """Some images of the whole sensor."""
        model = self._model
        rate_hz = min(10.0, model.max_rate_hz)
        exposure_s = min(max(0.01, model.min_exposure_s), model.max_exposure_s, 0.5 / rate_hz)
        self.configure(time.time_ns(), CameraSettings(exposure_s, 1.0, rate_hz))
        images: list[Frame] = []
        for _ in looks(3.0):
            images += self.poll(time.time_ns())
            if len(images) >= 5:
                break
            time.sleep(0.02)
        self.stop(time.time_ns())
        told = self.health()
        said = f'{told["vendor"]} {told["model"]} {told["serial_number"]}, firmware {told["firmware"]}'
        if not images:
            raise DeviceFault('camera.no_images', f'{said}: no image within 3 s')
        last = images[-1].image
        return f'{said}; {len(images)} images of {last.shape[1]} x {last.shape[0]}, mean {last.mean():.0f}'

    # --- inside ---

    def _check(self, now_ns: int) -> Session:
        self._state.require()
        if self._lost is None and self._session is not None:
            session = self._session
            waiting_s = self._waited_s(session.busy_since_ns)
            if session.fault is not None:
                self._lost = session.fault
            elif waiting_s > self._options.timeout_s:
                self._lost = DeviceFault('camera.silent', f'no answer of the camera for {waiting_s:.1f} s')
        if self._lost is not None:
            raise self._lost
        self._time.check(now_ns)
        assert self._session is not None
        return self._session

    def _waited_s(self, since_ns: int) -> float:
        """Time for which the camera's thread has waited for it, since a monotonic time; 0: it does not."""
        if since_ns != self._busy_since_ns:
            self._busy_since_ns = since_ns
            self._answer.begin(since_ns)
        return self._answer.look(time.monotonic_ns()) if since_ns else 0.0

    def _check_silence(self, now_ns: int) -> None:
        assert self._settings is not None
        silent_s = (now_ns - self._heard_ns) * 1e-9
        period_s = max(1 / self._settings.rate_hz, self._settings.exposure_s)
        if silent_s > self._options.timeout_s + period_s:
            self._lost = DeviceFault('camera.silent', f'no image for {silent_s:.1f} s')
            raise self._lost

    def _frame(self, received: Received) -> Frame | None:
        """Image with station time; None: from before the stream, or with a stamp that does not go forward.

        Once the stream has given an image, a stamp from before the stream is a step back of the camera's clock.
        """
        given, roi = received.settings.given, received.settings.roi
        arrival_ns = self._station.of(received.arrival_ns)
        self._heard_ns = max(self._heard_ns, arrival_ns)
        exposure_ns, offset_ns = round(given.exposure_s * 1e9), round(self._options.stamp_offset_s * 1e9)
        begin_ns = self._station.of(received.stamp_ns) - offset_ns
        if self._options.stamp_at == 'end':
            begin_ns -= exposure_ns
        mid_ns = begin_ns + exposure_ns // 2
        late_s = (arrival_ns - begin_ns - exposure_ns) * 1e-9
        if self._settings is None or max(mid_ns, self._newest_ns) < self._since_ns:
            return None
        if not self._newest_ns < mid_ns <= arrival_ns or arrival_ns - mid_ns > _LONG_AGO_NS:
            self._losses.disordered += 1
            return None
        self._newest_ns = mid_ns
        self._latencies.add(late_s)
        if late_s > self._options.late_s:
            self._losses.late += 1
        column, row = received.settings.cut
        image = received.image[row : row + roi.height_px, column : column + roi.width_px]
        return Frame(mid_ns, given.exposure_s, given.gain, image, roi)


def probe(address: str) -> Probed | None:
    """Look for a camera at ``gige:IPV4``."""
    named = re.fullmatch(r'gige:(\d+\.\d+\.\d+\.\d+)', address)
    if named is None:
        return None
    try:
        found = find(named[1], None)
    except DeviceFault:
        return None
    if found is None:
        return None
    return Probed({'address': found.ip}, f'{found.manufacturer or ""} {found.model or ""}, MAC {found.mac}'.strip())


@driver(GigeOptions, probe)
def gige(context: DriverContext[GigeOptions]) -> Camera:
    """Drivers ``guiding_camera.gige`` and ``tracking_camera.gige``."""
    model: CameraModel = getattr(context.station, context.kind or 'tracking_camera')
    return GigeCamera(context.options, model)


def cameras_here() -> list[str]:
    """Addresses ``gige:IPV4`` of all cameras that answer a broadcast; none where the library is not installed."""
    from qkd_gs.drivers.gige.session import library

    try:
        genicam = library()
    except StationError:
        return []
    try:
        return [f'gige:{found.ip}' for found in genicam.discover(500)]
    except genicam.GenicamError:
        return []
