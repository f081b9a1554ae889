"""A row of the table of attacks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qkd_gs.errors import DeviceFault, StationError


@dataclass(frozen=True)
class Row:
    """Outcome of an attack.

    Attributes
    ----------
    attack : str
    eve : str
        Part that she knows of what she wants to know.
    qber : float or None
        None where the run ended before it is known.
    certified_bits : int
        Of the key that was made in spite of her.
    stopped_by : str
        Reason why the run ended, or the cost of the attack.
    held : bool
        False: the attack succeeded.
    """

    attack: str
    eve: str
    qber: float | None
    certified_bits: int
    stopped_by: str
    held: bool

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Attack:
    """An attack that can be carried out.

    Attributes
    ----------
    name, eve : str
    run : callable
        Carries it out in an empty folder, and returns a row, or raises what stops it.
    """

    name: str
    eve: str
    run: Callable[[Path, str, str], Row]

    def row(self) -> Row:
        """Carry it out in a folder of its own."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                return self.run(Path(folder), self.name, self.eve)
            except (StationError, DeviceFault) as fault:
                what = fault.what if isinstance(fault, StationError) else str(fault)
                return Row(self.name, self.eve, None, 0, what.split(': no key is made')[0][:200], True)
