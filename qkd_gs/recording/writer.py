"""Write the topics of a pass into a rosbag2 bag (version 9, MCAP).

The file is written in small compressed chunks, each readable as soon as it is written.  `BagWriter.flush`, called twice
per second, writes to the disk, so that a killed recorder or a power failure loses no more than that.
"""

from __future__ import annotations

from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.recording.about import About
from qkd_gs.recording.file_writer import FileWriter
from qkd_gs.recording.interfaces import interface
from qkd_gs.recording.repair import repair
from qkd_gs.recording.summary import METADATA, Topic, files_of, number_of, write_metadata


def definition_of(topic: Topic) -> bytes:
    """Text of a topic's type.

    Raises
    ------
    StationError
        It is not installed here, or the topic's publishers use another version.
    """
    kind = interface(topic.type)
    if kind is None:
        raise StationError(f'type {topic.type} is not installed here', where=topic.name)
    if kind.digest != topic.digest:
        raise StationError(f'publishers use another version of {topic.type} than this process', where=topic.name)
    return kind.definition.encode()


class BagWriter:
    """A bag, or a further file of a bag whose recorder was killed or had finished too early.

    Parameters
    ----------
    folder : Path
        Created if missing; existing files are kept.

    Raises
    ------
    StationError
        The folder or the file cannot be created.
    """

    def __init__(self, folder: Path, about: About) -> None:
        self._folder, self._about = folder, about
        try:
            folder.mkdir(parents=True, exist_ok=True)
            before = files_of(folder)
            (folder / METADATA).unlink(missing_ok=True)  # it would describe a finished bag
        except OSError as error:
            raise StationError(f'cannot be written: {error.strerror}', where=folder) from error
        self._is_first = not before
        number = 1 + max(map(number_of, before), default=-1)
        self._file = FileWriter(folder / f'{folder.name}_{number}.mcap', about)

    @property
    def path(self) -> Path:
        """The file being written."""
        return self._file.summary.path

    @property
    def messages(self) -> int:
        """Messages in this file."""
        return self._file.summary.messages

    def add_topic(self, topic: Topic) -> None:
        """Add a topic before its first message.

        Raises
        ------
        StationError
            As `definition_of`.
        """
        self._file.add_topic(topic, definition_of(topic))

    def write(self, name: str, t_ns: int, data: bytes) -> None:
        """Write a serialized message of a topic that was added; `t_ns` is station time."""
        self._file.write(name, t_ns, data)

    def flush(self) -> None:
        """Write everything so far to the disk."""
        self._file.flush()

    def close(self) -> None:
        """Finish the file, repair earlier ones, and write metadata.yaml for all of them."""
        self._file.close()
        if self._is_first:
            write_metadata(self._folder, [self._file.summary], self._about.to_strings())
        else:
            repair(self._folder)
