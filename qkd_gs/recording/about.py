"""Description of the pass in a bag, stored in the bag itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from qkd_gs import __version__

RECORD = 'qkd_gs'  # name of the MCAP metadata record that carries it
_NO_KEY = 'none: detector streams and keys are never published'


@dataclass(frozen=True)
class About:
    """Description of the pass in a bag.

    Attributes
    ----------
    session_id : str
        32 hexadecimal digits, as in session.json.
    namespace : str
        Namespace of the station's topics: ``'/'``, or ``'/NAME/'``.
    simulated : bool
        The devices were simulated.
    software : str
        Software that recorded it.
    """

    session_id: str
    satellite: str
    site: str
    simulated: bool
    namespace: str = '/'
    software: str = f'qkd_gs {__version__}'

    def to_strings(self) -> dict[str, str]:
        """As text, for the metadata of the bag."""
        strings = {name: str(value) for name, value in asdict(self).items()}
        return strings | {'simulated': 'true' if self.simulated else 'false', 'key_material': _NO_KEY}

    @classmethod
    def from_strings(cls, strings: Mapping[str, str]) -> About | None:
        """From the metadata of a bag; None if it is not a recording of this software."""
        names = {item.name for item in fields(cls)}
        if not names <= set(strings) or strings['simulated'] not in ('true', 'false'):
            return None
        values = {name: strings[name] for name in names - {'simulated'}}
        return cls(simulated=strings['simulated'] == 'true', **values)
