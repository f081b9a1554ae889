"""Write what was on the topics of a pass into a rosbag2 bag (version 9, MCAP).

The file is written in small compressed chunks, each of them readable as soon as it is there: `BagWriter.flush`, called
twice a second, puts what there is onto the disk, so that a killed recorder or a power failure takes no more along.
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
        It is not installed here, or the topic's publishers have another version of it.
    """
    kind = interface(topic.type)
    if kind is None:
        raise StationError(f'type {topic.type} is not installed here', where=topic.name)
    if kind.digest != topic.digest:
        raise StationError(f'publishers have another version of {topic.type} than this process', where=topic.name)
    return kind.definition.encode()


class BagWriter:
    """A bag, or a further file of a bag whose recorder was killed or had finished too early.

    Parameters
    ----------
    folder : Path
        Made if it is not there; files in it stay.

    Raises
    ------
    StationError
        The folder or the file cannot be made.
    """

    def __init__(self, folder: Path, about: About) -> None:
        self._folder, self._about = folder, about
        try:
            folder.mkdir(parents=True, exist_ok=True)
            before = files_of(folder)
            (folder / METADATA).unlink(missing_ok=True)  # it would tell of a whole bag
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
        """Before the first message on it.

        Raises
        ------
        StationError
            As `definition_of`.
        """
        self._file.add_topic(topic, definition_of(topic))

    def write(self, name: str, t_ns: int, data: bytes) -> None:
        """A serialized message of a topic that was added; `t_ns` is station time."""
        self._file.write(name, t_ns, data)

    def flush(self) -> None:
        """Everything so far onto the disk."""
        self._file.flush()

    def close(self) -> None:
        """Finish the file, make earlier ones whole, and write metadata.yaml over all of them."""
        self._file.close()
        if self._is_first:
            write_metadata(self._folder, [self._file.summary], self._about.to_strings())
        else:
            repair(self._folder)
