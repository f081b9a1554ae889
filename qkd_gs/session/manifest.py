"""session.json: public description of a session; holds no secret and no detector stream.

The sealed tags lie beside it (`qkd_gs.session.tag_files`), each file with the start of its own run.

Several processes change the manifest of a session: the tracker, the post-processor, commands.  All of them use
`update_manifest`, so that each keeps what the others have written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from qkd_gs.errors import StationError
from qkd_gs.session.atomic_file import replace_file
from qkd_gs.session.writers import changing
from qkd_gs.settings.loader import Section, reason
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings

SCHEMA_VERSION: Literal[3] = 3
_READ_VERSIONS = (2, SCHEMA_VERSION)  # 2 has no bench links; everything else is alike
FILE_NAME = 'session.json'
_HINT = 'process the session with the software that took it'


def session_path(sessions_dir: Path, name: str) -> Path:
    """Folder of a session by its name.

    Raises
    ------
    StationError
        It is not a name of one folder, as which it would lead outside.
    """
    if not name or '/' in name or '\0' in name or name.startswith('.'):
        raise StationError(f'{name!r} is not the name of a folder', where='session')
    return sessions_dir / name


KEY = 'key'  # in the manifest's `run`, of a session that a station has recorded
PENDING, FINISHED = 'pending', 'finished'


class LockedSpan(Section):
    """An interval of UTC in which the tracking camera held the satellite."""

    start_ns: int
    end_ns: int


class Manifest(Section):
    """The whole of session.json."""

    schema_version: Literal[3] = SCHEMA_VERSION
    session_id: str = Field(pattern='^[0-9a-f]{32}$')
    simulated: bool = Field(description='a key of a simulated session is never handed out as real')
    software: str
    created_utc: str
    satellite: str
    elements_file: str | None = Field(
        default=None, pattern='^[^/]+$', description='orbit data as given, in the session folder; none: a bench link'
    )
    elements_used: str = Field(default='', description='which set of it was used')
    site: Site | None = Field(default=None, description='a session with an orbit has one')
    delay_s: float | None = Field(
        default=None, ge=0, le=10, description='one-way delay of a bench or fibre link, instead of an orbit'
    )
    pass_info: dict[str, Any] = Field(description='the pass as `qkd-gs passes` lists it')
    culmination_ns: int = Field(description='UTC; of a bench link the middle of the recording')
    time_bias_s: float = Field(description='as tracked: positive if the satellite ran ahead of its elements')
    cross_track_m: float = Field(description='as tracked: along the orbit normal')
    locked: list[LockedSpan]
    closed: bool = Field(
        description='the pass was recorded to its end, and so was the last run of the TDC; False while it is'
        ' being recorded, and ever after if that was cut off'
    )
    station: StationSettings
    seed: int | None = Field(default=None, description='of the twin; None for a real pass')
    tracking: dict[str, Any] = Field(default_factory=dict, description='figures of the pass')
    polarization: dict[str, Any] = Field(default_factory=dict)
    run: dict[str, Any] = Field(default_factory=dict)
    result: dict[str, Any] | None = Field(default=None, description='set once the session is processed')

    @model_validator(mode='after')
    def _one_kind_of_link(self) -> Manifest:
        if (self.delay_s is None) == (self.elements_file is None):
            raise ValueError('needs an orbit (elements_file) or a fixed delay (delay_s), and not both')
        if self.elements_file is not None and self.site is None:
            raise ValueError('an orbit needs a site')
        if any(span.end_ns < span.start_ns for span in self.locked):
            raise ValueError('a locked interval ends before its start')
        return self

    @field_validator('result')
    @classmethod
    def _parts_of_the_result(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        parts = {} if value is None else {name: value[name] for name in ('timing', 'key', 'run') if name in value}
        wrong = [name for name, part in parts.items() if not isinstance(part, dict)]
        if wrong:
            raise ValueError(f'{wrong[0]} is no table')
        runs = parts.get('timing', {}).get('runs', [])
        if not isinstance(runs, list) or not all(isinstance(run, dict) for run in runs):
            raise ValueError('timing.runs is no list of tables')
        return value

    def orbit_path(self, folder: Path) -> Path:
        """File of the orbit in the session's folder.

        Raises
        ------
        StationError
            The session is one of a bench link.
        """
        if self.elements_file is None:
            raise StationError('is a session of a bench link: it has no orbit', where=folder)
        return folder / self.elements_file

    @property
    def place(self) -> str:
        """Place at which it was recorded, for people."""
        return self.site.name if self.site is not None else 'a bench link'


def manifest_schema() -> dict[str, Any]:
    """JSON Schema of session.json, generated from the model; its ``$id`` carries the version."""
    schema = Manifest.model_json_schema()
    head = {
        '$schema': 'https://json-schema.org/draft/2020-12/schema',
        '$id': f'urn:qkd_gs:session:{SCHEMA_VERSION}',
        'title': f'session.json of qkd_gs, schema version {SCHEMA_VERSION}',
    }
    return head | {key: value for key, value in schema.items() if key not in head}


def load_manifest(folder: Path) -> Manifest:
    """Manifest of a session folder.

    Raises
    ------
    StationError
        No such folder, not a session, of another schema version, or damaged.
    """
    path = folder / FILE_NAME
    try:
        data = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError as error:
        raise StationError('is not a session (it has no session.json)', where=folder) from error
    except (OSError, ValueError) as error:
        raise StationError(f'cannot be read: {error}', where=path) from error
    version = data.get('schema_version') if isinstance(data, dict) else None
    if version not in _READ_VERSIONS:
        raise StationError(
            f'schema version {version} is not {SCHEMA_VERSION}',
            where=path,
            hint=_HINT,
        )
    try:
        return Manifest.model_validate(data | {'schema_version': SCHEMA_VERSION})
    except ValidationError as error:
        first = error.errors()[0]
        key = '.'.join(map(str, first['loc']))
        if first['type'] == 'extra_forbidden':
            raise StationError(f'{key} is a key that this version does not know', where=path, hint=_HINT) from error
        raise StationError(reason(error), where=path) from error


def create_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a new session.

    Raises
    ------
    StationError
        The folder is a session already, or the file cannot be written.
    """
    with changing(folder):
        if (folder / FILE_NAME).exists():
            raise StationError('is a session already', where=folder, hint='choose a new folder')
        replace_file(folder / FILE_NAME, manifest.model_dump_json(indent=2) + '\n')


def update_manifest(folder: Path, change: Callable[[Manifest], Mapping[str, Any]]) -> Manifest:
    """Read the manifest of a session, change some of its fields, and write it; returns the new manifest.

    Nobody else writes between the reading and the writing.

    Parameters
    ----------
    folder : Path
        Of the session.
    change : callable
        Takes the manifest as it is on disk, and returns the fields to change with their new values.

    Raises
    ------
    StationError
        As `load_manifest`, or the file cannot be written; the manifest on disk is as it was.
    pydantic.ValidationError
        A changed field is unknown, or its value does not fit.
    """
    with changing(folder):
        manifest = load_manifest(folder)
        manifest = Manifest.model_validate(manifest.model_dump() | dict(change(manifest)))
        replace_file(folder / FILE_NAME, manifest.model_dump_json(indent=2) + '\n')
    return manifest


def sessions_without_key(sessions_dir: Path) -> list[Path]:
    """Sessions whose pass a station has recorded and whose post-processing was not finished, oldest first."""
    found = []
    for path in sorted(sessions_dir.glob(f'*/{FILE_NAME}')):
        try:
            manifest = load_manifest(path.parent)
        except StationError:
            continue  # not of this software, or damaged: whoever processes it is told
        if manifest.run.get(KEY) == PENDING:
            found.append((manifest.created_utc, path.parent))
    return [folder for _, folder in sorted(found)]


def update_run_metrics(folder: Path, **metrics: Any) -> Manifest:
    """Add metrics to the part ``run`` of a session's manifest and of its result; returns the new manifest.

    Raises
    ------
    StationError
        As `update_manifest`.
    """

    def change(manifest: Manifest) -> dict[str, Any]:
        run = manifest.run | metrics
        return {'run': run, 'result': (manifest.result or {}) | {'run': run}}

    return update_manifest(folder, change)
