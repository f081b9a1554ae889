"""Read a YAML file into a validated model; every error names file, line and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from qkd_gs.errors import StationError


class Section(BaseModel):
    """Base of every section of a configuration file: unknown keys are refused, instances are immutable."""

    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)


S = TypeVar('S', bound=BaseModel)


def load_yaml(path: str | Path, model: type[S], overlay: str | Path | None = None) -> S:
    """Read `path` and check it against `model`.

    Parameters
    ----------
    overlay : str or Path, optional
        Another file whose values replace those of `path` key by key; lists are replaced as a whole.

    Raises
    ------
    StationError
        File unreadable, not YAML, a key given twice, unknown or missing, or a value of the wrong type or
        out of its range; ``str()`` reads ``config/station.yaml:12: mount.azimuth: …``.
    """
    path = Path(path)
    node, data = _read(path)
    files = [(path, node)]
    if overlay is not None:
        over_node, over = _read(Path(overlay))
        data = _laid_over(data, over)
        files.insert(0, (Path(overlay), over_node))
    try:
        return model.model_validate({} if data is None else data)
    except ValidationError as error:
        first = error.errors()[0]
        location = first['loc']
        key = '.'.join(str(part) for part in location) or 'the whole file'
        file, node = max(files, key=lambda one: _depth(one[1], location))
        raise StationError(f'{key}: {first["msg"]}', where=f'{file}:{_line_of(node, location)}') from error


def _read(path: Path) -> tuple[yaml.Node | None, Any]:
    try:
        text = path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise StationError(f'cannot be read: {error}', where=path) from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        _refuse_repeated_keys(path, node)
        return node, yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise StationError(f'not YAML: {error.problem}', where=f'{path}:{line}') from error
    except yaml.YAMLError as error:  # e.g. a control character, which carries no line
        raise StationError(f'not YAML: {" ".join(str(error).split())}', where=path) from error


def _laid_over(data: Any, over: Any) -> Any:
    if not isinstance(data, dict) or not isinstance(over, dict):
        return data if over is None else over
    return {**data, **{key: _laid_over(data.get(key), value) for key, value in over.items()}}


def _depth(node: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """Number of parts of `location` in a file: the error is reported for the file with most of them."""
    depth = 0
    for part in location:
        if isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == str(part)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        else:
            return depth
        depth += node is not None
    return depth


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
