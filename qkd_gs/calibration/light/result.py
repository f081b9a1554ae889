"""Result of a star test or of a noise map: computed from its counts, kept with them in the state folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qkd_gs.calibration.light.detector_balance import balance_of_stars
from qkd_gs.calibration.light.history import keep_result
from qkd_gs.calibration.light.noise_map import NoiseMap, dark_said, noise_map
from qkd_gs.calibration.light.readings import DARK, LightReading, read_light, save_light
from qkd_gs.calibration.light.star_test import StarTest, efficiency_of_stars
from qkd_gs.calibration.stars import Star
from qkd_gs.settings.downlink import load_downlink
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings

STAR_COUNTS, SKY_COUNTS, DARK_COUNTS = 'star-counts.csv', 'sky-counts.csv', 'dark-counts.csv'  # in the state folder
_DARK_NS = 12 * 3600 * 10**9  # dark counts of another night are not taken: they change with the temperature


def keep_star_test(
    folder: Path, site: Site, station: StationSettings, readings: Sequence[LightReading], stars: Sequence[Star],
    now_ns: int,
) -> tuple[StarTest, str]:  # fmt: skip
    """The efficiency, and one sentence with the change since the last test and the balance of the detectors.

    Raises
    ------
    StationError
        No star can be used, or a file is damaged or cannot be written.
    """
    save_light(folder / STAR_COUNTS, list(readings))
    result = efficiency_of_stars(readings, stars, load_downlink().link, site, station.detectors.dead_time_ns)
    change = keep_result(folder, site.name, now_ns, result)
    said = [result.summary, change, balance_of_stars(readings, station)]
    return result, '; '.join(part for part in said if part)


def keep_noise_map(
    folder: Path, site: Site, station: StationSettings, readings: Sequence[LightReading], now_ns: int
) -> tuple[NoiseMap, str]:
    """The map, and one sentence with the change since the last one.

    Raises
    ------
    StationError
        Too few directions, or a file is damaged or cannot be written.
    """
    save_light(folder / SKY_COUNTS, list(readings))
    result = noise_map(readings, station.detectors.dead_time_ns)
    change = keep_result(folder, site.name, now_ns, result)
    return result, f'{result.summary}; at the highest elevation {change}' if change else result.summary


def kept_noise_map(folder: Path, station: StationSettings, since_ns: int) -> NoiseMap | None:
    """The map of the counts in the state folder; None: there are none since that time.

    Raises
    ------
    StationError
        A damaged file.
    """
    path = folder / SKY_COUNTS
    readings = read_light(path) if path.exists() else []
    of_sky_ns = [one.t_ns for one in readings if one.target != DARK]
    fresh = bool(of_sky_ns) and min(of_sky_ns) >= since_ns
    return noise_map(readings, station.detectors.dead_time_ns) if fresh else None


def keep_dark(folder: Path, reading: LightReading) -> str:
    """Keep the counts of a closed shutter; one sentence.

    Raises
    ------
    StationError
        The file cannot be written.
    """
    save_light(folder / DARK_COUNTS, [reading])
    return f'in {reading.seconds:.0f} s with the shutter closed: {dark_said(reading.rates)} counts/s'


def kept_dark(folder: Path, now_ns: int) -> list[LightReading]:
    """The counts of a closed shutter of the last twelve hours; none: there are none.

    Raises
    ------
    StationError
        A damaged file.
    """
    path = folder / DARK_COUNTS
    readings = read_light(path) if path.exists() else []
    return [one for one in readings if 0 <= now_ns - one.t_ns < _DARK_NS]
