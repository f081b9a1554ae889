"""Client of the INDI protocol (version 1.7): properties of a device as the server reports them, and new values.

The server sends XML elements one after the other on a TCP connection: ``defNumberVector`` and its like describe a
property, ``setNumberVector`` and its like report a change.  A client sends ``newNumberVector`` and its like.
Nothing here waits.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any
from xml.etree.ElementTree import Element, ParseError, SubElement, XMLPullParser, tostring

from qkd_gs.drivers.connection import Connection
from qkd_gs.errors import DeviceFault

_KINDS = ('Number', 'Switch', 'Text', 'Light')


@dataclass(frozen=True)
class Blob:
    """A file that the device has sent, e.g. an image: its format as the device names it, and its bytes."""

    format: str
    data: bytes


@dataclass
class Property:
    """A property ("vector") of a device.

    Attributes
    ----------
    kind : str
        ``Number``, ``Switch``, ``Text`` or ``Light``.
    state : str
        ``Idle``, ``Ok``, ``Busy`` or ``Alert``.
    values : dict
        Text of each member.
    stamp_ns : int
        Station time at which it was reported last.
    limits : dict
        Lowest and highest value of each number, as the device has described it.
    """

    kind: str
    state: str
    values: dict[str, str]
    stamp_ns: int
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)

    def number(self, name: str) -> float:
        """A member as a number; sexagesimal texts are converted.

        Raises
        ------
        KeyError, ValueError
            No such member, or not a number.
        """
        return number_of(self.values[name])

    def on(self, name: str) -> bool:
        """Whether a switch is on; a member that is missing is off."""
        return self.values.get(name) == 'On'


class IndiClient:
    """Properties of one device of an INDI server.

    Parameters
    ----------
    code : str
        Kind of device, the first part of the fault codes.
    device : str
        Name of the device, as its driver calls it.
    """

    def __init__(self, code: str, host: str, port: int, device: str) -> None:
        self._code, self._device = code, device
        self._connection = Connection(code, host, port)
        self.properties: dict[str, Property] = {}
        self.heard_ns = 0  # when anything of the device has come last
        self.said = ''  # its last message
        self.blobs: list[Blob] = []  # files that have come; whoever takes them empties it

    def open(self) -> None:
        """Begin to connect, and ask for all properties."""
        self._connection.open()
        self._parser: Any = XMLPullParser(events=('start', 'end'))
        self._parser.feed('<stream>')
        self._depth = 0
        self._root: Element | None = None
        self.properties, self.heard_ns, self.said, self.blobs = {}, 0, '', []
        self.ask()

    def ask(self) -> None:
        """Ask for all properties of the device; its answers are a sign of life."""
        self._connection.send(f'<getProperties version="1.7" device={_quoted(self._device)}/>'.encode())

    def ask_for_files(self, name: str) -> None:
        """From now on, have the files of a property sent, too."""
        self._connection.send(
            f'<enableBLOB device={_quoted(self._device)} name={_quoted(name)}>Also</enableBLOB>'.encode()
        )

    def close(self) -> None:
        """Disconnect; allowed in every state."""
        self._connection.close()

    def step(self, now_ns: int) -> None:
        """Take what has arrived.

        Raises
        ------
        DeviceFault
            ``KIND.silent``: the server is gone, or sends no INDI.
        """
        data, closed = self._connection.receive()
        try:
            self._parser.feed(data)
            self._take_events(now_ns)
        except ParseError as error:
            raise DeviceFault(f'{self._code}.silent', f'{self._connection.name} sends no INDI: {error}') from error
        if closed:
            raise DeviceFault(f'{self._code}.silent', f'{self._connection.name} has closed the connection')

    def _take_events(self, now_ns: int) -> None:
        for event, found in self._parser.read_events():
            if not isinstance(found, Element):
                continue
            if event == 'start':
                self._root = found if self._depth == 0 else self._root
                self._depth += 1
                continue
            self._depth -= 1
            if self._depth == 1:
                self._take(now_ns, found)
                if self._root is not None:
                    self._root.clear()  # or the tree would grow as long as the connection lasts

    def _take(self, now_ns: int, element: Element) -> None:
        if element.get('device') != self._device:
            return
        self.heard_ns = now_ns
        self.said = element.get('message') or self.said
        name = element.get('name', '')
        if element.tag == 'delProperty':
            for gone in [name] if name else list(self.properties):
                self.properties.pop(gone, None)
            return
        if element.tag == 'setBLOBVector':
            self._take_files(element)
            return
        what, kind = element.tag[:3], element.tag[3:].removesuffix('Vector')
        if kind not in _KINDS or what not in ('def', 'set'):
            return
        values = {one.get('name', ''): (one.text or '').strip() for one in element}
        known = self.properties.get(name)
        if what == 'def':
            limits = {one.get('name', ''): _limits(one) for one in element} if kind == 'Number' else {}
            self.properties[name] = Property(kind, element.get('state', 'Idle'), values, now_ns, limits)
        elif known is not None:
            known.values |= values
            known.state, known.stamp_ns = element.get('state', known.state), now_ns

    def _take_files(self, element: Element) -> None:
        for one in element:
            try:
                self.blobs.append(Blob(one.get('format', ''), binascii.a2b_base64(one.text or '')))
            except binascii.Error as error:
                raise DeviceFault(f'{self._code}.silent', f'{self._connection.name}: a broken file: {error}') from error

    def send(self, name: str, values: Mapping[str, float | bool | str], needed: bool = True) -> None:
        """Ask for new values of a property; one that is not `needed` may be missing.

        Raises
        ------
        DeviceFault
            ``KIND.refused``: the device does not have it.
        """
        known = self.properties.get(name)
        if known is None:
            if not needed:
                return
            raise DeviceFault(f'{self._code}.refused', f'{self._device} has no property {name}')
        element = Element(f'new{known.kind}Vector', device=self._device, name=name)
        for member, value in values.items():
            text = ('On' if value else 'Off') if isinstance(value, bool) else str(value)
            SubElement(element, f'one{known.kind}', name=member).text = text
        known.state = 'Busy'  # until the server answers
        self._connection.send(tostring(element))

    def switch(self, name: str, member: str) -> None:
        """Put one switch of a property on."""
        self.send(name, {member: True})


def number_of(text: str) -> float:
    """A number of INDI: decimal, or sexagesimal with blanks, colons or semicolons.

    Raises
    ------
    ValueError
        Not a number.
    """
    parts = text.replace(':', ' ').replace(';', ' ').split()
    if not 1 <= len(parts) <= 3:
        raise ValueError(f'{text!r} is no number')
    size: float = sum(abs(float(part)) / 60**k for k, part in enumerate(parts))
    return -size if parts[0].startswith('-') else size


def _limits(member: Element) -> tuple[float, float]:
    """Lowest and highest value of a number; infinite where the device tells none."""
    try:
        low, high = float(member.get('min', '-inf')), float(member.get('max', 'inf'))
    except ValueError:
        return -inf, inf
    return (low, high) if low < high else (-inf, inf)


def _quoted(text: str) -> str:
    return '"' + text.replace('&', '&amp;').replace('"', '&quot;').replace('<', '&lt;') + '"'
