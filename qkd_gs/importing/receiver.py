"""The receiver of an imported recording: the station's settings, with the source that it received from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from qkd_gs.errors import StationError
from qkd_gs.settings.loader import load_yaml, reason
from qkd_gs.settings.source import load_source
from qkd_gs.settings.station import CHANNELS, StationSettings
from qkd_gs.share import share_path


def receiving_station(station: Path | None = None, source: str | None = None) -> StationSettings:
    """Settings of a file, or those of config/station.yaml without its delays: they are none of a foreign set-up's.

    Parameters
    ----------
    source : str, optional
        Name of config/sources, or a file; the station's own if not given.

    Raises
    ------
    StationError
        An invalid file, or a source that does not fit the station.
    """
    path = station or share_path('config', 'station.yaml')
    settings = load_yaml(path, StationSettings)
    change: dict[str, Any] = {} if source is None else {'source': load_source(source)}
    if station is None:
        change['detectors'] = settings.detectors.model_copy(update={'delay_ns': dict.fromkeys(CHANNELS, 0.0)})
    return _checked(settings.model_copy(update=change), path)


def _checked(settings: StationSettings, path: Path) -> StationSettings:
    """Settings whose sections were put together, once more against each other."""
    try:
        return StationSettings.model_validate(settings.model_dump())
    except ValidationError as error:
        raise StationError(
            reason(error), where=path, hint='give settings that fit this source with --station'
        ) from error
