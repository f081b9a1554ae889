"""Summary of a bag: topics, counts, times; and the metadata.yaml of rosbag2 version 9."""

from __future__ import annotations

import filecmp
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from rosbags.interfaces import Qos
from rosbags.rosbag2.errors import ReaderError
from rosbags.rosbag2.metadata import dump_qos_v9, parse_qos

from qkd_gs.errors import StationError
from qkd_gs.recording.scan import PACKED
from qkd_gs.session.atomic_file import replace_file
from qkd_gs.settings.loader import SAFE_LOADER

METADATA = 'metadata.yaml'
QOS_KEY, HASH_KEY = 'offered_qos_profiles', 'topic_type_hash'  # rosbag2's names in a channel's metadata
_VERSION = 9
_DUMPER = getattr(yaml, 'CSafeDumper', yaml.SafeDumper)  # as `SAFE_LOADER`
_NEVER_NS = 2**63 - 1


@dataclass(frozen=True)
class Topic:
    """A topic of a bag."""

    name: str  # absolute
    type: str  # 'package/msg/Type'
    digest: str  # type description hash
    qos: tuple[Qos, ...] = ()  # offered by its publishers, each kind once

    def channel_metadata(self) -> dict[str, str]:
        """Metadata of the MCAP channel, as rosbag2 writes them."""
        return {QOS_KEY: qos_text(self.qos), HASH_KEY: self.digest}


@dataclass
class FileSummary:
    """Summary of one file of a bag."""

    path: Path
    topics: dict[str, Topic] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    start_ns: int = _NEVER_NS
    end_ns: int = 0

    @property
    def messages(self) -> int:
        """Number of messages."""
        return sum(self.counts.values())

    @property
    def duration_ns(self) -> int:
        """From the first message to the last."""
        return max(0, self.end_ns - self.start_ns)

    def add_topic(self, topic: Topic) -> None:
        """Add a topic without messages."""
        self.topics[topic.name] = topic
        self.counts.setdefault(topic.name, 0)

    def count(self, name: str, t_ns: int) -> None:
        """Count one message."""
        self.counts[name] += 1
        self.start_ns, self.end_ns = min(self.start_ns, t_ns), max(self.end_ns, t_ns)


def yaml_text(document: Any) -> str:
    """A document as YAML, in the order of its keys."""
    text: str = yaml.dump(document, Dumper=_DUMPER, sort_keys=False)
    return text


def qos_text(profiles: Sequence[Qos]) -> str:
    """QoS profiles as text; equal profiles give equal text."""
    return yaml_text(dump_qos_v9(list(profiles))).strip() if profiles else ''


@cache  # a bag has few different ones, and YAML is slow
def qos_of(text: str) -> tuple[Qos, ...]:
    """QoS profiles from text; none if it is damaged."""
    try:
        return tuple(parse_qos(text))
    except (ReaderError, KeyError, TypeError, AttributeError, ValueError):
        return ()


def bag_information(files: Iterable[FileSummary], custom_data: Mapping[str, str]) -> dict[str, Any]:
    """Content of ``rosbag2_bagfile_information``."""
    files = list(files)
    total = FileSummary(Path())
    for file in files:
        for topic in file.topics.values():
            total.add_topic(topic)
            total.counts[topic.name] += file.counts[topic.name]
        total.start_ns, total.end_ns = min(total.start_ns, file.start_ns), max(total.end_ns, file.end_ns)
    return {
        'version': _VERSION,
        'storage_identifier': 'mcap',
        **_span(total),
        'topics_with_message_count': [
            {'topic_metadata': _topic_metadata(topic), 'message_count': total.counts[topic.name]}
            for topic in total.topics.values()
        ],
        'compression_format': '',  # rosbag2's own; the compression of MCAP is in its chunks
        'compression_mode': '',
        'relative_file_paths': [file.path.name for file in files],
        'files': [{'path': file.path.name, **_span(file)} for file in files],
        'custom_data': dict(custom_data) or None,
        'ros_distro': 'jazzy',
    }


def write_metadata(folder: Path, files: Iterable[FileSummary], custom_data: Mapping[str, str]) -> None:
    """Write metadata.yaml atomically."""
    document = {'rosbag2_bagfile_information': bag_information(files, custom_data)}
    replace_file(folder / METADATA, yaml_text(document))


def listed_files(folder: Path) -> list[str] | None:
    """Files listed in metadata.yaml; None if it is missing or damaged."""
    found = _information(folder).get('relative_file_paths')
    return [Path(str(name)).name for name in found] if isinstance(found, list) else None


def missing_files(folder: Path) -> list[str]:
    """Files that metadata.yaml lists and that are not there."""
    return [name for name in listed_files(folder) or [] if not (folder / name).exists()]


def refuse_packed_messages(folder: Path) -> None:
    """Refuse a bag whose messages rosbag2 has compressed one by one.

    Raises
    ------
    StationError
    """
    if str(_information(folder).get('compression_mode', '')).lower() == 'message':
        raise StationError(
            'has compressed each message by itself, which is not read here', where=folder,
            hint='`ros2 bag convert` writes one that is',
        )  # fmt: skip


def _information(folder: Path) -> dict[str, Any]:
    """Content of metadata.yaml; empty if it is missing or damaged."""
    try:
        document = yaml.load((folder / METADATA).read_text(encoding='utf-8'), Loader=SAFE_LOADER)
        found = document['rosbag2_bagfile_information']
    except (OSError, yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, RecursionError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def files_of(folder: Path) -> list[Path]:
    """The files of a bag in the order in which they were recorded."""
    found = [path for pattern in ('*.mcap', f'*.mcap{PACKED}') for path in folder.glob(pattern)]
    return sorted(found, key=lambda path: (number_of(path), path.name))


def copies_among(files: Sequence[Path]) -> list[Path]:
    """Files with the same content as one before them, and packed files beside the same unpacked one."""
    copies = [path for path in files if path.suffix == PACKED and path.with_suffix('') in files]
    sizes: dict[int, list[Path]] = {}
    for path in files:
        alike = sizes.setdefault(path.stat().st_size, [])
        if any(filecmp.cmp(path, other, shallow=False) for other in alike):
            copies.append(path)
        alike.append(path)
    return copies


def number_of(path: Path) -> int:
    """NUMBER of bag_NUMBER.mcap, 0 for any other name."""
    number = path.name.removesuffix(PACKED).removesuffix('.mcap').rpartition('_')[2]
    return int(number) if number.isascii() and number.isdigit() else 0


def _span(file: FileSummary) -> dict[str, Any]:
    return {
        'starting_time': {'nanoseconds_since_epoch': file.start_ns if file.messages else 0},
        'duration': {'nanoseconds': file.duration_ns if file.messages else 0},
        'message_count': file.messages,
    }


def _topic_metadata(topic: Topic) -> dict[str, Any]:
    return {
        'name': topic.name,
        'type': topic.type,
        'serialization_format': 'cdr',
        'offered_qos_profiles': dump_qos_v9(list(topic.qos)),
        'type_description_hash': topic.digest,
    }
