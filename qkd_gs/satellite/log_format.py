"""The transmitter log: which state each pulse had, and when the beacon's pulses left.  One HDF5 file.

Attributes of the file::

    format            'qkd_gs transmitter log'
    version           1
    first_pulse       number of the first pulse
    pulses            how many follow
    epoch_utc_ns      UTC at which the transmitter's clock reads 0; pulse n leaves n / pulse_rate_hz later
    source            the section ``source`` of config/station.yaml, as JSON

Datasets, both contiguous and not compressed, so that any part is read without the rest::

    states            uint8, two pulses a byte, the earlier one in the low four bits:
                      basis (0 HV, 1 DA) | bit << 1 | intensity << 2 (0 signal, 1 decoy, 2 vacuum)
    beacon/time_ps    int64, times of the beacon's pulses by the transmitter's clock; attribute first_index.
                      Empty for a source without a beacon

A pass of 44 billion pulses takes 22 GB.

A log that is served while its pulses leave is a folder (mode 0700) of such files: of the same source and epoch, each
with the pulses and the beacon that follow those of the file before.  A file is linked or renamed into the folder when
it is whole; a name with a leading dot is a draft, and nothing else lies there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from pydantic import ValidationError

from qkd_gs.arrays import ByteArray
from qkd_gs.errors import StationError
from qkd_gs.qkd.sifting.states import Intensity
from qkd_gs.settings.loader import reason
from qkd_gs.settings.station import SourceSettings
from qkd_gs.timing.pulse_period import PulsePeriod

FORMAT, VERSION = 'qkd_gs transmitter log', 1
STATES, BEACON = 'states', 'beacon/time_ps'
BITS, PER_BYTE = 4, 2
_INTENSITIES = len(Intensity)
_MAX_PULSE = 1 << 56


@dataclass(frozen=True)
class LogHead:
    """Attributes of a log.

    Attributes
    ----------
    first_pulse, pulses : int
    epoch_utc_ns : int
    source : SourceSettings
    beacon_index : int
        Running number of the first logged pulse of the beacon.
    """

    first_pulse: int
    pulses: int
    epoch_utc_ns: int
    source: SourceSettings
    beacon_index: int

    @property
    def end(self) -> int:
        """Number of the pulse behind the last one."""
        return self.first_pulse + self.pulses

    def sent_ns(self, pulse: int) -> int:
        """UTC at which a pulse leaves, ns."""
        return self.epoch_utc_ns + int(PulsePeriod(self.source.pulse_rate_hz).at(pulse)) // 1000

    def clock_ps(self, utc_ns: int) -> int:
        """Reading of the transmitter's clock at a UTC, ns."""
        return (utc_ns - self.epoch_utc_ns) * 1000

    def between(self, first_utc_ns: int, last_utc_ns: int) -> tuple[int, int]:
        """First and last pulse of the log that left between two UTC times, ns."""
        bounds_ps = np.array([self.clock_ps(first_utc_ns), self.clock_ps(last_utc_ns)], np.int64)
        first, last = PulsePeriod(self.source.pulse_rate_hz).before(bounds_ps).tolist()
        return max(first + 1, self.first_pulse), min(last, self.end - 1)

    def save(self, file: Any) -> None:
        """Write the attributes of a file whose datasets exist."""
        file.attrs['format'], file.attrs['version'] = FORMAT, VERSION
        file.attrs['first_pulse'], file.attrs['pulses'] = self.first_pulse, self.pulses
        file.attrs['epoch_utc_ns'] = self.epoch_utc_ns
        file.attrs['source'] = self.source.model_dump_json()
        file[BEACON].attrs['first_index'] = self.beacon_index


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, LogHead]]:
    """A log and its head.

    Raises
    ------
    StationError
        Not a transmitter log, of another version, or damaged.
    """
    try:
        with h5py.File(path, 'r') as file:
            yield file, _head(file, path)
    except StationError:
        raise
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise StationError(f'is not a sound transmitter log: {error}', where=path) from error


def packed(states: ByteArray) -> ByteArray:
    """Two states a byte; the last one may stand alone."""
    even = np.append(states, np.uint8(0)) if len(states) % PER_BYTE else states
    both: ByteArray = even[0::2] | even[1::2] << np.uint8(BITS)
    return both


def first_impossible(states: ByteArray) -> int:
    """Index of the first byte that is no state, or -1."""
    bad = states >= _INTENSITIES << 2
    return int(np.argmax(bad)) if bad.any() else -1


def _head(file: Any, path: Path) -> LogHead:
    if file.attrs.get('format') != FORMAT:
        raise StationError('is not a transmitter log', where=path, hint='make one with qkd-gs satellite pack')
    if file.attrs.get('version') != VERSION:
        raise StationError(f'version {file.attrs.get("version")} is not {VERSION}', where=path)
    first, pulses, epoch_ns = (int(file.attrs[name]) for name in ('first_pulse', 'pulses', 'epoch_utc_ns'))
    states, beacon = file[STATES], file[BEACON]
    if states.dtype != np.uint8 or states.shape != (-(-pulses // PER_BYTE),) or states.id.get_offset() is None:
        raise StationError(f'its states are not {pulses} in one piece, two a byte', where=path)
    if beacon.dtype != np.int64 or beacon.ndim != 1:
        raise StationError('its beacon times are not int64', where=path)
    if first < 0 or pulses < 1 or first + pulses > _MAX_PULSE:
        raise StationError(f'{pulses} pulses from number {first} on are impossible', where=path)
    try:
        source = SourceSettings.model_validate(json.loads(file.attrs['source']))
    except ValidationError as error:
        raise StationError(f'source: {reason(error)}', where=path) from error
    except ValueError as error:
        raise StationError('source: is not JSON', where=path) from error
    return LogHead(first, pulses, epoch_ns, source, int(beacon.attrs['first_index']))
