"""Sources of other satellites and benches: config/sources/NAME.yaml, or a file of one's own."""

from __future__ import annotations

from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import SourceSettings
from qkd_gs.share import share_path


def source_names() -> list[str]:
    """Names of the sources that come with the package."""
    return sorted(path.stem for path in share_path('config', 'sources').glob('*.yaml'))


def load_source(text: str) -> SourceSettings:
    """Source from a name (any case), or from a file with the keys of the section ``source`` of config/station.yaml.

    Raises
    ------
    StationError
        Neither a name nor a file, or an invalid file: file, line and key.
    """
    if text.lower() in source_names():
        return load_yaml(share_path('config', 'sources', f'{text.lower()}.yaml'), SourceSettings)
    if not Path(text).is_file():
        raise StationError(
            f'unknown source {text!r}', where='--source', hint=f'one of {", ".join(source_names())}, or a file'
        )
    return load_yaml(text, SourceSettings)
