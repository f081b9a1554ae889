"""One MCAP file of a bag, in small compressed chunks, each readable as soon as it is on the disk."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from mcap.writer import CompressionType, Writer

from qkd_gs.errors import StationError
from qkd_gs.recording.about import RECORD, About
from qkd_gs.recording.summary import FileSummary, Topic, bag_information, yaml_text


class FileWriter:
    """One MCAP file of a bag.

    Parameters
    ----------
    path : Path
        Path of a new file.

    Raises
    ------
    StationError
        It cannot be created, or (all methods) not be written.
    """

    def __init__(self, path: Path, about: About) -> None:
        self.summary = FileSummary(path)
        self._about = about
        try:
            self._file = open(path, 'xb')  # noqa: SIM115 - lives as long as the recording
            fcntl.flock(self._file, fcntl.LOCK_EX)  # `repair` checks this lock
        except OSError as error:
            raise StationError(f'cannot be created: {error.strerror}', where=path) from error
        self._mcap: Any = Writer(self._file, compression=CompressionType.ZSTD, enable_data_crcs=True)
        self._mcap.start('ros2', library=about.software)
        self._mcap.add_metadata(RECORD, about.to_strings())
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}

    def add_topic(self, topic: Topic, definition: bytes) -> None:
        """Add a topic before its first message; `definition` is the text of its type."""
        if topic.type not in self._schemas:
            self._schemas[topic.type] = self._mcap.register_schema(topic.type, 'ros2msg', definition)
        schema = self._schemas[topic.type]
        self._channels[topic.name] = self._mcap.register_channel(topic.name, 'cdr', schema, topic.channel_metadata())
        self.summary.add_topic(topic)

    def write(self, name: str, t_ns: int, data: bytes) -> None:
        """Write a serialized message; `t_ns` is the log time."""
        try:
            self._mcap.add_message(self._channels[name], t_ns, data, t_ns, self.summary.counts[name])
        except OSError as error:
            raise self._failed(error) from error
        self.summary.count(name, t_ns)

    def flush(self) -> None:
        """Write everything so far to the disk."""
        try:
            self._mcap.flush()
            os.fdatasync(self._file.fileno())
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Write index and footer."""
        serialized = yaml_text(bag_information([self.summary], self._about.to_strings()))
        try:
            self._mcap.flush()
            self._mcap.add_metadata('rosbag2', {'serialized_metadata': serialized})
            self._mcap.finish()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> StationError:
        return StationError(f'cannot be written: {error.strerror}', where=self.summary.path)
