"""`qkd-gs calibrate-detectors`: relative delays and efficiencies of the four detectors, from trusted light."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from qkd_gs.arrays import IntArray
from qkd_gs.calibration.detector_delays import TRIGGER, DelayCalibration, calibrate_delays, require_certain
from qkd_gs.calibration.detector_efficiencies import EfficiencyCalibration, calibrate_efficiencies
from qkd_gs.calibration.measured_delays import MeasuredDelays, with_measured
from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.errors import StationError
from qkd_gs.importing.tag_map import TABLE_OFFSET, UNUSED, source_number
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.photons.receiver import true_delays_ps
from qkd_gs.sim.photons.trusted_light import lamp, pulsed_source
from qkd_gs.tag_formats.open_file import open_tags
from qkd_gs.tag_formats.order import in_order
from qkd_gs.tag_formats.raw import MARKER, MARKERS
from qkd_gs.timing.tags import QUANTUM, TagBlock

_NAMES = {channel.name: int(channel) for channel in QUANTUM} | {'TRIGGER': int(TRIGGER)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('--pulsed', type=Path, metavar='TAGS', help='tags of a pulsed source and its trigger')
    parser.add_argument(
        '--measured', type=Path, metavar='FILE', help='delays that the station has measured: detector-delays.json'
    )
    parser.add_argument('--lamp', type=Path, metavar='TAGS', help='tags of a star or lamp: steady, unpolarized')
    parser.add_argument('--dark', type=Path, metavar='TAGS', help='tags without any light; goes with --lamp')
    parser.add_argument('--inputs', default='H=1,V=2,D=3,A=4,TRIGGER=5', help='inputs of the time tagger (%(default)s)')
    parser.add_argument(
        '--period-ps', type=float, metavar='P', help='picoseconds of a count, for formats that do not tell'
    )
    parser.add_argument('--simulate', action='store_true', help="measure the twin's receiver instead of reading files")
    parser.add_argument('--seed', type=int, default=1, help='of the twin (%(default)s)')
    parser.add_argument('--seconds', type=float, default=30.0, help='of each simulated measurement (%(default)s)')
    parser.add_argument(
        '--tagger-ns',
        type=float,
        default=0.05,
        help='largest error of the time tagger between two inputs (%(default)s)',
    )
    parser.add_argument(
        '--polarization', type=float, default=0.01, help='largest degree of polarization of the lamp (%(default)s)'
    )
    parser.add_argument(
        '--station', type=Path, metavar='FILE', help='settings to change (default: config/station.yaml)'
    )
    parser.add_argument('--out', type=Path, metavar='FILE', help='writes these settings with the calibration in them')
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Measure, print, and write the settings."""
    path = args.station or share_path('config', 'station.yaml')
    station = load_yaml(path, StationSettings)
    delays = _delays(args, station)
    efficiencies = _efficiencies(args, station)
    measured = None if args.measured is None else load_yaml(args.measured, MeasuredDelays)
    if delays is not None and measured is not None:
        raise StationError('gives the delays, too', where='--measured', hint='leave it or --pulsed out')
    if delays is None and efficiencies is None and measured is None:
        raise StationError(
            'nothing to measure', where='--pulsed', hint='give --pulsed, --measured, --lamp with --dark, or --simulate'
        )
    changes = _changes(station, delays, efficiencies)
    if measured is not None:
        in_order = tuple(measured.delay_ns[channel.name] for channel in QUANTUM)
        changes['delay_ns'] = with_measured(station.detectors.delay_ns, in_order)
        changes['delay_uncertainty_ns'] = measured.uncertainty_ns
    if args.out is not None:
        _write(path, args.out, changes)
    document = _document(delays, efficiencies, changes) | {'written': None if args.out is None else str(args.out)}
    if args.json:
        print_json(document)
    else:
        _print(delays, efficiencies, changes)
        if measured is not None:
            print(f'delays as the station measured them at {measured.utc}, right within {measured.uncertainty_ns} ns')
    return 0


def _delays(args: argparse.Namespace, station: StationSettings) -> DelayCalibration | None:
    if args.simulate:
        light = load_twin().photonics
        blocks = pulsed_source(light, true_delays_ps(light, station, args.seed), args.seed, args.seconds)
    elif args.pulsed is not None:
        blocks = _read(args.pulsed, args)
    else:
        return None
    try:
        return require_certain(calibrate_delays(blocks, args.tagger_ns * 1e3))
    except StationError as error:
        raise StationError(error.what, where=error.where or args.pulsed, hint=error.hint) from error


def _efficiencies(args: argparse.Namespace, station: StationSettings) -> EfficiencyCalibration | None:
    if args.simulate:
        light = load_twin().photonics
        counted = [_count(lamp(light, args.seed, args.seconds, lit)) for lit in (True, False)]
    elif args.lamp is not None and args.dark is not None:
        counted = [_count(_read(path, args)) for path in (args.lamp, args.dark)]
    elif args.lamp is not None or args.dark is not None:
        raise StationError('goes with --dark', where='--lamp', hint='dark counts are taken off')
    else:
        return None
    (lit, lit_s), (dark, dark_s) = counted
    dead_s = station.detectors.dead_time_ns * 1e-9
    try:
        return calibrate_efficiencies(lit, lit_s, dark, dark_s, dead_s, args.polarization)
    except StationError as error:
        raise StationError(error.what, where=args.lamp, hint=error.hint) from error


def _read(path: Path, args: argparse.Namespace) -> Iterator[TagBlock]:
    table = _table(args.inputs)
    for raw in in_order(open_tags(path, args.period_ps), path):
        channel = table[raw.source.astype(np.int64) + TABLE_OFFSET]
        named = channel != UNUSED
        yield TagBlock(raw.time_ps[named], channel[named])


def _table(inputs: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Channel of each source, `UNUSED` for the others; indexed by source + `TABLE_OFFSET`."""
    table = np.full(MARKER + MARKERS + 1 + TABLE_OFFSET, UNUSED, np.uint8)
    named = dict(part.split('=', 1) for part in inputs.split(',') if '=' in part)
    if set(named) != set(_NAMES):
        raise StationError(
            f'{inputs!r} does not name {", ".join(_NAMES)}', where='--inputs', hint='H=1,V=2,...,TRIGGER=5'
        )
    for name, source in named.items():
        table[source_number(source) + TABLE_OFFSET] = _NAMES[name]
    return table


def _count(blocks: Iterator[TagBlock]) -> tuple[IntArray, float]:
    """Clicks of the four detectors, and seconds between the first and the last tag."""
    counts, first_ps, last_ps = np.zeros(256, np.int64), -1, 0
    for block in blocks:
        if len(block):
            counts += np.bincount(block.channel, minlength=256)
            first_ps = int(block.time_ps[0]) if first_ps < 0 else first_ps
            last_ps = int(block.time_ps[-1])
    return counts[list(QUANTUM)], max((last_ps - first_ps) * 1e-12, 1e-12)


def _changes(
    station: StationSettings, delays: DelayCalibration | None, efficiencies: EfficiencyCalibration | None
) -> dict[str, Any]:
    """Keys of the section ``detectors`` with their new values; the common part of the delays stays."""
    changes: dict[str, Any] = {}
    if delays is not None:
        changes['delay_ns'] = with_measured(station.detectors.delay_ns, delays.delay_ps * 1e-3)
        changes['delay_uncertainty_ns'] = delays.uncertainty_ps * 1e-3
    if efficiencies is not None:
        changes['relative_efficiency'] = {
            channel.name: round(float(value), 5)
            for channel, value in zip(QUANTUM, efficiencies.efficiency, strict=True)
        }
        changes['dark_cps'] = {
            channel.name: round(float(value), 2) for channel, value in zip(QUANTUM, efficiencies.dark_cps, strict=True)
        }
        changes['efficiency_uncertainty'] = round(efficiencies.uncertainty, 5)
    return changes


def _write(path: Path, out: Path, changes: dict[str, Any]) -> None:
    """Write the settings with the calibration in them; they are checked before the file is."""
    data = yaml.safe_load(path.read_text(encoding='utf-8'))
    data['detectors'].update(changes)
    StationSettings.model_validate(data)
    try:
        out.write_text('# Calibrated by qkd-gs calibrate-detectors.\n' + yaml.safe_dump(data, sort_keys=False))
    except OSError as error:
        raise StationError(f'cannot be written: {error.strerror}', where=out) from error


def _document(
    delays: DelayCalibration | None, efficiencies: EfficiencyCalibration | None, changes: dict[str, Any]
) -> dict[str, Any]:
    document: dict[str, Any] = {'detectors': changes, 'delays': None, 'efficiencies': None}
    if delays is not None:
        document['delays'] = {
            'relative_ns': _by_name(delays.delay_ps * 1e-3),
            'sigma_ns': _by_name(delays.sigma_ps * 1e-3),
            'rms_ns': _by_name(delays.rms_ps * 1e-3),
            'clicks': _by_name(delays.clicks),
            'drift_ns': delays.drift_ps * 1e-3,
            'uncertainty_ns': delays.uncertainty_ps * 1e-3,
        }
    if efficiencies is not None:
        document['efficiencies'] = {
            'relative': _by_name(efficiencies.efficiency),
            'uncertainty': efficiencies.uncertainty,
            'dark_cps': _by_name(efficiencies.dark_cps),
        }
    return document


def _by_name(values: np.ndarray[Any, Any]) -> dict[str, float]:
    return {channel.name: value for channel, value in zip(QUANTUM, values.tolist(), strict=True)}


def _print(
    delays: DelayCalibration | None, efficiencies: EfficiencyCalibration | None, changes: dict[str, Any]
) -> None:
    for number, channel in enumerate(QUANTUM):
        words = [f'{channel.name}']
        if delays is not None:
            words.append(
                f'delay {changes["delay_ns"][channel.name]:.3f} ns, photons spread {delays.rms_ps[number]:.0f} ps'
            )
        if efficiencies is not None:
            words.append(f'efficiency {efficiencies.efficiency[number]:.4f}')
        print('  '.join(words))
    if delays is not None:
        print(f'delays relative to each other are right within {delays.uncertainty_ps * 1e-3:.3f} ns')
    if efficiencies is not None:
        print(f'efficiencies are right within {efficiencies.uncertainty:.2%}')
