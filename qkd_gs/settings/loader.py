"""Read a YAML file into a checked model; every complaint names the file, the line and the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from qkd_gs.errors import StationError


class Section(BaseModel):
    """Base of every section of a configuration file: unknown keys are refused, values are not changed later."""

    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)


S = TypeVar('S', bound=BaseModel)


def load_yaml(path: str | Path, model: type[S]) -> S:
    """Read `path` and check it against `model`.

    Raises
    ------
    StationError
        File unreadable, not YAML, a key given twice, unknown or missing, or a value of the wrong type or
        out of its range; ``str()`` reads ``config/station.yaml:12: mount.azimuth: …``.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise StationError(f'cannot be read: {error}', where=path) from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        _refuse_repeated_keys(path, node)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise StationError(f'not YAML: {error.problem}', where=f'{path}:{line}') from error
    except yaml.YAMLError as error:  # e.g. a control character, which carries no line
        raise StationError(f'not YAML: {" ".join(str(error).split())}', where=path) from error
    try:
        return model.model_validate({} if data is None else data)
    except ValidationError as error:
        first = error.errors()[0]
        location = first['loc']
        key = '.'.join(str(part) for part in location) or 'the whole file'
        raise StationError(f'{key}: {first["msg"]}', where=f'{path}:{_line_of(node, location)}') from error


def _refuse_repeated_keys(path: Path, node: yaml.Node | None) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise StationError(f'{key.value} is given twice', where=f'{path}:{key.start_mark.line + 1}')
            seen.add(key.value)
            _refuse_repeated_keys(path, value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_repeated_keys(path, value)


def _line_of(node: Any, location: tuple[int | str, ...]) -> int:
    """Line of the deepest part of `location` that is in the file (a missing key: its section's line)."""
    line = node.start_mark.line + 1 if node is not None else 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found is None:
                return int(line)
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return int(line)
    return int(line)
