"""Read a bag of this software, damaged or not.

The files are read record by record (`scan`), whether or not the recorder has finished them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mcap.records import Channel, Message

from qkd_gs.errors import StationError
from qkd_gs.recording.about import About
from qkd_gs.recording.contents import about_of, contents_of, topics_of
from qkd_gs.recording.interfaces import OURS, deserialize, interface
from qkd_gs.recording.repair import needs_repair
from qkd_gs.recording.scan import Scan
from qkd_gs.recording.summary import Topic, copies_among, files_of, missing_files


class Raw(NamedTuple):
    """A serialized message and its log time."""

    topic: str
    t_ns: int
    data: bytes


@dataclass(frozen=True)
class Bag:
    """An opened bag.

    Attributes
    ----------
    topics : mapping
        Topics by absolute name.
    counts : mapping
        Number of messages by topic.
    start_ns, end_ns : int
        First and last log time.
    warning : str
        One sentence if it is damaged or unfinished, else empty.
    """

    folder: Path
    files: tuple[Path, ...]
    about: About
    topics: Mapping[str, Topic]
    counts: Mapping[str, int]
    start_ns: int
    end_ns: int
    warning: str = ''

    def absolute(self, name: str) -> str:
        """Name of a topic of the station, e.g. ``'session/state'``, as in the bag."""
        return name if name.startswith('/') else self.about.namespace + name

    def raw(self, names: Collection[str] | None = None) -> Iterator[Raw]:
        """Serialized messages in the order in which they were recorded; of some topics (absolute names), or all."""
        for path in self.files:
            names_by_id: dict[int, str] = {}
            for record in Scan(path):
                if isinstance(record, Channel):
                    if names is None or record.topic in names:
                        names_by_id[record.id] = record.topic
                    else:
                        names_by_id.pop(record.id, None)
                elif isinstance(record, Message) and record.channel_id in names_by_id:
                    yield Raw(names_by_id[record.channel_id], record.log_time, record.data)

    def messages(self, names: Collection[str]) -> Iterator[tuple[str, int, Any]]:
        """Topic (named as in `names`), log time (ns) and message object of the given topics.

        Raises
        ------
        StationError
            A message is not of the type of its topic.
        """
        given = {self.absolute(name): name for name in names}
        for topic, t_ns, data in self.raw(given):
            yield given[topic], t_ns, deserialize(data, self.topics[topic].type)


def open_bag(folder: str | Path) -> Bag:
    """Open a bag that was recorded during a pass; ROS is not needed.

    Parameters
    ----------
    folder : str or Path
        Of the bag, or of a session with ``bag`` in it.

    Returns
    -------
    Bag
        ``counts`` by topic; ``messages(['session/state'])`` iterates over (topic, time in ns, message).

    Raises
    ------
    StationError
        Not a bag of this software, or recorded with another version of its interfaces.

    Examples
    --------
    >>> import qkd_gs
    >>> bag = qkd_gs.open_bag('sessions/shanghai')  # doctest: +SKIP
    >>> for topic, t_ns, state in bag.messages(['session/state']):  # doctest: +SKIP
    ...     print(t_ns, state.phase)
    """
    folder = Path(folder)
    if not (folder / 'metadata.yaml').exists() and (folder / 'bag').is_dir():
        folder = folder / 'bag'
    files = contents_of(folder)
    about, topics = about_of(files), topics_of(files)
    _check_versions(folder, about, topics.values())
    counts = {name: sum(file.summary.counts.get(name, 0) for file in files) for name in topics}
    filled = [file.summary for file in files if file.summary.messages]
    if not filled:
        raise StationError('holds no message', where=folder)
    return Bag(
        folder,
        tuple(file.summary.path for file in files),
        about,
        topics,
        counts,
        min(summary.start_ns for summary in filled),
        max(summary.end_ns for summary in filled),
        _warning(folder, [file.damage_in_words for file in files if file.damage]),
    )


def _check_versions(folder: Path, about: About, topics: Collection[Topic]) -> None:
    ours = [topic for topic in topics if topic.type.startswith(OURS)]
    if not ours:
        raise StationError('is not a bag of this station: none of its topics is', where=folder)
    others = sorted({topic.type for topic in topics if not _is_known(topic) and topic in ours})
    if others:
        raise StationError(
            f'was recorded with another version of the interfaces: {", ".join(others)}',
            where=folder,
            hint=f'it was recorded by {about.software}',
        )


def _is_known(topic: Topic) -> bool:
    kind = interface(topic.type)
    return kind is not None and kind.digest == topic.digest


def _warning(folder: Path, damages: list[str]) -> str:
    missing = missing_files(folder)
    if missing:
        damages = [f'{", ".join(missing)} is missing', *damages]
    copies = [path.name for path in copies_among(files_of(folder))]
    left_out = f'; {", ".join(copies)} holds the same as another file and is left out' if copies else ''
    if damages:
        hint = '' if missing else ' (`qkd-gs repair` repairs it)'
        return f'{folder}: incomplete: {"; ".join(damages)}{left_out}{hint}'
    if needs_repair(folder):
        return f'{folder}: not finished by its recorder{left_out} (`qkd-gs repair` repairs it)'
    return f'{folder}{left_out.replace(";", ":", 1)}' if left_out else ''
