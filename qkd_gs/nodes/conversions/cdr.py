"""Messages made, serialized and read with a layout that is compiled once for each type.

`rclpy` walks through a message by the names of its fields, both ways, and the constructor of a message makes each of
its parts twice: a hundred microseconds, where the loops have ten milliseconds.  The types that are sent at 50 and
100 Hz hold nothing but numbers, texts and other messages.  Their serialized form (plain CDR, little-endian: OMG
DDS-RTPS 2.5, 10.2) is a fixed one for given lengths of the texts, so that `struct` reads and writes it in one call.
(The middleware fills up messages of bounded types to four bytes, which is not done here, nor read.)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from operator import attrgetter
from struct import Struct
from typing import Any, NamedTuple, TypeVar

M = TypeVar('M')

HEAD = b'\x00\x01\x00\x00'  # of plain CDR, little-endian; alignment counts from behind it
_CODES = {
    'boolean': '?', 'octet': 'B', 'byte': 'B', 'uint8': 'B', 'int8': 'b', 'uint16': 'H', 'int16': 'h', 'uint32': 'I',
    'int32': 'i', 'uint64': 'Q', 'int64': 'q', 'float': 'f', 'double': 'd',
}  # fmt: skip
_TEXT = 'string'
_KEPT = 64  # layouts of a type: its texts rarely have other lengths


class _Field(NamedTuple):
    """Of a message; `kind` is its class if it is a message itself, otherwise None."""

    put: Callable[[Any, Any], None]
    name: str
    type_name: str
    kind: type | None
    default: Any
    width: int  # places among the values of `struct`


def _message_class(name: str) -> type | None:
    """Class of a type like ``std_msgs/Header``; None if it is no message."""
    package, slash, stem = name.partition('/')
    if not slash or not stem.isidentifier():
        return None
    found: type = getattr(import_module(f'{package}.msg'), stem)
    return found


@cache
def _plan(kind: Any) -> tuple[tuple[_Field, ...], Callable[[Any, Any], None]]:
    """Fields of a message, and what sets whether it checks what is assigned to them."""
    empty = kind()
    fields = tuple(
        _Field(
            getattr(kind, f'_{name}').__set__,
            name,
            type_name,
            _message_class(type_name),
            getattr(empty, name),
            2 if type_name == _TEXT else 1,  # its length, too
        )
        for name, type_name in kind.get_fields_and_field_types().items()
    )
    return fields, kind._check_fields.__set__


@cache
def is_plain(kind: Any) -> bool:
    """Whether a type holds nothing but numbers, texts and messages that do."""
    return all(
        is_plain(field.kind) if field.kind is not None else field.type_name in _CODES or field.type_name == _TEXT
        for field in _plan(kind)[0]
    )


def build(kind: type[M], **values: Any) -> M:
    """A message of a plain type with these fields, the others as in an empty one; a tenth of the constructor's time.

    Raises
    ------
    TypeError
        There is no such field.
    """
    message = object.__new__(kind)
    fields, checks = _plan(kind)  # type: ignore[arg-type]  # a class can be hashed
    for put, name, _, part, default, _ in fields:
        if name in values:
            put(message, values.pop(name))
        else:
            put(message, default if part is None else build(part))
    if values:
        raise TypeError(f'{kind.__name__} has no field {next(iter(values))!r}')
    checks(message, False)
    return message


class _Layout(NamedTuple):
    """For given lengths of the texts."""

    lengths: tuple[int, ...]
    struct: Struct


class Codec:
    """Serialized form of a plain type.

    Parameters
    ----------
    kind : type
        `is_plain`.

    Raises
    ------
    TypeError
        It is not.
    """

    def __init__(self, kind: Any) -> None:
        if not is_plain(kind):
            raise TypeError(f'{kind.__name__} holds more than numbers, texts and messages')
        self._kind = kind
        self._types: list[str] = []
        slots: list[str] = []
        self._walk(kind, '', slots)
        self._values: Callable[[Any], tuple[Any, ...]] = attrgetter(*slots, slots[0])  # of one alone it gives no tuple
        self._texts = tuple(place for place, name in enumerate(self._types) if name == _TEXT)  # of their lengths
        self._layouts: dict[tuple[int, ...], _Layout] = {}
        self._last = self._layout((1,) * len(self._texts))

    def _walk(self, kind: Any, path: str, slots: list[str]) -> None:
        """Types and slots of all fields, in order; a text twice, once for its length."""
        for field in _plan(kind)[0]:
            slot = f'{path}_{field.name}'
            if field.kind is not None:
                self._walk(field.kind, f'{slot}.', slots)
                continue
            self._types += [field.type_name, ''][: field.width]
            slots += [slot] * field.width

    def encode(self, message: Any) -> bytes:
        """Serialize.

        Raises
        ------
        struct.error
            A value does not fit its field.
        """
        *values, _ = self._values(message)
        for place in self._texts:
            text = values[place].encode() + b'\0'
            values[place], values[place + 1] = len(text), text
        layout = self._last
        if self._texts and (lengths := tuple([values[place] for place in self._texts])) != layout.lengths:
            layout = self._last = self._layout(lengths)
        return layout.struct.pack(HEAD, *values)

    def decode(self, data: bytes) -> Any:
        """Read a serialized message.

        Raises
        ------
        ValueError
            This is no message of the type.
        """
        layout = self._last
        values = list(layout.struct.unpack(data)) if len(data) == layout.struct.size else []
        if not values or any(values[place + 1] != n for place, n in zip(self._texts, layout.lengths, strict=True)):
            layout = self._last = self._layout(self._lengths(data))
            if len(data) != layout.struct.size:
                raise ValueError(f'{len(data)} bytes are no {self._kind.__name__}, which has {layout.struct.size}')
            values = list(layout.struct.unpack(data))
        if values[0] != HEAD:
            raise ValueError(f'{values[0].hex()} does not begin a message in little-endian CDR')
        for place in self._texts:
            values[place + 2] = values[place + 2][:-1].decode()
        message, _ = _read(self._kind, values, 1)
        return message

    def _lengths(self, data: bytes) -> tuple[int, ...]:
        """Lengths of the texts in a serialized message."""
        lengths: tuple[int, ...] = ()
        while len(lengths) < len(self._texts):
            size = Struct(self._format(lengths)).size
            if len(data) < size:
                raise ValueError(f'{len(data)} bytes are too few for a {self._kind.__name__}')
            length = int.from_bytes(data[size - 4 : size], 'little')
            if not 0 < length <= len(data):
                raise ValueError(f'a text of {length} bytes in a {self._kind.__name__} of {len(data)}')
            lengths += (length,)
        return lengths

    def _layout(self, lengths: tuple[int, ...]) -> _Layout:
        found = self._layouts.get(lengths)
        if found is None:
            if len(self._layouts) >= _KEPT:
                self._layouts.clear()
            found = self._layouts[lengths] = _Layout(lengths, Struct(self._format(lengths)))
        return found

    def _format(self, lengths: tuple[int, ...]) -> str:
        """Format of `struct`, up to the length of the first text for which there is no length."""
        text, at, waiting = '<4s', 0, list(lengths)
        for name in self._types:
            if name == '':
                if not waiting:
                    return text
                text, at = f'{text}{waiting[0]}s', at + waiting.pop(0)
                continue
            code = _CODES.get(name, 'I')
            size = Struct(f'<{code}').size
            gap = -at % size
            text, at = f'{text}{gap}x{code}', at + gap + size
        return text


def _read(kind: Any, values: list[Any], place: int) -> tuple[Any, int]:
    """A message of the values from `place` on, and the place of what follows it."""
    message = object.__new__(kind)
    fields, checks = _plan(kind)
    for put, _, _, part, _, width in fields:
        if part is None:
            place += width
            put(message, values[place - 1])
        else:
            nested, place = _read(part, values, place)
            put(message, nested)
    checks(message, False)
    return message, place
