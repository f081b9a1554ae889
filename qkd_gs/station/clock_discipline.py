"""Station time with real devices: the machine's UTC, without its steps.

CLOCK_MONOTONIC follows the frequency corrections of NTP and PTP, so its distance from UTC changes only when somebody
sets the clock.  A small step is followed slowly; a large one is told, and followed at once between passes alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.session.atomic_file import replace_file, set_aside
from qkd_gs.station.station_clock import ClockMapping

NOISE_NS = 50_000  # of two clocks that are read one after the other
LARGEST_SLEW_NS = 100_000_000  # a larger difference is a step
SLEW = 5e-4  # as NTP
_SLEW_S = 4.0  # a difference is to be gone after so long
_BEND_NS = 100_000_000  # all processes have received a new mapping by then
_FILE = 'station_clock.json'
_BOOT = Path('/proc/sys/kernel/random/boot_id')


def read_clocks() -> tuple[int, int]:
    """CLOCK_MONOTONIC and UTC at the same moment, ns; of several attempts the one that was interrupted least."""
    best: tuple[int, int, int] | None = None
    for _ in range(5):
        before, utc_ns, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        if best is None or after - before < best[0]:
            best = after - before, (before + after) // 2, utc_ns
    assert best is not None
    return best[1], best[2]


class ClockDiscipline:
    """Keeps the mapping of the monotonic clock to station time.

    Parameters
    ----------
    mapping : ClockMapping
        The present one.

    Attributes
    ----------
    mapping : ClockMapping
        The newest; it may begin in a moment.
    held_ns : int
        Step of the machine's clock that station time does not follow, ns; 0: it follows.
    """

    def __init__(self, mapping: ClockMapping) -> None:
        self.mapping = mapping
        self.held_ns = 0

    def step(self, monotonic_ns: int, utc_ns: int, may_jump: bool) -> str:
        """Compare station time with the machine's UTC; returns what has changed, in words; empty: nothing.

        Parameters
        ----------
        monotonic_ns, utc_ns : int
            From `read_clocks`.
        may_jump : bool
            No pass is under way: station time may follow a step at once.
        """
        if monotonic_ns < self.mapping.monotonic_ns:  # the last change has not begun yet
            return ''
        off_ns = utc_ns - self.mapping.at(monotonic_ns)
        was_held, self.held_ns = self.held_ns, 0
        if abs(off_ns) > LARGEST_SLEW_NS:
            if not may_jump:
                self.held_ns = off_ns
                return '' if was_held else f'the clock of this machine was set by {off_ns * 1e-9:+.3f} s'
            self._bend(monotonic_ns, off_ns, 1.0)
            return f'station time follows the clock of this machine, which was set by {off_ns * 1e-9:+.3f} s'
        wanted = 0.0 if abs(off_ns) <= NOISE_NS else max(-SLEW, min(off_ns * 1e-9 / _SLEW_S, SLEW))
        if 1.0 + wanted == self.mapping.speed:
            return ''
        began = self.mapping.speed == 1.0
        self._bend(monotonic_ns, 0, 1.0 + wanted)
        return f'station time slews by {off_ns * 1e-6:+.3f} ms' if began else ''

    def _bend(self, monotonic_ns: int, jump_ns: int, speed: float) -> None:
        begins_ns = monotonic_ns + _BEND_NS
        self.mapping = ClockMapping(self.mapping.at(begins_ns) + jump_ns, begins_ns, speed)


class StoredMapping:
    """The mapping in the state folder, with which a monitor that was killed goes on.

    Parameters
    ----------
    state_dir : Path
    boot : str, optional
        Identity of this start of the machine; after another one the monotonic clock means nothing.
    """

    def __init__(self, state_dir: Path, boot: str | None = None) -> None:
        self._path = state_dir / _FILE
        self._boot = _BOOT.read_text(encoding='ascii').strip() if boot is None else boot

    def load(self, clocks: Callable[[], tuple[int, int]] = read_clocks) -> tuple[ClockMapping, str]:
        """The stored mapping; without one that holds, one that begins now.

        Returns
        -------
        mapping : ClockMapping
        damage : str
            Damage of the file, which has another name then; empty: none.

        Raises
        ------
        StationError
            The file cannot be read, or is damaged and cannot be renamed.
        """
        damage = ''
        try:
            stored = json.loads(self._path.read_text(encoding='utf-8'))
            if stored.pop('boot') == self._boot:
                found = ClockMapping(int(stored['epoch_ns']), int(stored['monotonic_ns']), float(stored['speed']))
                if not abs(found.speed - 1) < 2 * SLEW:
                    raise ValueError(f'a speed of {found.speed}')
                return found, ''
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StationError(f'cannot be read: {error.strerror}', where=self._path) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            kept = set_aside(self._path).name
            damage = f'{self._path}: is damaged ({error}); station time begins with UTC (it is kept as {kept})'
        monotonic_ns, utc_ns = clocks()
        return ClockMapping(utc_ns, monotonic_ns, 1.0), damage

    def save(self, mapping: ClockMapping) -> None:
        """Store a mapping.

        Raises
        ------
        StationError
            It cannot be written.
        """
        replace_file(self._path, json.dumps({'boot': self._boot, **asdict(mapping)}) + '\n', parents=True)
