"""One drive: its configuration, its states, and its units."""

from __future__ import annotations

import struct
from collections import deque
from math import degrees, pi, radians, tau

from qkd_gs.drivers.cia402.bus import CanBus, SdoAbort, download_request
from qkd_gs.drivers.cia402.objects import (
    CSP,
    CSV,
    EMERGENCY,
    HEARTBEAT,
    MODE_BITS,
    NO_STATE_CHANGE,
    QUICK_STOP,
    QUICK_STOP_AND_OFF,
    QUICK_STOP_AND_STAY,
    RPDO,
    SDO_REQUEST,
    TOWARDS_ENABLED,
    TPDO,
    Control,
    Index,
    State,
    fault_name,
    state_of,
)
from qkd_gs.drivers.cia402.options import Cia402Options, DriveOptions
from qkd_gs.drivers.cia402.shaper import Shaper
from qkd_gs.drivers.cia402.syncs import Syncs
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.station import AxisSettings

_AT_REST_RAD_S = radians(0.01)
_KEPT = 8  # positions
_MARGIN_DEG = 0.2  # the limits in the drive lie so far beyond those of the station
_OFF_BUS = 1 << 31  # of an identifier: the PDO does not exist
_ON_SYNC, _BY_TIMER = 1, 255  # transmission types
_TIMER_MS = 50
_CONFIGURE_S = 0.5  # for one object
_BRAKING_LOOKS, _BRAKING_LOOK_S = 100, 0.05


class Axis:
    """A drive on the bus.

    Attributes
    ----------
    state : State
        By its last statusword.
    stamp_ns : int
        Time of the newest position: of the SYNC that latched it, or of the reception of one sent by timer.
    syncs : Syncs
        Those that the drive will answer.
    heard_ns : int
        When the drive last sent its position; a heartbeat alone does not count.
    error_code : int
        Of the last fault; 0: none.
    """

    def __init__(self, name: str, options: Cia402Options, drive: DriveOptions, settings: AxisSettings) -> None:
        self.name, self._options, self._drive, self._settings = name, options, drive, settings
        self.shaper = Shaper(radians(settings.max_rate_deg_s), radians(settings.max_acc_deg_s2))
        self._rad_per_count = drive.sign * tau / drive.counts_per_turn
        self.state = State.NOT_READY
        self.angle_rad = self.rate_rad_s = 0.0
        self.stamp_ns = self.heard_ns = 0
        self._positions: deque[tuple[int, float]] = deque(maxlen=_KEPT)  # stamps and angles
        self.error_code = 0
        self.identity = ''
        self.control = Control.DISABLE_VOLTAGE
        self._reset_sent = False
        self.following_error_rad = radians(drive.following_error_deg)
        self.syncs = Syncs(options.cycle_s)
        self._distrusted = False  # its rate is from before it was taken for stopping

    # --- units ---

    def counts(self, angle_rad: float) -> int:
        """Position of the drive at an angle."""
        return round(angle_rad / self._rad_per_count) + self._drive.zero_counts

    def _rate_counts(self, rate_rad_s: float) -> int:
        return round(rate_rad_s / self._rad_per_count)

    # --- configuration: waits for answers ---

    def configure(self, bus: CanBus) -> None:
        """Identify the drive, and write its PDOs, limits, guarding and stops.

        Raises
        ------
        DeviceFault
            ``mount.silent``; ``mount.other``: not the drive of the options; ``mount.refused``: it lacks what is needed;
            ``mount.position``: it stands outside the travel.
        """
        self._identify(bus)
        self._bring_to_rest(bus)
        self._write(bus, Index.CONTROLWORD, 0, Control.DISABLE_VOLTAGE, 2)
        self._map_pdos(bus)
        self._write_limits(bus)
        mode = CSP if self._options.mode == 'position' else CSV
        if not self._read(bus, Index.SUPPORTED_MODES) >> MODE_BITS[mode] & 1:
            raise DeviceFault(
                'mount.refused', f'{self.name}: the drive has no cyclic synchronous {self._options.mode} mode'
            )
        self._write(bus, Index.MODE, 0, mode, 1)
        self._write(bus, Index.INTERPOLATION_PERIOD, 1, max(round(self._options.cycle_s * 1e3), 1), 1)
        self._write(bus, Index.INTERPOLATION_PERIOD, 2, -3, 1)
        self._take_status(self._read(bus, Index.STATUSWORD), 0)
        self._take_position(self._read(bus, Index.POSITION, signed=True), 0)
        self.shaper.reset(self.angle_rad)
        low, high = self._settings.min_deg - _MARGIN_DEG, self._settings.max_deg + _MARGIN_DEG
        if not low <= degrees(self.angle_rad) <= high:
            raise DeviceFault(
                'mount.position',
                f'{self.name} stands at {degrees(self.angle_rad):.2f} deg, outside {low:g} to {high:g} deg',
            )

    def _identify(self, bus: CanBus) -> None:
        serial = self._read(bus, Index.IDENTITY, 4)
        vendor, product = self._read(bus, Index.IDENTITY, 1), self._read(bus, Index.IDENTITY, 2)
        self.identity = f'vendor 0x{vendor:X} product 0x{product:X} serial {serial}'
        if self._drive.serial_number not in (None, serial):
            raise DeviceFault('mount.other', f'{self.name}: drive {serial} instead of {self._drive.serial_number}')
        try:
            counts = self._read(bus, Index.ENCODER_RESOLUTION, 1) // max(
                self._read(bus, Index.ENCODER_RESOLUTION, 2), 1
            )
        except SdoAbort:
            return  # a drive without this object
        if counts != self._drive.counts_per_turn:
            raise DeviceFault(
                'mount.other', f'{self.name}: {counts} counts per turn instead of {self._drive.counts_per_turn}'
            )

    def _bring_to_rest(self, bus: CanBus) -> None:
        """Stop an axis that a driver before has left moving; without torque it would coast.

        Raises
        ------
        DeviceFault
            ``mount.moving``: it does not stop.
        """
        if state_of(self._read(bus, Index.STATUSWORD)) not in (State.ENABLED, State.QUICK_STOP_ACTIVE):
            return
        self._write(bus, Index.QUICK_STOP_OPTION, 0, QUICK_STOP_AND_STAY, 2)
        self._write(bus, Index.CONTROLWORD, 0, Control.QUICK_STOP, 2)
        for _ in range(_BRAKING_LOOKS):
            rate_rad_s = self._read(bus, Index.VELOCITY, signed=True) * self._rad_per_count
            if abs(rate_rad_s) < _AT_REST_RAD_S:
                return
            bus.wait(_BRAKING_LOOK_S)
        raise DeviceFault('mount.moving', f'{self.name} moves at {degrees(rate_rad_s):.2f} deg/s after a quick stop')

    def _map_pdos(self, bus: CanBus) -> None:
        reference = (Index.TARGET_POSITION, Index.VELOCITY_OFFSET)
        if self._options.mode == 'velocity':
            reference = (Index.TARGET_VELOCITY, Index.VELOCITY_OFFSET)
        self._map(bus, Index.RPDO_PARAMETERS, RPDO[0], _ON_SYNC, (Index.CONTROLWORD, 16), (reference[0], 32))
        self._map(bus, Index.RPDO_PARAMETERS + 1, RPDO[1], _ON_SYNC, (reference[1], 32))
        status, position = (Index.STATUSWORD, 16), (Index.POSITION, 32)
        self._map(bus, Index.TPDO_PARAMETERS, TPDO[0], _ON_SYNC, status, position)
        self._map(bus, Index.TPDO_PARAMETERS + 1, TPDO[1], _ON_SYNC, (Index.VELOCITY, 32), (Index.ERROR_CODE, 16))
        self._map(bus, Index.TPDO_PARAMETERS + 2, TPDO[2], _BY_TIMER, status, position)
        self._write(bus, Index.TPDO_PARAMETERS + 2, 5, _TIMER_MS, 2)

    def _map(self, bus: CanBus, parameters: int, base: int, kind: int, *objects: tuple[Index, int]) -> None:
        mapping = parameters + 0x200
        identifier = base + self._drive.node_id
        self._write(bus, parameters, 1, identifier | _OFF_BUS, 4)
        self._write(bus, parameters, 2, kind, 1)
        self._write(bus, mapping, 0, 0, 1)
        for number, (index, bits) in enumerate(objects, 1):
            self._write(bus, mapping, number, index << 16 | bits, 4)
        self._write(bus, mapping, 0, len(objects), 1)
        self._write(bus, parameters, 1, identifier, 4)

    def _write_limits(self, bus: CanBus) -> None:
        """Set up the drive's own protection: limits, following error, and quick stop when the driver is not heard."""
        settings, options = self._settings, self._options
        ends = [
            self.counts(radians(settings.min_deg - _MARGIN_DEG)),
            self.counts(radians(settings.max_deg + _MARGIN_DEG)),
        ]
        self._write(bus, Index.SOFTWARE_LIMIT, 1, min(ends), 4)
        self._write(bus, Index.SOFTWARE_LIMIT, 2, max(ends), 4)
        most = abs(self._rate_counts(radians(settings.max_acc_deg_s2)))
        self._write(bus, Index.QUICK_STOP_DECELERATION, 0, most, 4)
        self._write(bus, Index.QUICK_STOP_OPTION, 0, QUICK_STOP_AND_STAY, 2)
        self._write(bus, Index.ABORT_CONNECTION_OPTION, 0, QUICK_STOP, 2)
        self._write(bus, Index.CONSUMER_HEARTBEAT, 1, options.master_id << 16 | round(options.guard_s * 1e3), 4)
        self._write(bus, Index.PRODUCER_HEARTBEAT, 0, max(round(options.timeout_s * 250), 10), 2)
        window = abs(self._rate_counts(radians(self._drive.following_error_deg)))
        fastest = abs(self._rate_counts(radians(settings.max_rate_deg_s)))
        for index, subindex, value, size in (  # which not every drive has
            (Index.ERROR_BEHAVIOUR, 1, NO_STATE_CHANGE, 1),
            (Index.FOLLOWING_ERROR_WINDOW, 0, window, 4),
            (Index.MAX_PROFILE_VELOCITY, 0, fastest, 4),
            (Index.MAX_ACCELERATION, 0, 2 * most, 4),
        ):
            try:
                self._write(bus, index, subindex, value, size)
            except SdoAbort:
                self.identity += f', without object 0x{index:04X}'

    def _read(self, bus: CanBus, index: int, subindex: int = 0, signed: bool = False) -> int:
        return bus.upload(self._drive.node_id, index, subindex, _CONFIGURE_S, signed)

    def _write(self, bus: CanBus, index: int, subindex: int, value: int, size: int) -> None:
        bus.download(self._drive.node_id, index, subindex, value, size, _CONFIGURE_S)

    # --- frames ---

    def take(self, identifier: int, data: bytes, now_ns: int, came_ns: int = 0) -> None:
        """Take a frame, if it is one of this drive; `came_ns`: when it has come, 0: not known."""
        base, node = identifier & 0x780, identifier & 0x7F
        if node != self._drive.node_id:
            return
        if base in TPDO:
            self.heard_ns = now_ns
        if base == TPDO[0] and len(data) >= 6:
            self._take_status(int.from_bytes(data[:2], 'little'), now_ns)
            asked_ns = self.syncs.answered(came_ns)
            if asked_ns is not None:
                self._take_position(int.from_bytes(data[2:6], 'little', signed=True), asked_ns)
        elif base == TPDO[1] and len(data) >= 6:
            rate, error_code = struct.unpack_from('<iH', data)
            self.rate_rad_s, self._distrusted = rate * self._rad_per_count, False
            self.error_code = error_code or (self.error_code if self.faulty else 0)
        elif base == TPDO[2] and len(data) >= 6:
            self._take_status(int.from_bytes(data[:2], 'little'), now_ns)
            if now_ns - self.stamp_ns > 2 * _TIMER_MS * 1_000_000:  # nobody sends SYNC at the moment
                self._take_position(int.from_bytes(data[2:6], 'little', signed=True), now_ns)
        elif base == EMERGENCY and len(data) >= 2:
            self.error_code = int.from_bytes(data[:2], 'little') or self.error_code
        elif base == HEARTBEAT and data[:1] == bytes(1):
            raise DeviceFault('mount.silent', f'the drive of the {self.name} has restarted and lost its configuration')

    def _take_status(self, statusword: int, now_ns: int) -> None:
        self.state = state_of(statusword)
        if self.state is not State.FAULT:
            self._reset_sent = False

    def _take_position(self, counts: int, at_ns: int) -> None:
        if at_ns >= self.stamp_ns:
            self.angle_rad = (counts - self._drive.zero_counts) * self._rad_per_count
            self.stamp_ns = at_ns
            self._positions.append((at_ns, self.angle_rad))

    def angle_at(self, at_ns: int) -> float:
        """Angle at the time of one of the last SYNCs: the other axis may not have answered the newest one yet."""
        if not self.stamp_ns:
            return self.angle_rad
        told = (angle_rad for stamp_ns, angle_rad in self._positions if stamp_ns == at_ns)
        return next(told, self.angle_rad + self.rate_rad_s * (at_ns - self.stamp_ns) * 1e-9)

    # --- states ---

    @property
    def faulty(self) -> bool:
        """Whether the drive has a fault."""
        return self.state in (State.FAULT, State.FAULT_REACTION)

    @property
    def fault(self) -> str:
        """Code of the fault; '' if none."""
        return f'mount.{fault_name(self.error_code)}' if self.faulty else ''

    @property
    def at_rest(self) -> bool:
        """Whether the axis stands."""
        return not self._distrusted and abs(self.rate_rad_s) < _AT_REST_RAD_S

    def distrust(self) -> None:
        """The driver was late: take the drive, which may have stopped by itself, for stopping until it tells."""
        if self.state is State.ENABLED:
            self.state, self._distrusted = State.QUICK_STOP_ACTIVE, True

    def towards_enabled(self) -> None:
        """Choose the next command on the way to torque; the reference is where the axis stands.

        A drive that stopped by itself is enabled again only when it stands; a fault is reset by an edge of its bit.
        """
        if self.state is not State.ENABLED:
            self.shaper.reset(self.angle_rad)
        if self.state is State.QUICK_STOP_ACTIVE and not self.at_rest:
            self.control = Control.QUICK_STOP
        elif self.state is State.FAULT and self._reset_sent:
            self.control, self._reset_sent = Control.DISABLE_VOLTAGE, False
        else:
            self._reset_sent = self.state is State.FAULT
            self.control = TOWARDS_ENABLED.get(self.state, Control.DISABLE_VOLTAGE)

    def send_set_point(self, bus: CanBus) -> None:
        """Send controlword and reference; the drive takes them at the next SYNC."""
        position_rad, rate_rad_s = self.shaper.position_rad, self.shaper.rate_rad_s
        if self._options.mode == 'position':
            first, second = self.counts(position_rad), self._rate_counts(rate_rad_s)
        else:
            error_rad = position_rad - self.angle_rad
            error_rad = min(max(error_rad, -pi / 8), pi / 8)
            first, second = self._rate_counts(rate_rad_s + self._options.position_gain_per_s * error_rad), 0
        node = self._drive.node_id
        bus.send(RPDO[1] + node, struct.pack('<i', second))
        bus.send(RPDO[0] + node, struct.pack('<Hi', self.control, first))

    def stop(self, bus: CanBus) -> None:
        """Quick stop, on the ramp in the drive."""
        self.control = Control.QUICK_STOP
        self.send_set_point(bus)

    def stop_and_release(self, bus: CanBus) -> None:
        """Quick stop, then no torque and the brake; does not wait."""
        request = download_request(Index.QUICK_STOP_OPTION, 0, QUICK_STOP_AND_OFF, 2)
        bus.send(SDO_REQUEST + self._drive.node_id, request)
        moving = self.state in (State.ENABLED, State.QUICK_STOP_ACTIVE)
        self.control = Control.QUICK_STOP if moving and not self.at_rest else Control.DISABLE_VOLTAGE
        self.send_set_point(bus)
