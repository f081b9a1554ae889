"""COUNTS.json of `qkd-gs key-length`: read and checked, with errors that name file and key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from qkd_gs.errors import StationError
from qkd_gs.qkd.finite_key.counts import BasisCounts, Intensities, KeyCounts, Receiver, SourceTolerance
from qkd_gs.qkd.finite_key.key_length import KeyLength, Overhead, key_length
from qkd_gs.settings.loader import Section


class BothBases(Section):
    """Counts by basis."""

    hv: BasisCounts
    da: BasisCounts


class CountsFile(Section):
    """The whole of COUNTS.json."""

    intensities: Intensities
    bases: BothBases
    tolerance: SourceTolerance = SourceTolerance()
    receiver: Receiver | None = None
    analysis: Literal['joint', 'sampling', 'rooted', 'additive'] | None = Field(
        default=None, description='of the finite statistics; joint with epsilon_total if not given'
    )
    pooled: bool = False
    epsilon_per_bound: float | None = Field(default=None, gt=0, lt=0.5)
    epsilon_total: float | None = Field(default=None, gt=0, lt=0.5)
    f_ec: float | None = Field(default=None, ge=1, lt=10)
    disclosed_bits: int | None = Field(default=None, ge=0)
    verification_bits: int = Field(default=0, ge=0, le=4096, description='disclosed by the hash that compares keys')
    verification_epsilon: float = Field(default=0.0, ge=0, lt=0.5)
    authentication_bits: int = Field(default=0, ge=0, le=1_000_000, description='pre-shared key used by tags')
    authentication_epsilon: float = Field(default=0.0, ge=0, lt=0.5)

    @model_validator(mode='after')
    def _one_of_each(self) -> Self:
        if (self.epsilon_per_bound is None) == (self.epsilon_total is None):
            raise ValueError('exactly one of epsilon_per_bound and epsilon_total must be given')
        if (self.f_ec is None) == (self.disclosed_bits is None):
            raise ValueError('exactly one of f_ec and disclosed_bits must be given')
        return self

    @property
    def counts(self) -> KeyCounts:
        """The counts without the settings."""
        return KeyCounts(
            intensities=self.intensities,
            tolerance=self.tolerance,
            receiver=self.receiver,
            hv=self.bases.hv,
            da=self.bases.da,
        )

    def evaluate(self) -> KeyLength:
        """Key length with the settings of the file."""
        return key_length(
            self.counts,
            analysis=self.analysis,
            pooled=self.pooled,
            epsilon_per_bound=self.epsilon_per_bound,
            epsilon_total=self.epsilon_total,
            f_ec=self.f_ec,
            disclosed_bits=self.disclosed_bits,
            overhead=Overhead(
                verification_bits=self.verification_bits,
                verification_epsilon=self.verification_epsilon,
                authentication_bits=self.authentication_bits,
                authentication_epsilon=self.authentication_epsilon,
            ),
        )


def load_counts(path: str | Path) -> CountsFile:
    """Read COUNTS.json.

    Raises
    ------
    StationError
        The file is unreadable or not JSON, a key is repeated, missing or unknown, or a value is out of range.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding='utf-8'), object_pairs_hook=_no_key_twice)
    except json.JSONDecodeError as error:
        raise StationError(f'not JSON: {error.msg}', where=f'{path}:{error.lineno}') from error
    except (OSError, UnicodeDecodeError) as error:
        raise StationError(f'cannot be read: {error}', where=path) from error
    except ValueError as error:
        raise StationError(str(error), where=path) from error
    except RecursionError as error:
        raise StationError('is nested too deeply to be counts', where=path) from error
    return checked_counts(data, path)


def checked_counts(document: object, where: str | Path) -> CountsFile:
    """Counts and settings from a mapping of the form of COUNTS.json; `where` stands in front of a complaint.

    Raises
    ------
    StationError
        A key missing or unknown, or a value out of its range.
    """
    try:
        return CountsFile.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = '.'.join(str(part) for part in first['loc']) or 'the whole document'
        raise StationError(f'{key}: {first["msg"]}', where=where) from error


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f'{key} is given twice')
        found[key] = value
    return found
