"""A pass in words that a visitor understands."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def print_summary(result: dict[str, Any], folder: Path, report: Path) -> None:
    """The whole of a simulated pass."""
    found, tracking, polarization = result['pass'], result['tracking'], result['polarization']
    print(f'\n{found["satellite"]} passed {found["max_elevation_deg"]:.1f} deg high at {found["culmination"]},')
    print(f'{found["min_range_km"]:.0f} km away at the nearest.\n')
    print('The telescope')
    _line('found the beacon and locked in', tracking['acquire_s'], 's', 1)
    _line('held it for', tracking['locked_s'], 's above 20 deg', 0)
    print(f'  {"pointed to within (x / y, RMS)":34} {_pair(tracking["rms_x_urad"], tracking["rms_y_urad"])} urad')
    spot = _pair(tracking['spot_rms_x_urad'], tracking['spot_rms_y_urad'])
    print(f'  {"while the spot danced by":34} {spot} urad   (the paper: 4.41 / 2.99)')
    _line('kept the polarization within', polarization['max_error_deg'], 'deg   (the paper: 0.3)', 2)
    print_key(result)
    run = result['run']
    print(f'\nSimulated {run["real_time_factor"]:.1f} times faster than real time, seed {run["seed"]}.')
    print(f'Session: {folder}\nReport:  {report}')


def print_key(result: dict[str, Any]) -> None:
    """Timing and key."""
    timing, key = result['timing'], result['key']
    print('The photons')
    _line('were tagged', timing['tags'], 'times', 0)
    _line('on a clock good to', timing['sync_rms_ns'], 'ns   (the paper: below 1)', 3)
    _line('made a sifted key of', key['sifted_bits'], 'bits', 0)
    _line(f'of that, in the middle {key["window_s"]:g} s', key['sifted_bits_window'], 'bits', 0)
    _line('with an error rate of', 100 * key['qber'], '%', 2)
    _print_secret(key)


def print_joined(key: dict[str, Any]) -> None:
    """Key of several passes."""
    print(f'The photons of {len(key["sessions"])} passes')
    _line('made a sifted key of', key['sifted_bits'], 'bits', 0)
    _line('with an error rate of', 100 * key['qber'], '%', 2)
    _print_secret(key)


def _print_secret(key: dict[str, Any]) -> None:
    print('The key')
    _line('secret bits on both sides', key['secret_bits'], '', 0)
    _line('chance that this is wrong', key['epsilon'], '(composable)', None)
    for name, value in key['epsilon_split'].items():
        _line(f'  of {name}', value, '', None)
    for reason in key['reasons']:
        print(f'  no key: {reason}')
    if key['simulated']:
        print('  of a simulated pass: never to be used')


def _line(text: str, value: float | None, unit: str, digits: int | None) -> None:
    shown = 'not measured' if value is None else f'{value:.1e}' if digits is None else f'{value:,.{digits}f}'
    print(f'  {text:34} {shown} {unit}'.rstrip())


def _pair(x: float | None, y: float | None) -> str:
    return 'not measured' if x is None or y is None else f'{x:.2f} / {y:.2f}'
