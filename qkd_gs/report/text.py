"""Numbers as text: thin spaces between thousands, a true minus, a dash for what is not known."""

from __future__ import annotations

MINUS, NONE, THIN, HARD = '−', '–', '\u2009', '\u00a0'  # HARD: a space at which no line breaks


def shown(value: float | None, digits: int, factor: float = 1.0) -> str:
    """A figure with so many decimals; a dash if there is none."""
    if value is None:
        return NONE
    return f'{value * factor:,.{digits}f}'.replace(',', THIN).replace('-', MINUS)


def signed(value: float, digits: int = 0) -> str:
    """A change, with its sign."""
    text = shown(value, digits)
    return f'+{text}' if value > 0 else text


def scientific(value: float | None) -> str:
    """A small probability."""
    return NONE if value is None else f'{value:.2g}'.replace('-', MINUS)


def general(value: float | None) -> str:
    """Any number, four significant digits."""
    if value is None:
        return NONE
    if value and abs(value) < 1e-3:
        return f'{value:.3e}'.replace('-', MINUS)
    return shown(value, 0) if abs(value) >= 1000 else f'{value:.4g}'.replace('-', MINUS)
