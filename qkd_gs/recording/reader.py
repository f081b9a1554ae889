"""Read a bag of this station's, as far as it goes.

The files are read record by record (`scan`), so that it makes no difference whether the recorder has finished them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from qkd_gs.errors import StationError
from qkd_gs.recording.about import About
from qkd_gs.recording.contents import about_of, contents_of, topics_of
from qkd_gs.recording.interfaces import OURS, deserialize, interface
from qkd_gs.recording.repair import needs_repair
from qkd_gs.recording.scan import Channel, Message, Scan
from qkd_gs.recording.summary import Topic


class Raw(NamedTuple):
    """A serialized message, and the bag's time of it."""

    topic: str
    t_ns: int
    data: bytes


@dataclass(frozen=True)
class Bag:
    """A bag that was looked through.

    Attributes
    ----------
    topics : mapping
        Topics by absolute name.
    counts : mapping
        Messages on each.
    start_ns, end_ns : int
        First and last time in it.
    warning : str
        One sentence if it is not whole, else empty.
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
        """Name of a topic of the station, e.g. ``'session/state'``, as it is in the bag."""
        return name if name.startswith('/') else self.about.namespace + name

    def raw(self, names: Collection[str] | None = None) -> Iterator[Raw]:
        """Serialized messages in the order in which they were recorded; of some topics (absolute names), or all."""
        for path in self.files:
            wanted: dict[int, str] = {}
            for record in Scan(path):
                if isinstance(record, Channel):
                    if names is None or record.topic in names:
                        wanted[record.id] = record.topic
                    else:
                        wanted.pop(record.id, None)
                elif isinstance(record, Message) and record.channel_id in wanted:
                    yield Raw(wanted[record.channel_id], record.log_ns, record.data)

    def messages(self, names: Collection[str]) -> Iterator[tuple[str, int, Any]]:
        """Topic (named as in `names`), bag's time (ns) and message object of the topics asked for.

        Raises
        ------
        StationError
            A message is not of the type that its topic says.
        """
        given = {self.absolute(name): name for name in names}
        for topic, t_ns, data in self.raw(given):
            yield given[topic], t_ns, deserialize(data, self.topics[topic].type)


def open_bag(folder: str | Path) -> Bag:
    """Look through a bag that was recorded during a pass; ROS is not needed.

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
        Not a bag of this station, or recorded with another version of its interfaces.

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
        _warning(folder, [f'{file.summary.path.name} {file.damage}' for file in files if file.damage]),
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
    if not damages and not needs_repair(folder):
        return ''
    what = f'read as far as it goes: {"; ".join(damages)}' if damages else 'its recorder has not finished it'
    return f'{folder}: {what} (`qkd-gs repair` makes it whole)'
