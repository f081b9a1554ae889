"""Repair a bag whose recorder was killed: no metadata.yaml, no index, a truncated last chunk.

A file without its end is rewritten from all complete messages in it and replaced atomically; then metadata.yaml is
written for all files.  A second repair changes nothing.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from mcap.records import Channel, Message

from qkd_gs.errors import StationError
from qkd_gs.recording.about import About
from qkd_gs.recording.contents import FileContents, about_of, contents_of, topics_of
from qkd_gs.recording.file_writer import FileWriter
from qkd_gs.recording.scan import MAGIC, Scan
from qkd_gs.recording.summary import FileSummary, Topic, files_of, listed_files, write_metadata


@dataclass(frozen=True)
class Repaired:
    """Result of `repair`: rewritten files, and the number of messages in the bag."""

    rewritten: tuple[Path, ...]
    messages: int


def needs_repair(folder: Path) -> bool:
    """Whether its recorder did not finish it; checks only the ends of the files."""
    files = files_of(folder)
    return bool(files) and (listed_files(folder) != [path.name for path in files] or not all(map(_has_end, files)))


def repair(folder: Path) -> Repaired:
    """Repair a bag.

    Raises
    ------
    StationError
        Not a bag of this software, being recorded now, files of different versions, or not writable.
    """
    files = contents_of(folder)
    about, topics = about_of(files), topics_of(files)
    _check_versions(folder, files, topics)
    rewritten, summaries = [], []
    try:
        for file in files:
            _check_idle(file.summary.path)
            # all files must offer a topic alike: readers match the channels of a file to metadata.yaml by it
            alike = all(topics[name] == topic for name, topic in file.summary.topics.items())
            if file.damage or not alike or not _has_end(file.summary.path):
                summaries.append(_rewrite(file, topics, about))
                rewritten.append(file.summary.path)
            else:
                summaries.append(file.summary)
        write_metadata(folder, summaries, about.to_strings())
    except OSError as error:
        raise StationError(f'cannot be repaired: {error.strerror}', where=folder) from error
    return Repaired(tuple(rewritten), sum(summary.messages for summary in summaries))


def _has_end(path: Path) -> bool:
    with open(path, 'rb') as file:
        if file.seek(0, os.SEEK_END) < len(MAGIC):
            return False
        file.seek(-len(MAGIC), os.SEEK_END)
        return file.read() == MAGIC


def _check_idle(path: Path) -> None:
    with open(path, 'rb') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StationError('is being recorded', where=path, hint='wait until the pass is over') from error


def _check_versions(folder: Path, files: list[FileContents], topics: dict[str, Topic]) -> None:
    for file in files:
        for name, topic in file.summary.topics.items():
            first = topics[name]
            if (topic.type, topic.digest) != (first.type, first.digest):
                raise StationError(
                    f'{file.summary.path.name} has another version of {first.type} than the file before it',
                    where=folder,
                    hint='move it to a folder of its own',
                )


def _rewrite(file: FileContents, topics: dict[str, Topic], about: About) -> FileSummary:
    path = file.summary.path
    draft = path.with_name(f'.{path.name}.new')
    draft.unlink(missing_ok=True)
    writer = FileWriter(draft, file.about or about)
    writer.summary.path = path
    names: dict[int, str] = {}
    for record in Scan(path):
        if isinstance(record, Channel):
            names[record.id] = record.topic
            if record.topic not in writer.summary.topics:
                topic = topics[record.topic]
                writer.add_topic(topic, file.definitions.get(topic.type, b''))
        elif isinstance(record, Message) and record.channel_id in names:
            writer.write(names[record.channel_id], record.log_time, record.data)
    writer.close()
    os.replace(draft, path)
    return writer.summary
