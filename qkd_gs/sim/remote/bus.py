"""The bus between simulated devices and the world they are in: a file in shared memory with one ring for each channel.

A real drive hangs on a field bus, not on a topic; so does a simulated one.  Nobody is woken by what is written here: a
driver, or the world, reads when its own period begins.  Each channel has one writer.  A process that is killed leaves
the bus as it is, and the one that takes its place goes on where the channel stands.

Layout: the time at which the world began, then the rings.  A ring is the number of values ever written and the last so
many of them; a value counts once the number says so.  That relies on stores becoming visible in their order, as they
do on x86-64.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from qkd_gs.devices.beacon import BeaconReading
from qkd_gs.devices.calibration_light import CalibrationLightReading, Cover
from qkd_gs.devices.dome import DomeReading, Shutter
from qkd_gs.devices.focuser import FocuserReading
from qkd_gs.devices.hwp import HwpReading
from qkd_gs.devices.mount import MountCommand, MountMode, MountReading
from qkd_gs.sim.remote.actuators import Drive, FocuserState, TiltResidual, TruthBlock

T = TypeVar('T')
_WORD = struct.Struct('<Q')
_ROWS, _SAMPLES = 15, 10  # of a block of the true state, at most
_FEW, _MANY = 1024, 512  # values kept: of a channel, and of the true state (5 s)


class Kind(NamedTuple):
    """Layout of a channel's values in memory, each behind the station time at which it was sent."""

    layout: struct.Struct
    pack: Callable[[Any], tuple[Any, ...]]
    unpack: Callable[[tuple[Any, ...]], Any]
    slots: int = _FEW


def _pack_truth(block: TruthBlock) -> tuple[Any, ...]:
    return block.end_ns, block.rows.shape[1], block.rows.tobytes()


def _unpack_truth(fields: tuple[Any, ...]) -> TruthBlock:
    end_ns, samples, data = fields
    rows = np.frombuffer(data, dtype=np.float64, count=_ROWS * samples)
    return TruthBlock(end_ns, rows.reshape(_ROWS, samples))


def _pack_mount(reading: MountReading) -> tuple[Any, ...]:
    return (
        reading.stamp_ns, reading.az_rad, reading.el_rad, reading.az_rate_rad_s, reading.el_rate_rad_s,
        int(reading.mode), reading.fault.encode(),
    )  # fmt: skip


def _unpack_mount(fields: tuple[Any, ...]) -> MountReading:
    stamp_ns, az, el, az_rate, el_rate, mode, fault = fields
    return MountReading(stamp_ns, az, el, az_rate, el_rate, MountMode(mode), fault.rstrip(b'\0').decode())


def _pack_focuser(state: FocuserState) -> tuple[Any, ...]:
    reading = state.reading
    return reading.stamp_ns, reading.position, reading.moving, reading.temperature_c, state.max_step


def _unpack_focuser(fields: tuple[Any, ...]) -> FocuserState:
    *reading, max_step = fields
    return FocuserState(FocuserReading(*reading), max_step)


CHANNELS = {
    'mount/command': Kind(
        struct.Struct('<qq6d'),
        lambda c: (
            c.at_ns, c.az_rad, c.el_rad, c.az_rate_rad_s, c.el_rate_rad_s, c.az_acc_rad_s2, c.el_acc_rad_s2,
        ),
        lambda fields: MountCommand(*fields),
    ),
    'mount/drive': Kind(struct.Struct('<qB'), lambda order: (int(order),), lambda fields: Drive(fields[0])),
    'mount/state': Kind(struct.Struct('<qq4dB39s'), _pack_mount, _unpack_mount),
    'beacon/on': Kind(struct.Struct('<q?'), lambda on: (on,), lambda fields: fields[0]),
    'beacon/state': Kind(
        struct.Struct('<qq?d?'),
        lambda r: (r.stamp_ns, r.emitting, r.power_w, r.interlock_closed),
        lambda fields: BeaconReading(*fields),
    ),
    'hwp/move': Kind(struct.Struct('<qd'), lambda angle_rad: (angle_rad,), lambda fields: fields[0]),
    'hwp/state': Kind(
        struct.Struct('<qqd?'),
        lambda r: (r.stamp_ns, r.angle_rad, r.moving),
        lambda fields: HwpReading(*fields),
    ),
    'focuser/move': Kind(struct.Struct('<qq'), lambda position: (position,), lambda fields: fields[0]),
    'focuser/state': Kind(struct.Struct('<qqq?dq'), _pack_focuser, _unpack_focuser),
    'calibration_light/on': Kind(
        struct.Struct('<qd'), lambda brightness: (brightness,), lambda fields: fields[0]
    ),
    'calibration_light/state': Kind(
        struct.Struct('<qq?d?B'),
        lambda r: (r.stamp_ns, r.lit, r.brightness, r.ready, int(r.cover)),
        lambda f: CalibrationLightReading(f[0], f[1], f[2], f[3], Cover(f[4])),
    ),
    'dome/state': Kind(
        struct.Struct('<qqB'), lambda r: (r.stamp_ns, int(r.shutter)), lambda f: DomeReading(f[0], Shutter(f[1]))
    ),
    'truth': Kind(struct.Struct(f'<qqq{8 * _ROWS * _SAMPLES}s'), _pack_truth, _unpack_truth, _MANY),
    'tilt_residual': Kind(
        struct.Struct('<qq2d'), lambda f: (f.stamp_ns, f.x_rad, f.y_rad), lambda fields: TiltResidual(*fields)
    ),
}  # fmt: skip


def _places() -> tuple[dict[str, int], int]:
    """Offset of each ring, and the size of all."""
    places, at = {}, _WORD.size
    for name, kind in CHANNELS.items():
        places[name] = at
        at += _WORD.size + -(-kind.layout.size * kind.slots // 8) * 8
    return places, at


_PLACES, _SIZE = _places()


def bus_path(namespace: str, domain: str | None = None) -> Path:
    """File of the bus of the station of a namespace in a ROS domain; that of the environment unless given."""
    domain = domain or os.environ.get('ROS_DOMAIN_ID') or '0'
    shared = Path('/dev/shm')
    folder = shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())
    return folder / re.sub(r'\W', '-', f'qkd_gs-{os.getuid()}-{domain}/{namespace.strip("/")}-bus')


class Bus:
    """One process's end of the bus; speaks `sim.remote.actuators.Link`.

    Parameters
    ----------
    path : Path
    began_ns : callable
        When the world began whose devices are meant, CLOCK_MONOTONIC; 0: not known yet.  With another one the bus is
        another file under the same name.
    setup : object
        Setup that all simulated devices share, for those that draw from the seed themselves.
    """

    def __init__(self, path: Path, began_ns: Callable[[], int], setup: Any = None) -> None:
        self._path, self._began_ns, self.setup = path, began_ns, setup
        self._memory: mmap.mmap | None = None
        self._of_ns = 0
        self._takers: dict[str, Callable[[int, Any], None]] = {}
        self._read: dict[str, int] = {}

    @classmethod
    def create(cls, path: Path, began_ns: int) -> Bus:
        """The world's end of a new bus, in place of an older one."""
        draft = path.with_name(f'{path.name}.{os.getpid()}')
        with open(draft, 'xb') as file:
            file.truncate(_SIZE)
            file.write(_WORD.pack(began_ns))
        draft.chmod(0o600)
        draft.replace(path)
        return cls(path, lambda: began_ns)

    def send(self, channel: str, value: Any, now_ns: int = 0) -> None:
        """One value, sent at station time `now_ns`; lost while there is no world."""
        memory = self._connected()
        if memory is None:
            return
        kind, place = CHANNELS[channel], _PLACES[channel]
        count = _WORD.unpack_from(memory, place)[0]
        slot = place + _WORD.size + count % kind.slots * kind.layout.size
        kind.layout.pack_into(memory, slot, now_ns, *kind.pack(value))
        _WORD.pack_into(memory, place, count + 1)

    def listen(self, channel: str, kind: type[T], take: Callable[[T], None]) -> None:
        """Call `take` in `poll` with every value from now on; it replaces an earlier one of this channel."""
        self.obey(channel, kind, lambda _, value: take(value))

    def obey(self, channel: str, kind: type[T], take: Callable[[int, T], None]) -> None:
        """As `listen`, with the station time of the sender before the value."""
        self._takers[channel] = take
        self._read.pop(channel, None)
        memory = self._connected()
        if memory is not None:
            self._begin(memory, channel)

    def poll(self) -> None:
        """Hand over what has come since the last time, oldest first; what was overwritten meanwhile is lost."""
        memory = self._connected()
        if memory is None:
            return
        for channel, take in list(self._takers.items()):
            kind, place = CHANNELS[channel], _PLACES[channel]
            count = _WORD.unpack_from(memory, place)[0]
            read = max(self._read[channel], count - kind.slots + 1)
            while read < count:
                sent_ns, *fields = kind.layout.unpack_from(
                    memory, place + _WORD.size + read % kind.slots * kind.layout.size
                )
                read += 1
                if _WORD.unpack_from(memory, place)[0] < read - 1 + kind.slots:  # not overwritten while it was read
                    self._read[channel] = read
                    take(sent_ns, kind.unpack(tuple(fields)))
            self._read[channel] = read

    def _connected(self) -> mmap.mmap | None:
        began_ns = self._began_ns()
        if self._memory is None or self._of_ns != began_ns:
            self._memory = self._open(began_ns) if began_ns else None
            self._of_ns = began_ns
            if self._memory is not None:
                for channel in self._takers:
                    self._begin(self._memory, channel)
        return self._memory

    def _open(self, began_ns: int) -> mmap.mmap | None:
        try:
            with open(self._path, 'r+b') as file:
                memory = mmap.mmap(file.fileno(), _SIZE)
        except (FileNotFoundError, ValueError):  # no world any more, or one of another version
            return None
        return memory if _WORD.unpack_from(memory, 0)[0] == began_ns else None

    def _begin(self, memory: mmap.mmap, channel: str) -> None:
        """From the newest state on; an order that was given before is the world's affair, which has not missed any."""
        count = _WORD.unpack_from(memory, _PLACES[channel])[0]
        self._read[channel] = max(count - 1, 0) if channel.endswith('/state') else count

    def remove(self) -> None:
        """The world ends: nobody finds its bus any more, unless another one has taken its place."""
        if self._open(self._began_ns()) is not None:
            self._path.unlink(missing_ok=True)
