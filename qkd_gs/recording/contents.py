"""Contents of the files of a bag, found by reading them to the end; used by `repair` and the reader."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mcap.records import Channel, Message, Metadata, Schema

from qkd_gs.errors import StationError
from qkd_gs.recording.about import RECORD, About
from qkd_gs.recording.interfaces import OURS, deserialize, interface
from qkd_gs.recording.scan import Scan
from qkd_gs.recording.summary import (
    HASH_KEY,
    QOS_KEY,
    FileSummary,
    Topic,
    copies_among,
    files_of,
    qos_of,
    refuse_packed_messages,
)
from qkd_gs.tracking.record.topics import STATE

_STATE = f'{OURS}SessionState'


@dataclass(frozen=True)
class FileContents:
    """Contents of one file.

    Attributes
    ----------
    damage : str
        Description of the damage; empty if there is none.
    definitions : dict
        Text of each message type in the file.
    only_cut, not_read : bool
        As of `Scan`.
    lost : int
        Messages that are known to be lost.
    told : About or None
        Words of the tracker on the pass, in a file that another recorder has written (``ros2 bag record``).
    """

    summary: FileSummary
    about: About | None
    damage: str
    definitions: dict[str, bytes]
    only_cut: bool = False
    not_read: bool = False
    lost: int = 0
    told: About | None = None

    @property
    def damage_in_words(self) -> str:
        """Name of the file, its damage, and what is lost; empty if nothing is."""
        if not self.damage:
            return ''
        lost = f', {self.lost} message{"s" if self.lost > 1 else ""} of it at least are lost' if self.lost else ''
        return f'{self.summary.path.name} {self.damage}{lost}'


def contents_of(folder: Path) -> list[FileContents]:
    """Read all files of a bag to their end.

    Raises
    ------
    StationError
        No such folder, or not a recording of this software.
    """
    if not folder.is_dir():
        raise StationError('is not the folder of a bag', where=folder)
    files = files_of(folder)
    if not files:
        raise StationError('is not a bag of this station: it holds no .mcap file', where=folder)
    refuse_packed_messages(folder)
    copies = copies_among(files)
    found = [_read_file(path) for path in files if path not in copies]
    if all(file.about is None and file.told is None for file in found):
        damage = next((f' ({file.summary.path.name} {file.damage})' for file in found if file.damage), '')
        raise StationError(
            f'is not a bag of this station: it has no description of its pass{damage}',
            where=folder,
            hint='`ros2 bag play` plays any bag',
        )
    return found


def about_of(files: list[FileContents]) -> About:
    """Description of the pass, from the first file that has one; of another recorder, as the tracker told it."""
    found = [file.about for file in files] + [file.told for file in files]
    return next(about for about in found if about is not None)


def topics_of(files: list[FileContents]) -> dict[str, Topic]:
    """Topics of all files by name; each from the first file that has it."""
    topics: dict[str, Topic] = {}
    for file in files:
        topics = file.summary.topics | topics
    return topics


def topic_of(channel: Channel, schema: Schema | None) -> Topic:
    """The topic of a channel."""
    metadata = channel.metadata
    kind = schema.name if schema is not None else ''
    return Topic(channel.topic, kind, metadata.get(HASH_KEY, ''), qos_of(metadata.get(QOS_KEY, '')))


def _read_file(path: Path) -> FileContents:
    scan, summary = Scan(path), FileSummary(path)
    about: About | None = None
    schemas: dict[int, Schema] = {}
    names: dict[int, str] = {}
    told: About | None = None
    nameless = 0
    for record in scan:
        if isinstance(record, Message):
            if record.channel_id not in names:
                nameless += 1
            else:
                topic = summary.topics[names[record.channel_id]]
                summary.count(topic.name, record.log_time)
                if about is None and told is None and topic.type == _STATE:
                    told = _told(topic, record.data)
        elif isinstance(record, Schema):
            schemas[record.id] = record
        elif isinstance(record, Channel):
            names[record.id] = record.topic
            summary.add_topic(topic_of(record, schemas.get(record.schema_id)))
        elif isinstance(record, Metadata) and record.name == RECORD:
            about = about or About.from_strings(record.metadata)
    definitions = {schema.name: schema.data for schema in schemas.values()}
    damage = '' if scan.complete else scan.damage
    lost = scan.lost + nameless
    return FileContents(summary, about, damage, definitions, scan.only_cut, scan.not_read, lost, told)


def _told(topic: Topic, data: bytes) -> About | None:
    """Description of the pass by a state of the tracker; None outside a pass, or of another version."""
    kind = interface(topic.type)
    if kind is None or kind.digest != topic.digest or not topic.name.endswith(STATE):
        return None
    try:
        state = deserialize(data, topic.type)
    except StationError:
        return None
    if not state.session_id:
        return None
    namespace = topic.name.removesuffix(STATE)
    return About(state.session_id, state.satellite, '', state.simulated, namespace, 'another recorder')
