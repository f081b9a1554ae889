"""Figures of a pass with hardware in the loop beside those of the simulated one.

``python -m qkd_gs.bench.hil HIL SIM``, both being sessions.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from rosbags.highlevel import AnyReader

from qkd_gs.errors import StationError
from qkd_gs.session.manifest import Manifest, load_manifest

MOST_RMS, MOST_LOST, LEAST_LOCKED_S = 1.5, 0.01, 60.0
_LOST = ('missed', 'incomplete', 'overrun', 'mis_sized', 'disordered')
_LATENCIES = (
    ('tracking_camera', 'latency_ms', 'end of exposure to tracking-camera driver'),
    ('guiding_camera', 'latency_ms', 'end of exposure to guiding-camera driver'),
    ('mount', 'answer_ms', 'set-point to drive and back'),
    ('hwp', 'round_trip_ms', 'question to half-wave plate and back'),
    ('beacon', 'round_trip_ms', 'question to laser and back'),
    ('detector', 'lag_ms', 'newest tag of a block to driver'),
)
Values = dict[str, str]


def heartbeats(session: Path) -> Iterator[tuple[str, Values]]:
    """Node and values of each heartbeat in a session's bag."""
    with AnyReader([session / 'bag']) as reader:
        connections = [one for one in reader.connections if one.topic.endswith('/diagnostics')]
        for connection, _, raw in reader.messages(connections=connections):
            message: object = reader.deserialize(raw, connection.msgtype)
            for status in message.status:  # type: ignore[attr-defined]
                yield status.name.partition(':')[0], {one.key: one.value for one in status.values}


def lost_images(beats: list[Values]) -> tuple[int, int]:
    """Lost and all images between the first and the last heartbeat of a camera that stayed open."""
    counted = [beat for beat in beats if 'device_images_complete' in beat]
    if not counted:
        raise StationError('no heartbeat of the camera tells its images')

    def grown(name: str) -> int:
        values = [int(beat[f'device_images_{name}']) for beat in counted]
        return sum(max(after - before, 0) for before, after in pairwise(values))

    lost = sum(grown(name) for name in _LOST)
    return lost, grown('complete') + sum(grown(name) for name in ('missed', 'incomplete', 'overrun'))


def latency(beats: list[Values], key: str) -> str:
    """Latencies at 50 / 95 / 99 %, ms: as the driver tells them at the end, or of the values that it has told."""
    told = [beat[f'device_{key}'] for beat in beats if beat.get(f'device_{key}')]
    if not told:
        return ''
    if '/' in told[-1]:
        return told[-1]
    values = [float(one) for one in told if one != 'nan']
    return ' / '.join(f'{value:.1f}' for value in np.percentile(values, [50, 95, 99])) if values else ''


def compare(hil: Path, sim: Path) -> int:
    """Print the figures of both sessions; 1 if hardware in the loop misses one of its bounds."""
    manifests = [load_manifest(folder) for folder in (hil, sim)]
    tracking = [_result(one)['tracking'] for one in manifests]
    keys = [_result(one)['key'] for one in manifests]
    beats: dict[str, list[Values]] = {}
    for name, values in heartbeats(hil):
        beats.setdefault(name, []).append(values)
    failed = []
    say = sys.stdout.write
    say(f'{"":44}{"in the loop":>14}{"simulated":>14}\n')
    for key in ('rms_x_urad', 'rms_y_urad', 'locked_s', 'acquire_s', 'losses'):
        say(f'{key:44}{tracking[0][key]:14.2f}{tracking[1][key]:14.2f}\n')
    for key in ('sifted_bits', 'qber', 'secret_bits'):
        say(f'{key:44}{keys[0][key]:14.6g}{keys[1][key]:14.6g}\n')
    for name in ('tracking_camera', 'guiding_camera'):
        lost, count = lost_images(beats.get(name, []))
        say(f'{f"lost images of {count}, {name}":44}{lost:14}\n')
        if lost > MOST_LOST * count:
            failed.append(f'{name} lost {lost} of {count} images')
    for name, key, what in _LATENCIES:
        say(f'{what:44}{latency(beats.get(name, []), key):>28} ms\n')
    for key in ('rms_x_urad', 'rms_y_urad'):
        if not tracking[0][key] <= MOST_RMS * tracking[1][key]:
            failed.append(f'{key} is more than {MOST_RMS:g} times the simulated one')
    if tracking[0]['locked_s'] < LEAST_LOCKED_S:
        failed.append(f'locked for less than {LEAST_LOCKED_S:g} s')
    if not (keys[0]['verified'] and keys[0]['secret_bits']):
        failed.append('no verified key')
    if not (manifests[0].simulated and keys[0]['simulated']):
        failed.append('the key is not marked as simulated')
    say('; '.join(failed) + '\n' if failed else 'within all bounds\n')
    return 1 if failed else 0


def _result(manifest: Manifest) -> dict[str, dict[str, float]]:
    if manifest.result is None:
        raise StationError(f'session {manifest.session_id} has no result')
    return manifest.result


if __name__ == '__main__':
    raise SystemExit(compare(Path(sys.argv[1]), Path(sys.argv[2])))
