"""Open a file of tags by what it holds, or by the ending of its name."""

from __future__ import annotations

from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.tag_formats.ptu_header import MAGIC as PTU_MAGIC
from qkd_gs.tag_formats.ptu_reader import PtuFile
from qkd_gs.tag_formats.qutag import QutagFile
from qkd_gs.tag_formats.raw import TagFile
from qkd_gs.tag_formats.ttbin import TtbinFile

_HDF5_MAGIC, _PARQUET_MAGIC = b'\x89HDF\r\n\x1a\n', b'PAR1'
_OLD_PICOQUANT = (b'PicoHarp 300', b'HydraHarp 400', b'TimeHarp 200')
_TEXT = ('.csv', '.txt', '.tsv')


def open_tags(path: Path, resolution_ps: float | None = None) -> TagFile:
    """Open a file of tags.

    Parameters
    ----------
    path : Path
        PTU, CSV, Parquet, HDF5, quTAG binary (``.bin``) or ``.ttbin``.
    resolution_ps : float, optional
        Picoseconds of a count, for formats that do not tell.

    Raises
    ------
    StationError
        Not readable, of an unknown format, or damaged where the format is described.
    """
    try:
        with open(path, 'rb') as file:
            head = file.read(16)
        return _opened(path, head, resolution_ps)
    except OSError as error:
        raise StationError(f'cannot be read: {error.strerror or error}', where=path) from error


def _opened(path: Path, head: bytes, resolution_ps: float | None) -> TagFile:
    ending = path.suffix.lower()
    if not head:
        raise StationError('is empty', where=path)
    if head.startswith(PTU_MAGIC):
        return PtuFile(path)
    if head.startswith(_HDF5_MAGIC):
        from qkd_gs.tag_formats.hdf5_tables import Hdf5File  # its library takes 0.2 s to import

        return Hdf5File(path, resolution_ps)
    if head.startswith(_PARQUET_MAGIC):
        from qkd_gs.tag_formats.arrow_tables import ParquetFile  # likewise

        return ParquetFile(path, resolution_ps)
    if head.startswith(_OLD_PICOQUANT):
        raise StationError(
            'is of the format before PTU', where=path, hint="convert it to PTU with the maker's software"
        )
    if ending == '.ttbin':
        return TtbinFile(path)
    if ending == '.bin':
        return QutagFile(path, resolution_ps)
    if ending in _TEXT:
        from qkd_gs.tag_formats.arrow_tables import CsvFile

        return CsvFile(path, resolution_ps)
    raise StationError(
        'is of no known format', where=path, hint='PTU, CSV, Parquet, HDF5, quTAG (.bin) and .ttbin are read'
    )
