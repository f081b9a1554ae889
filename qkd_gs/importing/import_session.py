"""A session from a tag file: tags sealed, PPS judged, manifest written."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qkd_gs import __version__
from qkd_gs.arrays import IntArray
from qkd_gs.errors import StationError
from qkd_gs.importing.link import Link
from qkd_gs.importing.tag_map import TABLE_OFFSET, UNUSED, TagMap
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.keys.imported import register_import
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.session.manifest import LockedSpan, Manifest, create_manifest
from qkd_gs.session.tag_files import next_tags_path
from qkd_gs.settings.station import StationSettings
from qkd_gs.tag_formats.open_file import open_tags
from qkd_gs.tag_formats.order import in_order
from qkd_gs.tag_formats.raw import RawTags, RecordCounts, source_name
from qkd_gs.timing.clocks.pps import PpsTimescale, fit_pps
from qkd_gs.timing.sealed import SealedWriter
from qkd_gs.timing.tags import Channel, TagBlock

_CHUNK_NS = 10 * 10**9
_CHUNK_TAGS = 1 << 20
_MAX_PPS = 10_000_000  # tags
_START_TOLERANCE_S = 0.4
_TOLD_TAGS = 20_000_000  # between two lines of progress

Progress = Callable[[str, float], None]


@dataclass
class _Sealing:
    """Counts of the tags while they are sealed."""

    counts: IntArray = field(default_factory=lambda: np.zeros(len(Channel) + 1, np.int64))
    unused: dict[int, int] = field(default_factory=dict)
    pps_ps: list[IntArray] = field(default_factory=list)
    first_ps: int = -1
    last_ps: int = -1


def import_session(
    tags: Path,
    tag_map: TagMap,
    folder: Path,
    keys: KeyFolder,
    station: StationSettings,
    link: Link,
    now_ns: int,
    progress: Progress,
) -> dict[str, Any]:
    """Make a session of a tag file.

    Parameters
    ----------
    tags : Path
        The file, in the clear.
    folder : Path
        Of the new session; must not exist, or be empty.
    keys : KeyFolder
        Whose post-processor will open the sealed tags.
    station : StationSettings
        With the source as agreed with the other side; the map's delays are put into it.
    link : Link
        Orbit or fixed delay.
    now_ns : int
        UTC, for the manifest.
    progress : callable
        Told what is done.

    Returns
    -------
    dict
        ``session``, ``session_id``, ``tags``, ``channels``, ``unused``, ``pps``, ``lost``, ``reordered``, ``notes``.

    Raises
    ------
    StationError
        The file is damaged or of another format, an input is silent, the PPS marks no second, or the photons were
        made into a key already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StationError('exists already', where=folder, hint='choose a new folder')
    _check_beacon(station, tag_map)
    station = _with_map(station, tag_map)
    progress('reading the file', 0.0)
    digest = _digest(tags)
    session_id = _session_id(digest, tag_map, station, link)
    draft = _draft_beside(folder)
    try:
        writer = SealedWriter(
            next_tags_path(draft),
            bytes.fromhex(session_id),
            keys.session_public_key(session_id),
            tag_map.start_ns,
            station.frozen_digest,
            _CHUNK_NS,
            _CHUNK_TAGS,
        )
        sealing, counts = _seal(tags, tag_map, writer, progress)
        scale = _timescale(sealing, station, tag_map, tags)
        first_ns, last_ns = _utc_of(scale, sealing)
        about = link.describe(first_ns, last_ns, draft)
        create_manifest(
            draft,
            Manifest(
                session_id=session_id,
                simulated=False,
                software=f'qkd_gs {__version__}',
                created_utc=format_utc(now_ns),
                time_bias_s=0.0,
                cross_track_m=0.0,
                locked=[LockedSpan(start_ns=first_ns, end_ns=last_ns)],
                closed=True,
                station=station,
                run={'imported': _figures(sealing, counts, scale)},
                **about,
            ),
        )
        with keys.store(simulated=False) as store:
            register_import(keys.path, store, digest, session_id)
        folder.parent.mkdir(parents=True, exist_ok=True)
        os.rename(draft, folder)
    except OSError as error:
        raise StationError(f'cannot be made: {error.strerror or error}', where=folder) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return {'session': str(folder), 'session_id': session_id, **_figures(sealing, counts, scale)}


def _seal(tags: Path, tag_map: TagMap, writer: SealedWriter, progress: Progress) -> tuple[_Sealing, RecordCounts]:
    """Seal all tags that the map names."""
    file, table, sealing = open_tags(tags, tag_map.resolution_ps), tag_map.table(), _Sealing()
    read = told = 0
    for raw in in_order(file, tags):
        block = _mapped(raw, table, sealing, tags)
        writer.append(tag_map.start_ns + int(raw.time_ps[-1]) // 1000, block)
        read += len(raw.time_ps)
        if read >= told + _TOLD_TAGS:
            told = read
            progress(f'{read / 1e6:.0f} million tags', 0.0)
    writer.close()
    for named, name in tag_map.channels.items():
        if not sealing.counts[Channel[name]]:
            raise StationError(
                f'holds no tags of input {named}, which the map says is {name}',
                where=tags,
                hint='qkd-gs import --look shows its inputs',
            )
    return sealing, file.counts


def _mapped(raw: RawTags, table: np.ndarray[Any, Any], sealing: _Sealing, tags: Path) -> TagBlock:
    """Tags of the channels that the map names; the others are counted."""
    channel = table[raw.source.astype(np.int64) + TABLE_OFFSET]
    sealing.counts += np.bincount(channel, minlength=len(Channel) + 1)
    named = channel != UNUSED
    if not named.all():
        sources, numbers = np.unique(raw.source[~named], return_counts=True)
        for source, number in zip(sources.tolist(), numbers.tolist(), strict=True):
            sealing.unused[source] = sealing.unused.get(source, 0) + number
    block = TagBlock(raw.time_ps[named], channel[named])
    sealing.pps_ps.append(block.of(Channel.PPS))
    if sealing.counts[Channel.PPS] > _MAX_PPS:
        raise StationError('its PPS input has more than ten million tags: no mark a second', where=tags)
    if len(block):
        sealing.first_ps = int(block.time_ps[0]) if sealing.first_ps < 0 else sealing.first_ps
        sealing.last_ps = int(block.time_ps[-1])
    return block


def _timescale(sealing: _Sealing, station: StationSettings, tag_map: TagMap, tags: Path) -> PpsTimescale:
    """UTC of the tags.

    Raises
    ------
    StationError
        The PPS marks no second, or the start of the recording does not say which.
    """
    detectors = station.detectors
    delay_ps = round(detectors.delay_ns[Channel.PPS.name] * 1e3)
    scale = fit_pps(np.concatenate(sealing.pps_ps), delay_ps, tag_map.start_ns, detectors.pps_edge)
    at_ns = tag_map.start_ns + scale.first_pulse_ps // 1000
    off_s = (at_ns - scale.first_utc_ns) * 1e-9
    if abs(off_s) > _START_TOLERANCE_S:
        raise StationError(
            f'the PPS pulses lie {abs(off_s):.2f} s off the seconds after start {tag_map.start}: which one is meant?',
            where=tags,
            hint=f'start must be right within {_START_TOLERANCE_S} s',
        )
    return scale


def _utc_of(scale: PpsTimescale, sealing: _Sealing) -> tuple[int, int]:
    """UTC of the first and the last tag."""
    first_ns, last_ns = scale.first_utc_ns + scale.utc_ps(np.array([sealing.first_ps, sealing.last_ps])) // 1000
    return int(first_ns), int(last_ns)


def _figures(sealing: _Sealing, counts: RecordCounts, scale: PpsTimescale) -> dict[str, Any]:
    return {
        'tags': int(sealing.counts[UNUSED + 1 :].sum()),
        'channels': {channel.name: int(sealing.counts[channel]) for channel in Channel},
        'unused': {source_name(source): number for source, number in sorted(sealing.unused.items())},
        'pps': {'used': scale.pulses, 'left_out': scale.rejected, 'rms_ns': scale.rms_ps * 1e-3},
        'lost': {'records': counts.missing, 'overflows': counts.lost_overflows},
        'reordered': counts.reordered,
        'notes': list(counts.notes),
    }


def _check_beacon(station: StationSettings, tag_map: TagMap) -> None:
    """Refuse a map that does not fit the source."""
    if station.source.beacon_rate_hz and not tag_map.has_beacon:
        raise StationError(
            f'channels: no input is BEACON, and the source has one of {station.source.beacon_rate_hz:g} Hz',
            where='--map',
            hint='a source without a beacon has beacon_rate_hz 0 and public_pulses',
        )
    if tag_map.has_beacon and not station.source.beacon_rate_hz:
        raise StationError('channels: an input is BEACON, and the source has none', where='--map')


def _with_map(station: StationSettings, tag_map: TagMap) -> StationSettings:
    """The station with the delays and the edge of the map."""
    change: dict[str, Any] = {'pps_edge': tag_map.edge}
    if tag_map.delays_ns:
        known_ns = {str(name): delay_ns for name, delay_ns in tag_map.delays_ns.items()}
        change['delay_ns'] = {channel.name: 0.0 for channel in Channel} | known_ns
        change['delay_uncertainty_ns'] = tag_map.delay_uncertainty_ns
    detectors = station.detectors.model_copy(update=change)
    return station.model_copy(update={'detectors': detectors})


def _digest(tags: Path) -> str:
    try:
        with open(tags, 'rb') as file:
            return hashlib.file_digest(file, 'sha256').hexdigest()
    except OSError as error:
        raise StationError(f'cannot be read: {error.strerror}', where=tags) from error


def _session_id(digest: str, tag_map: TagMap, station: StationSettings, link: Link) -> str:
    """The same for the same file, map, station and link, so that importing twice gives one session."""
    identity = json.dumps([digest, tag_map.model_dump(mode='json'), station.model_dump(mode='json'), link.identity()])
    return hashlib.sha256(b'qkd_gs import ' + identity.encode()).hexdigest()[:32]


def _draft_beside(folder: Path) -> Path:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f'.{folder.name}-', dir=folder.parent))
    except OSError as error:
        raise StationError(f'cannot be made: {error.strerror}', where=folder) from error
