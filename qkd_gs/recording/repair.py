"""Repair a bag whose recorder was killed: no metadata.yaml, no index, a truncated last chunk.

A file without its end is rewritten from all complete messages in it and replaced atomically; then metadata.yaml is
written for all files.  A file that is damaged elsewhere, or that another recorder has written, also stays as it was,
under another name, since not all of it was understood.  One that is packed in a way that is not read here, and a bag of
which a file is missing, are left alone.  A second repair changes nothing.
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
from qkd_gs.recording.scan import MAGIC, PACKED, Scan
from qkd_gs.recording.summary import (
    METADATA,
    FileSummary,
    Topic,
    copies_among,
    files_of,
    listed_files,
    missing_files,
    write_metadata,
)
from qkd_gs.session.atomic_file import damaged_name


@dataclass(frozen=True)
class Repaired:
    """Result of `repair`.

    Attributes
    ----------
    rewritten : tuple of Path
        Files that were rewritten.
    messages : int
        In the bag now.
    kept : tuple of Path
        Damaged files as they were, by their new names.
    lost : int
        Messages that are known to be lost.
    copies : tuple of Path
        Files that hold the same as others, and are not part of the bag.
    """

    rewritten: tuple[Path, ...]
    messages: int
    kept: tuple[Path, ...] = ()
    lost: int = 0
    copies: tuple[Path, ...] = ()


def needs_repair(folder: Path) -> bool:
    """Whether its recorder did not finish it; checks only the ends of the files."""
    files = files_of(folder)
    copies = copies_among(files)
    names = [path.name for path in files if path not in copies]
    return bool(files) and (listed_files(folder) != names or not all(_has_end(folder / name) for name in names))


def repair(folder: Path) -> Repaired:
    """Repair a bag.

    Raises
    ------
    StationError
        Not a bag of this software, being recorded now, files of different versions, missing, or packed in a way that is
        not read here; nothing has been changed then.  Or not writable.
    """
    files = contents_of(folder)
    about, topics = about_of(files), topics_of(files)
    _check_versions(folder, files, topics)
    unfinished, copies = needs_repair(folder), tuple(copies_among(files_of(folder)))
    _check_understood(folder, files, unfinished)
    if not unfinished and not any(file.damage for file in files):
        return Repaired((), sum(file.summary.messages for file in files), copies=copies)
    rewritten, kept, summaries = [], [], []
    try:
        for file in files:
            path = file.summary.path
            _check_idle(path)
            # all files must offer a topic alike: readers match the channels of a file to metadata.yaml by it
            alike = all(topics[name] == topic for name, topic in file.summary.topics.items())
            if file.damage or not alike or not _has_end(path):
                if file.about is None or (file.damage and not file.only_cut):
                    kept.append(_keep(path))
                summaries.append(_rewrite(file, topics, about))
                rewritten.append(path)
            else:
                summaries.append(file.summary)
        write_metadata(folder, summaries, about.to_strings())
    except OSError as error:
        raise StationError(f'cannot be repaired: {error.strerror}', where=folder) from error
    return Repaired(
        tuple(rewritten),
        sum(summary.messages for summary in summaries),
        tuple(kept),
        sum(file.lost for file in files),
        copies,
    )


def _check_understood(folder: Path, files: list[FileContents], unfinished: bool) -> None:
    """Refuse what a repair would make worse."""
    missing = missing_files(folder)
    if missing:
        raise StationError(
            f'{", ".join(missing)} of it, listed in {METADATA}, is missing', where=folder,
            hint=f'bring it back; or move {METADATA} away, and what is left becomes a bag of its own',
        )  # fmt: skip
    for file in files:
        path = file.summary.path
        if file.not_read:
            raise StationError(f'{file.damage}; it is left as it is', where=path)
        if path.suffix == PACKED and (file.damage or unfinished):
            raise StationError('is packed as a whole and cannot be repaired so', where=path, hint='unpack it: zstd -d')


def _keep(path: Path) -> Path:
    """Give a file a second name, under which its bytes stay."""
    name = damaged_name(path)
    os.link(path, name)
    return name


def _has_end(path: Path) -> bool:
    if path.suffix == PACKED:
        return True  # rosbag2 packs a file once it is finished
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
