"""Message definitions, type hashes and (de)serialization without ROS: ROS 2 Jazzy, this and installed packages."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.base import TypesysError
from rosbags.typesys.store import Typestore

from qkd_gs.errors import StationError
from qkd_gs.share import share_path

OURS = 'qkd_gs/msg/'


class Interface(NamedTuple):
    """A message type as stored in a bag."""

    name: str  # 'package/msg/Type'
    definition: str  # text of the definition and of all types in it
    digest: str  # type description hash, 'RIHS01_' and 64 hexadecimal digits (REP 2011)


@cache
def typestore() -> Typestore:
    """Definitions of ROS 2 Jazzy and of this package."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for path in sorted(share_path('msg').glob('*.msg')):
        store.register(get_types_from_msg(path.read_text(encoding='utf-8'), OURS + path.stem))
    return store


@cache
def interface(name: str) -> Interface | None:
    """A message type as installed on this machine; None if it is not."""
    store = typestore()
    try:
        _register_installed(name, store)
        definition, _ = store.generate_msgdef(name, ros_version=2)
        return Interface(name, definition, store.hash_rihs01(name))
    except (TypesysError, KeyError):
        return None


def deserialize(data: bytes | memoryview, name: str) -> Any:
    """A message object; its attributes are the fields.

    Raises
    ------
    StationError
        Unknown type, or bytes that are not of this type.
    """
    if interface(name) is None:
        raise StationError('is not a message type known here', where=name)
    try:
        return typestore().deserialize_cdr(data, name)
    except (SerdeError, ValueError, IndexError, OverflowError, MemoryError) as error:
        raise StationError(f'a message is damaged: {error}', where=name) from error


def _register_installed(name: str, store: Typestore) -> None:
    """Register a type, and those in it, from the share folder of an installed package."""
    if name in store.fielddefs:
        return
    package, kind, stem = name.split('/') if name.count('/') == 2 else ('', '', '')
    path = next((path for path in _share_folders(package, kind, f'{stem}.msg') if path.is_file()), None)
    if path is None:
        raise TypesysError(f'{name} is not installed')
    found = get_types_from_msg(path.read_text(encoding='utf-8'), name)
    for _, fields in found.values():
        for part in _types_in(fields):
            _register_installed(part, store)
    store.register({key: value for key, value in found.items() if key not in store.fielddefs})


def _share_folders(*parts: str) -> list[Path]:
    prefixes = [*os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix]
    return [Path(prefix, 'share', *parts) for prefix in prefixes if prefix]


def _types_in(fields: Any) -> list[str]:
    """Names of the message types among the field descriptions of rosbags: nested tuples that end in a name."""
    if isinstance(fields, str):
        return [fields] if fields.count('/') == 2 else []
    return [name for part in fields for name in _types_in(part)] if isinstance(fields, list | tuple) else []
