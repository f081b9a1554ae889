"""telemetry.npz: what happened during a pass, for looking at.  Holds no secret and no detector stream.

Detector counts come in bins of at least one second: a lone count in a short bin would be a raw key bit.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

from qkd_gs.arrays import ByteArray, FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.session.atomic_file import replace_file

FILE_NAME = 'telemetry.npz'
SCHEMA_VERSION = 1
SHORTEST_COUNT_BIN_NS = 1_000_000_000
SHORTEST_QBER_BIN_NS = 5_000_000_000
_SLACK_NS = 1_000_000  # of a bin's width, for clocks


def _no_times() -> IntArray:
    return np.empty(0, np.int64)


def _no_values() -> FloatArray:
    return np.empty(0)


def _no_phases() -> ByteArray:
    return np.empty(0, np.uint8)


def _no_counts() -> IntArray:
    return np.empty((4, 0), np.int64)


@dataclass(frozen=True)
class Telemetry:
    """Time series of a pass; times are UTC ns since the Unix epoch, ascending.

    Every series may be empty (not recorded), and a value NaN (not measured).  Within a group all arrays have the
    length of its times, or 0.
    """

    # the tracker, about 100 Hz
    t_ns: IntArray = field(default_factory=_no_times)
    az_rad: FloatArray = field(
        default_factory=_no_values
    )  # apparent azimuth of the line of sight, from north through east, continuous
    el_rad: FloatArray = field(default_factory=_no_values)  # apparent elevation
    error_x_urad: FloatArray = field(
        default_factory=_no_values
    )  # line of sight minus apparent direction, cross-elevation; NaN for a real pass
    error_y_urad: FloatArray = field(default_factory=_no_values)  # the same, elevation
    phase: ByteArray = field(default_factory=_no_phases)  # of tracking.types.Phase
    # spots on the two cameras, as offset from the reference place
    spot_t_ns: IntArray = field(default_factory=_no_times)
    spot_x_urad: FloatArray = field(default_factory=_no_values)  # tracking camera, cross-elevation
    spot_y_urad: FloatArray = field(default_factory=_no_values)  # elevation
    guide_t_ns: IntArray = field(default_factory=_no_times)
    guide_x_urad: FloatArray = field(default_factory=_no_values)  # guiding camera
    guide_y_urad: FloatArray = field(default_factory=_no_values)
    # polarization
    hwp_t_ns: IntArray = field(default_factory=_no_times)
    # polarization angle at the analyser (2 x HWP angle) minus the satellite's
    polarization_error_deg: FloatArray = field(default_factory=_no_values)
    # counts; a time is the start of its bin, 1 s or more long
    count_t_ns: IntArray = field(default_factory=_no_times)
    counts: IntArray = field(default_factory=_no_counts)  # (4, n): H, V, D, A
    beacon_counts: IntArray = field(default_factory=_no_times)  # detected synchronizing pulses
    # after processing
    qber_t_ns: IntArray = field(default_factory=_no_times)  # start of the bin, 5 s or more long
    qber: FloatArray = field(default_factory=_no_values)  # error rate of the sifted signal bits
    qber_bits: IntArray = field(default_factory=_no_times)  # sifted signal bits in the bin, for error bars
    sync_t_ns: IntArray = field(default_factory=_no_times)
    sync_residual_ns: FloatArray = field(
        default_factory=_no_values
    )  # RMS over a bin of the beacon pulses about the fitted clock

    def __post_init__(self) -> None:
        for item in fields(self):
            _set_type(self, item.name, _TYPES.get(item.name, np.int64 if item.name.endswith('t_ns') else np.float64))
        for times, names in GROUPS.items():
            _check_group(self, times, names)
        _check_bins(self.count_t_ns, SHORTEST_COUNT_BIN_NS, 'count_t_ns')
        _check_bins(self.qber_t_ns, SHORTEST_QBER_BIN_NS, 'qber_t_ns')

    def save(self, folder: Path) -> Path:
        """Write atomically into a session's folder; returns the file's path."""
        arrays = {item.name: getattr(self, item.name) for item in fields(self)}
        packed = io.BytesIO()
        np.savez_compressed(packed, allow_pickle=False, schema_version=np.int64(SCHEMA_VERSION), **arrays)
        replace_file(folder / FILE_NAME, packed.getvalue())
        return folder / FILE_NAME


_TYPES: dict[str, type[np.generic]] = {
    'phase': np.uint8,
    'counts': np.int64,
    'beacon_counts': np.int64,
    'qber_bits': np.int64,
}

# times of a group -> its series
GROUPS = {
    't_ns': ('az_rad', 'el_rad', 'error_x_urad', 'error_y_urad', 'phase'),
    'spot_t_ns': ('spot_x_urad', 'spot_y_urad'),
    'guide_t_ns': ('guide_x_urad', 'guide_y_urad'),
    'hwp_t_ns': ('polarization_error_deg',),
    'count_t_ns': ('counts', 'beacon_counts'),
    'qber_t_ns': ('qber', 'qber_bits'),
    'sync_t_ns': ('sync_residual_ns',),
}


def load_telemetry(folder: Path) -> Telemetry:
    """Telemetry of a session's folder; series that the file lacks are empty.

    Raises
    ------
    StationError
        No such file, damaged, of another schema version, or with series that do not fit each other.
    """
    path = folder / FILE_NAME
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise StationError('the session has no telemetry', where=path) from error
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise StationError(f'cannot be read: {error}', where=path, hint='record or copy the session again') from error
    version = arrays.pop('schema_version', np.int64(0))
    if version.shape != () or version != SCHEMA_VERSION:
        raise StationError(f'schema version {version} is not {SCHEMA_VERSION}', where=path)
    known = {item.name for item in fields(Telemetry)}
    try:
        return Telemetry(**{name: array for name, array in arrays.items() if name in known})
    except StationError as error:
        raise StationError(error.what, where=f'{path}:{error.where}') from error


def _set_type(telemetry: Telemetry, name: str, wanted: type[np.generic]) -> None:
    """Bring an array to its type, if that loses nothing."""
    array = np.asarray(getattr(telemetry, name))
    if not np.can_cast(array.dtype, wanted, 'same_kind') and array.dtype.kind not in 'iu':
        raise StationError(f'{array.dtype} does not fit {np.dtype(wanted)}', where=name)
    object.__setattr__(telemetry, name, array.astype(wanted, copy=False))


def _check_group(telemetry: Telemetry, times: str, names: tuple[str, ...]) -> None:
    stamps = getattr(telemetry, times)
    if stamps.ndim != 1:
        raise StationError(f'shape {stamps.shape} is not a list', where=times)
    if len(stamps) > 1 and not np.all(np.diff(stamps) > 0):
        raise StationError('times do not ascend', where=times)
    for name in names:
        array = getattr(telemetry, name)
        wanted = (4,) if name == 'counts' else ()
        if array.ndim != 1 + len(wanted) or array.shape[:-1] != wanted:
            raise StationError(f'shape {array.shape} is not {(*wanted, "n")}', where=name)
        if array.shape[-1] not in (0, len(stamps)):
            raise StationError(f'{array.shape[-1]} values do not fit {len(stamps)} times', where=name)


def _check_bins(times: IntArray, shortest_ns: int, name: str) -> None:
    if len(times) > 1 and np.min(np.diff(times)) < shortest_ns - _SLACK_NS:
        raise StationError(
            f'bins of {np.min(np.diff(times)) * 1e-9:.3g} s are shorter than {shortest_ns * 1e-9:.0f} s',
            where=name,
            hint='short bins would give raw key bits away',
        )
