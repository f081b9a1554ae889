"""Read a YAML file into a validated model; every error names file, line and key."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from qkd_gs.errors import StationError

# libyaml where PyYAML was built with it: ten times as fast, and the same content
SAFE_LOADER = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)


class Section(BaseModel):
    """Base of every section of a configuration file: unknown keys are refused, instances are immutable.

    A truth value is no number, though Python takes ``true`` for 1: YAML reads ``off`` and ``no`` as one.
    """

    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)

    @field_validator('*', mode='before')
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields.get(info.field_name or '')
        kinds = set() if field is None else _kinds(field.annotation)
        if kinds & {int, float} and bool not in kinds and _holds_truth(value):
            raise ValueError('true or false is given where a number belongs')
        return value


def _kinds(annotation: Any) -> set[Any]:
    """Types that an annotation is made of."""
    arguments = get_args(annotation)
    return {annotation} if not arguments else {kind for part in arguments for kind in _kinds(part)}


def _holds_truth(value: Any) -> bool:
    """True if a value is a truth value, or a list or table that holds one."""
    if isinstance(value, (list, tuple)):
        return any(_holds_truth(part) for part in value)
    if isinstance(value, dict):
        return any(_holds_truth(part) for part in value.values())
    return isinstance(value, bool)


def reason(error: ValidationError) -> str:
    """Sentence of the first error, with the key in front; without pydantic's own words."""
    first = _first(error)
    key = '.'.join(str(part) for part in first['loc'])
    said = first['msg'].removeprefix('Value error, ')
    if first['type'] == _UNKNOWN_KEY:
        missing = [str(one['loc'][-1]) for one in error.errors() if one['type'] == 'missing']
        near = get_close_matches(str(first['loc'][-1]), missing, n=1)
        said = f'is not known, {near[0]} is missing' if near else 'is not known'
        return f'{key} {said}'
    return f'{key}: {said}' if key else said


def _first(error: ValidationError) -> Any:
    """The first error; a key that is not known before all others, as it explains one that is missing."""
    errors = error.errors()
    return next((one for one in errors if one['type'] == _UNKNOWN_KEY), errors[0])


_UNKNOWN_KEY = 'extra_forbidden'
_NUMBER_TAGS = ('tag:yaml.org,2002:int', 'tag:yaml.org,2002:float')
_DISGUISED = re.compile(r'[-+]?(0[0-7_]+|.*:.*)')  # base 8, base 60

S = TypeVar('S', bound=BaseModel)


def load_if_there(path: Path, model: type[S]) -> S | None:
    """As `load_yaml`; None: there is no such file."""
    return load_yaml(path, model) if path.exists() else None


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
        location = _first(error)['loc']
        file, node = max(files, key=lambda one: _depth(one[1], location))
        line = _line_of(node, location)
        raise StationError(reason(error), where=f'{file}:{line}' if location else file) from error


def _read(path: Path) -> tuple[yaml.Node | None, Any]:
    try:
        text = path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise StationError(f'cannot be read: {error}', where=path) from error
    try:
        node = yaml.compose(text, Loader=SAFE_LOADER)
        _refuse_repeated_keys(path, node)
        _refuse_disguised_numbers(path, node)
        return node, yaml.load(text, Loader=SAFE_LOADER)
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


def _refuse_disguised_numbers(path: Path, node: yaml.Node | None, key: str = '') -> None:
    """Refuse numbers that YAML 1.1 reads as another than a reader does: 1:17 as 77, 010 as 8."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            _refuse_disguised_numbers(path, value, str(name.value))
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_disguised_numbers(path, value, key)
    elif isinstance(node, yaml.ScalarNode) and node.tag in _NUMBER_TAGS and _DISGUISED.fullmatch(node.value):
        said = yaml.safe_load(node.value)
        raise StationError(
            f'{key}: YAML reads {node.value} as the number {said}',
            where=f'{path}:{node.start_mark.line + 1}',
            hint='write a decimal number, or put quotes around degrees, minutes and seconds',
        )


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
