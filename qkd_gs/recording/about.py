"""What a bag says of the pass in it, for whoever finds the bag alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from qkd_gs import __version__

RECORD = 'qkd_gs'  # name of the MCAP metadata record that carries it
_NO_KEY = 'none: detector streams and keys are never on a topic'


@dataclass(frozen=True)
class About:
    """The pass in a bag.

    Attributes
    ----------
    session_id : str
        32 hexadecimal digits, as in session.json.
    namespace : str
        Of the station's topics: ``'/'``, or ``'/NAME/'``.
    simulated : bool
        Light and counts come from the twin.
    software : str
        What recorded it.
    """

    session_id: str
    satellite: str
    site: str
    simulated: bool
    namespace: str = '/'
    software: str = f'qkd_gs {__version__}'

    def to_strings(self) -> dict[str, str]:
        """For the metadata of the bag, which knows text only."""
        told = {name: str(value) for name, value in asdict(self).items()}
        return told | {'simulated': 'true' if self.simulated else 'false', 'key_material': _NO_KEY}

    @classmethod
    def from_strings(cls, told: Mapping[str, str]) -> About | None:
        """Back from the metadata of a bag; None if it is not a recording of this station's."""
        names = {item.name for item in fields(cls)}
        if not names <= set(told) or told['simulated'] not in ('true', 'false'):
            return None
        values = {name: told[name] for name in names - {'simulated'}}
        return cls(simulated=told['simulated'] == 'true', **values)
