"""Time tags of other programs: looked into, and made into a session."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qkd_gs.api.arguments import site_of
from qkd_gs.importing.import_session import import_session
from qkd_gs.importing.link import chosen_link
from qkd_gs.importing.receiver import receiving_station
from qkd_gs.importing.tag_map import load_map
from qkd_gs.keys.folder import find_key_folder
from qkd_gs.session.session import Session, open_session
from qkd_gs.settings.site import Site
from qkd_gs.tag_formats.look import look


def look_at_tags(
    tags: str | Path, *, period_ps: float | None = None, resolution_ps: float | None = None
) -> dict[str, Any]:
    """Figures of a file of time tags, in any format that `import_tags` reads.

    Parameters
    ----------
    tags : str or Path
        PicoQuant PTU (T2), CSV, Parquet, HDF5, quTAG binary or ttbin.
    period_ps : float, optional
        Fold each input on this period into a histogram.
    resolution_ps : float, optional
        Picoseconds of a count, for formats that do not tell.

    Returns
    -------
    dict
        What ``qkd-gs import --look --json`` prints: ``format``, ``duration_s``, ``inputs``, ``sync``, ``markers``,
        ``overflows``, ``lost`` and more.

    Raises
    ------
    StationError
        Not readable, of an unknown format, or damaged.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import qkd_gs
    >>> file = pathlib.Path(tempfile.mkdtemp()) / 'tags.csv'
    >>> _ = file.write_text('time_ps,channel' + chr(10) + '100,1' + chr(10) + '350,2' + chr(10))
    >>> seen = qkd_gs.look_at_tags(file)
    >>> seen['format'], sorted(seen['inputs'])
    ('CSV', ['1', '2'])
    """
    return look(Path(tags), period_ps, resolution_ps)


def import_tags(
    tags: str | Path,
    map_file: str | Path,
    session: str | Path,
    *,
    keys: str | Path | None = None,
    source: str | None = None,
    station: str | Path | None = None,
    delay_s: float | None = None,
    site: Site | str | None = None,
    elements: str | Path | None = None,
    progress: Callable[[str, float], None] = lambda *_: None,
) -> Session:
    """Make a session of a file of time tags, as ``qkd-gs import`` does.

    Parameters
    ----------
    tags : str or Path
        The file; it is read in pieces, and stays as it is.
    map_file : str or Path
        Meaning of each input (doc/laboratory.md).
    session : str or Path
        Folder of the new session; must not exist, or be empty.
    keys : str or Path, optional
        Key folder; ``$QKD_GS_KEYS`` if not given.
    source : str, optional
        Name of config/sources, or a file; the station's own if not given.
    station : str or Path, optional
        Settings of the station; config/station.yaml without its delays if not given.
    delay_s : float, optional
        One-way delay of a bench or fibre link, s.
    site, elements : Site or str, str or Path, optional
        Of a satellite pass, instead of a delay.
    progress : callable
        Told what is done.

    Returns
    -------
    Session
        ``manifest.run['imported']`` says what became of the tags.

    Raises
    ------
    StationError
        Each refusal in one sentence: file, line or key.

    Examples
    --------
    >>> import qkd_gs
    >>> qkd_gs.import_tags('tags.ptu', 'map.yaml', 'session')
    Traceback (most recent call last):
    ...
    qkd_gs.errors.StationError: --site: give --site and --elements (a satellite), or --delay-s (a bench or fibre link)
    """
    link = chosen_link(delay_s, None if site is None else site_of(site), None if elements is None else Path(elements))
    settings = receiving_station(None if station is None else Path(station), source)
    folder = find_key_folder(None if keys is None else Path(keys), simulated=False)
    tag_map = load_map(Path(map_file))
    import_session(Path(tags), tag_map, Path(session), folder, settings, link, time.time_ns(), progress)
    return open_session(session)
