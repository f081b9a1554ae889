"""Settings models as ROS parameters, with description, unit and range for rqt and `ros2 param describe`.

A value given on the command line or by a launch file replaces the one of the file and is validated by the same model;
a value that the model refuses is refused with the model's reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from qkd_gs.errors import StationError
from qkd_gs.settings.loader import Section

S = TypeVar('S', bound=Section)

_TYPES: dict[type, Parameter.Type] = {
    bool: Parameter.Type.BOOL,
    int: Parameter.Type.INTEGER,
    float: Parameter.Type.DOUBLE,
    str: Parameter.Type.STRING,
}
_MOST = 1 << 53  # stands for a bound that is not given


def declare(node: Node, settings: Section, prefix: str = '') -> None:
    """Declare every value of a model as a parameter ``prefix.section.key``, with its description and range.

    Raises
    ------
    StationError
        A given value has another type than the model's.
    """
    for name, value, field in _leaves(settings, prefix):
        descriptor = ParameterDescriptor(description=_description(name, field))
        low, high = _range(field)
        if isinstance(value, float) and (low > -inf or high < inf):
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(max(low, -1e308)), to_value=float(min(high, 1e308)), step=0.0)
            ]
        elif isinstance(value, int) and not isinstance(value, bool) and (low > -inf or high < inf):
            descriptor.integer_range = [
                IntegerRange(from_value=int(max(low, -_MOST)), to_value=int(min(high, _MOST)), step=1)
            ]
        declare_one(node, name, value, descriptor)


def offer(node: Node, settings: Section, prefix: str, busy: Callable[[], bool]) -> None:
    """Declare the values of a model; they may be changed to valid values while the node is not `busy`.

    Raises
    ------
    StationError
        A given value does not fit the model.
    """
    declare(node, settings, prefix)
    read(node, type(settings), settings, prefix)  # the declared ranges are closed; the model may refuse an end
    node.add_on_set_parameters_callback(lambda changed: judge(node, type(settings), settings, prefix, changed, busy()))


def declare_one(node: Node, name: str, value: Any, descriptor: ParameterDescriptor) -> Any:
    """Declare a parameter; its value.

    Raises
    ------
    StationError
        The given value does not fit; names the parameter.
    """
    given = node._parameter_overrides.get(name)
    if given is not None and isinstance(value, float) and given.type_ is Parameter.Type.INTEGER:
        node._parameter_overrides[name] = Parameter(name, value=float(given.value))  # `speed:=2`
    try:
        return node.declare_parameter(name, value, descriptor).value
    except Exception as error:
        was = f' = {given.value!r}' if given is not None else ''
        raise StationError(f'{name}{was}: {error}', where=f'node {node.get_name()}') from error


def read(node: Node, model: type[S], settings: S, prefix: str = '', changed: Sequence[Parameter] = ()) -> S:
    """Model with the present values of the parameters, replaced by those in `changed`.

    Raises
    ------
    StationError
        The values do not fit the model.
    """
    new = {parameter.name: parameter.value for parameter in changed}
    data = settings.model_dump()
    for name, _, _ in _leaves(settings, prefix):
        value = new.get(name, node.get_parameter(name).value)
        place = data
        *sections, key = name.removeprefix(prefix + '.' if prefix else '').split('.')
        for section in sections:
            place = place[section]
        place[key] = value
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = '.'.join((*([prefix] if prefix else []), *map(str, first['loc'])))
        raise StationError(f'{key}: {first["msg"]}', where=f'node {node.get_name()}') from error


def _leaves(settings: BaseModel, prefix: str) -> Iterator[tuple[str, Any, FieldInfo]]:
    for key, field in type(settings).model_fields.items():
        value, name = getattr(settings, key), f'{prefix}.{key}' if prefix else key
        if isinstance(value, BaseModel):
            yield from _leaves(value, name)
        elif isinstance(value, dict):
            for inner, number in value.items():
                yield f'{name}.{inner}', number, field
        elif type(value) in _TYPES:
            yield name, value, field


def _description(name: str, field: FieldInfo) -> str:
    words = field.description or name.rsplit('.', maxsplit=1)[-1].replace('_', ' ')
    unit = next((u for end, u in _UNITS if name.endswith(end)), '')
    return f'{words} [{unit}]' if unit else words


_UNITS = (  # longest endings first
    ('_deg_s2', 'deg/s^2'), ('_deg_s', 'deg/s'), ('_urad_px', 'urad/px'), ('_deg', 'deg'), ('_mrad', 'mrad'),
    ('_urad', 'urad'), ('_hz', 'Hz'), ('_px', 'px'), ('_ns', 'ns'), ('_s', 's'), ('_m', 'm'), ('_w', 'W'), ('_e', 'e-'),
)  # fmt: skip


def _range(field: FieldInfo) -> tuple[float, float]:
    """Closed range; the model decides whether an end itself is valid."""
    low, high = -inf, inf
    for rule in field.metadata:
        low = max(low, getattr(rule, 'ge', -inf), getattr(rule, 'gt', -inf))
        high = min(high, getattr(rule, 'le', inf), getattr(rule, 'lt', inf))
    return low, high


def judge(
    node: Node, model: type[S], settings: S, prefix: str, changed: Sequence[Parameter], active: bool
) -> SetParametersResult:
    """Validate a change of parameters: refused while the device is active, or if the model refuses a value."""
    ours = [parameter for parameter in changed if parameter.name.startswith(f'{prefix}.')]
    if not ours:
        return SetParametersResult(successful=True)
    if active:
        return SetParametersResult(
            successful=False, reason=f'{ours[0].name} can be changed while {node.get_name()} is not active'
        )
    try:
        read(node, model, settings, prefix, ours)
    except StationError as error:
        return SetParametersResult(successful=False, reason=str(error))
    return SetParametersResult(successful=True)
