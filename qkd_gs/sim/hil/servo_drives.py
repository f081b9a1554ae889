"""Two servo drives with CiA 402, each with a simple plant.

SDO server, NMT and PDO maps are those of the package canopen.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from qkd_gs.drivers.extras import need
from qkd_gs.sim.hil.drive_objects import dictionary

NODES = (1, 2)
NOT_HEARD = 0x8130
ENABLED, QUICK_STOP, FAULT = 0x27, 0x07, 0x08  # statuswords


class Drive:
    """State machine, guarding, limits and plant of one drive; counts and counts a second.

    Attributes
    ----------
    position, velocity : float
    target : int
        Position in the beginning.
    status, error : int
        Statusword and error code.
    blocked : bool
        The axis does not turn.
    quick_stops : list of str
        Reason why it has stopped.
    """

    _word, _syncing = 0, False

    def __init__(self, network: Any, node_id: int, position: int = 0, without: Collection[int] = ()) -> None:
        self.node = network.create_node(node_id, dictionary(node_id, without))
        self.id, self._network = node_id, network
        self.position, self.velocity, self.target = float(position), 0.0, position
        self.status, self.error, self.blocked = 0x40, 0, False
        self._running = False
        self._taken: list[Any] = []  # PDOs, when it runs
        self._sent: list[Any] = []
        self._staged: dict[int, bytes] = {}
        self._sent_ns: dict[int | str, int] = {}
        self._guarded_ns: int | None = None
        self.quick_stops: list[str] = []
        self.node.nmt.state = 'PRE-OPERATIONAL'
        self._values: dict[tuple[int, int], int] = {}  # of objects, decoded once: they are needed in every cycle
        self.node.add_read_callback(self._told)
        self.node.add_write_callback(self.written)

    # --- objects ---

    def read(self, index: int, sub: int | None = None) -> int:
        """Value of an object."""
        told = self._told(index)
        if told is not None:
            return told
        key = index, sub or 0
        if key not in self._values:
            variable = self.node.sdo[index] if sub is None else self.node.sdo[index][sub]
            self._values[key] = int(variable.raw)
        return self._values[key]

    def _told(self, index: int, **_: Any) -> int | None:
        """Value of an object that the drive itself changes."""
        if index == 0x6041:
            return self.status
        if index == 0x6064:
            return round(self.position)
        if index == 0x606C:
            return round(self.velocity)
        return self.error if index == 0x603F else None

    # --- frames ---

    def frame(self, identifier: int, data: bytes, now_ns: int, is_late: bool = False) -> None:
        """A frame on the bus; `is_late`: so long ago that an answer would not be one any more."""
        if identifier == 0x80:
            self._sync(now_ns, is_late)
        elif identifier - 0x700 == self.read(0x1016, 1) >> 16 & 0x7F:
            self._guarded_ns = now_ns
        elif identifier in (0x200 + self.id, 0x300 + self.id):
            self._staged[identifier] = bytes(data)
        if self.node.nmt.state == 'OPERATIONAL' and not self._running:
            self._running = True
            self.node.rpdo.read()
            self.node.tpdo.read()
            self._taken = [one for one in self.node.rpdo.values() if one.enabled]
            self._sent = [one for one in self.node.tpdo.values() if one.enabled]

    def _sync(self, now_ns: int, is_late: bool) -> None:
        if not self._running:
            return
        self._syncing = True
        for one in self._taken:
            data = self._staged.pop(one.cob_id, None)
            if data is not None:
                one.data = bytearray(data)
                for variable in one:
                    self.node.sdo[variable.index].raw = variable.raw
        self._syncing = False
        self._control(self.read(0x6040))
        self.latch(now_ns)
        if not is_late:
            self._send(lambda one: one.trans_type == 1)

    def latch(self, now_ns: int) -> None:
        """At a SYNC: the position that the drive tells."""

    def _send(self, chosen: Callable[[Any], bool]) -> None:
        for one in self._sent:
            if chosen(one):
                for variable in one:
                    variable.raw = self.read(variable.index)
                one.transmit()

    # --- states ---

    def written(self, index: int, subindex: int, od: Any, data: bytes) -> None:
        """An object is written; a controlword that came by SDO counts at once."""
        self._values[index, subindex] = int(od.decode_raw(data))
        if index == 0x6040 and not self._syncing:
            self._control(int.from_bytes(data, 'little'))

    def _control(self, word: int) -> None:
        enabled, stopping = self.status == 0x27, self.status == 0x07
        if self.status == 0x08:
            if word & 0x80 and not self._word & 0x80:
                self.status, self.error = 0x40, 0
        elif not word & 0x02:
            self._off()
        elif not word & 0x04:
            if enabled:
                self._quick_stop('commanded')
            elif not stopping:
                self.status = 0x40
        elif word & 0x0F == 0x06 and not enabled:
            self.status = 0x21
        elif word & 0x0F == 0x07 and self.status in (0x21, 0x23):
            self.status = 0x23
        elif word & 0x0F == 0x0F and (self.status == 0x23 or (stopping and self.read(0x605A) >= 5)):
            self.status = 0x27
        self._word = word

    def _off(self) -> None:
        self.status, self.velocity = 0x40, 0.0  # the brake

    def _quick_stop(self, why: str) -> None:
        self.quick_stops.append(why)
        self.status = 0x07

    def fail(self, error: int = 0x2310) -> None:
        """A fault of the drive."""
        self.status, self.error, self.velocity = 0x08, error, 0.0
        self._network.send_message(0x80 + self.id, error.to_bytes(2, 'little') + bytes((1, 0, 0, 0, 0, 0)))

    # --- time ---

    def advance(self, dt_s: float, now_ns: int) -> None:
        """Let time go by."""
        limit_ns = (self.read(0x1016, 1) & 0xFFFF) * 1_000_000
        if self._guarded_ns is not None and limit_ns and now_ns - self._guarded_ns > limit_ns:
            self._guarded_ns = None
            self._network.send_message(0x80 + self.id, NOT_HEARD.to_bytes(2, 'little') + bytes(6))
            if self.status == 0x27 and self.read(0x6007) == 3:
                self._quick_stop('not guarded')
        self.move(dt_s)
        for one in self._sent:
            timer_ns = (one.event_timer or 0) * 1_000_000
            if one.trans_type == 255 and timer_ns and now_ns - self._sent_ns.get(one.cob_id, 0) >= timer_ns:
                self._sent_ns[one.cob_id] = now_ns
                self._send(lambda each, this=one: each is this)  # type: ignore[misc]
        every_ns = self.read(0x1017) * 1_000_000
        if every_ns and now_ns - self._sent_ns.get('heartbeat', 0) >= every_ns:
            self._sent_ns['heartbeat'] = now_ns
            self._network.send_message(0x700 + self.id, bytes((5 if self._running else 127,)))

    def move(self, dt_s: float) -> None:
        """Turn the axis."""
        if self.status == 0x27 and self.read(0x6060) == 8:
            left = self.read(0x607A) - self.position
            if abs(left) > self.read(0x6065):
                self.fail(0x8611)
                return
            period_s = self.read(0x60C2, 1) * 10.0 ** self.read(0x60C2, 2)
            self.velocity = 0.0 if self.blocked else left / max(period_s, dt_s, 1e-9)
        elif self.status == 0x27:
            self.velocity = float(self.read(0x60FF) + self.read(0x60B1))
        elif self.status == 0x07:
            most = self.read(0x6085) * dt_s
            self.velocity -= max(-most, min(most, self.velocity))
            if not self.velocity and self.read(0x605A) == 2:
                self._off()
        low, high = self.read(0x607D, 1), self.read(0x607D, 2)
        self.position = min(max(self.position + self.velocity * dt_s, low), high)


class Twin:
    """Both drives, on a network whose frames go out by `send`."""

    def __init__(
        self,
        send: Callable[[Any], None],
        positions: tuple[int, int] = (0, 0),
        without: Collection[int] = (),
        drive: Callable[..., Drive] = Drive,
    ) -> None:
        self.network = need('canopen', 'hil').Network()
        self.network.bus = self
        self._send_frame = send
        self.silent: set[int] = set()
        self.drives = [drive(self.network, node, at, without) for node, at in zip(NODES, positions, strict=True)]
        self._now_ns: int | None = None

    def send(self, message: Any) -> None:
        """Send a frame of canopen."""
        if message.arbitration_id & 0x7F not in self.silent:
            self._send_frame(message)

    def send_periodic(self, message: Any, period: float) -> Twin:
        """Ignore canopen's own periodic heartbeat: `Drive.advance` sends it."""
        return self

    def stop(self) -> None:
        """As canopen's timer has it."""

    def update(self, message: Any) -> None:
        """As canopen's timer has it."""

    def receive(self, message: Any, at_ns: int | None = None, is_late: bool = False) -> None:
        """A frame of the driver, which has come at `at_ns`; None: now."""
        data = bytes(message.data)
        if message.arbitration_id & 0x7F not in self.silent or message.arbitration_id in (0, 0x80):
            self.network.notify(message.arbitration_id, bytearray(data), 0.0)
        for drive in self.drives:
            if drive.id not in self.silent:
                drive.frame(message.arbitration_id, data, at_ns or self._now_ns or 0, is_late)

    def pass_time(self, seconds: float) -> None:
        """Let time go by."""
        self.advance((self._now_ns or 1) + round(seconds * 1e9))

    def advance(self, now_ns: int) -> None:
        """Let time go by until `now_ns`."""
        now_ns = max(now_ns, self._now_ns or 0)
        since_s = (now_ns - self._now_ns) * 1e-9 if self._now_ns else 0.0
        self._now_ns = now_ns
        for drive in self.drives:
            if drive.id not in self.silent:
                drive.advance(since_s, now_ns)


def for_the_drives(identifier: int) -> bool:
    """Whether a frame on a shared bus is not one of the drives' own."""
    kind, node = identifier & 0x780, identifier & 0x7F
    return kind not in (0x180, 0x280, 0x380, 0x580) and (node not in NODES or kind in (0x200, 0x300, 0x600))
