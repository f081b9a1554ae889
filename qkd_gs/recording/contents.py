"""Contents of the files of a bag, found by reading them to the end; used by `repair` and the reader."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mcap.records import Channel, Message, Metadata, Schema

from qkd_gs.errors import StationError
from qkd_gs.recording.about import RECORD, About
from qkd_gs.recording.scan import Scan
from qkd_gs.recording.summary import HASH_KEY, QOS_KEY, FileSummary, Topic, files_of, qos_of


@dataclass(frozen=True)
class FileContents:
    """Contents of one file.

    Attributes
    ----------
    damage : str
        Description of the damage; empty if there is none.
    definitions : dict
        Text of each message type in the file.
    """

    summary: FileSummary
    about: About | None
    damage: str
    definitions: dict[str, bytes]


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
    found = [_read_file(path) for path in files]
    if all(file.about is None for file in found):
        damage = next((f' ({file.summary.path.name} {file.damage})' for file in found if file.damage), '')
        raise StationError(
            f'is not a bag of this station: it has no description of its pass{damage}',
            where=folder,
            hint='`ros2 bag play` plays any bag',
        )
    return found


def about_of(files: list[FileContents]) -> About:
    """Description of the pass, from the first file that has one."""
    return next(file.about for file in files if file.about is not None)


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
    for record in scan:
        if isinstance(record, Message):
            if record.channel_id in names:
                summary.count(names[record.channel_id], record.log_time)
        elif isinstance(record, Schema):
            schemas[record.id] = record
        elif isinstance(record, Channel):
            names[record.id] = record.topic
            summary.add_topic(topic_of(record, schemas.get(record.schema_id)))
        elif isinstance(record, Metadata) and record.name == RECORD:
            about = about or About.from_strings(record.metadata)
    definitions = {schema.name: schema.data for schema in schemas.values()}
    return FileContents(summary, about, '' if scan.complete else scan.damage, definitions)
