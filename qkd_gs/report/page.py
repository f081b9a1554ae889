"""Write report.html: everything about a session on one page that needs nothing else."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from qkd_gs.errors import StationError
from qkd_gs.monitoring.plain import plain_result
from qkd_gs.pointing import pointing_file
from qkd_gs.pointing.pointing_file import load_pointing
from qkd_gs.report.count_figures import clock_residual, count_rates, error_rate
from qkd_gs.report.key_figures import waterfall
from qkd_gs.report.link_figures import calibration_stars, link_efficiency
from qkd_gs.report.paper import CITATION
from qkd_gs.report.pass_figures import acquisition, polarization, sky_track
from qkd_gs.report.result_tables import counts_table, forecast_table, joined_table, losses_table, scenario_row
from qkd_gs.report.style import RED, house_style, svg_of
from qkd_gs.report.tables import (
    Table,
    Tile,
    bounds_table,
    comparison,
    ledger_table,
    length_table,
    pass_table,
    processing_table,
    tiles,
)
from qkd_gs.report.text import MINUS
from qkd_gs.report.tracking_bands import bands_table, spectrum
from qkd_gs.report.tracking_figures import spot_offset, spot_scatter, tracking_error
from qkd_gs.report.view import Maker, Plot, SessionView, number
from qkd_gs.session import telemetry as telemetry_file
from qkd_gs.session.atomic_file import replace_file
from qkd_gs.session.manifest import load_manifest
from qkd_gs.session.telemetry import Telemetry, load_telemetry

REPORT_NAME, FIGURES_FOLDER = 'report.html', 'figures'
_TEMPLATE = 'report.html.j2'

_CHAPTERS: tuple[tuple[str, tuple[Maker, ...]], ...] = (
    ('Pass', (sky_track,)),
    ('Calibration', (calibration_stars,)),
    ('Acquisition and tracking', (acquisition, tracking_error, spot_offset, spot_scatter, spectrum)),
    ('Polarization', (polarization,)),
    ('Photons and clock', (count_rates, link_efficiency, error_rate, clock_residual)),
    ('Key', (waterfall,)),
)


@dataclass(frozen=True)
class Picture:
    """A figure as the template needs it."""

    title: str
    caption: str
    alt: str
    square: bool
    base64: str
    width: int
    height: int


@dataclass
class Section:
    """A chapter of the page."""

    title: str
    plots: list[Picture] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    tables_before: list[Table] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """All that the template shows."""

    title: str
    subtitle: str
    simulated: bool
    notes: list[str]
    plain: str  # the pass in everyday words
    tiles: list[Tile]
    sections: list[Section]
    foot: str


def write_report(session_dir: Path) -> Path:
    """Write report.html and the figures beside it (figures/NAME.svg) into a session's folder.

    Returns
    -------
    Path
        Of report.html.

    Raises
    ------
    StationError
        Not a session, its manifest or telemetry damaged, or the folder not writable.
    """
    manifest = load_manifest(session_dir)
    recorded = (session_dir / telemetry_file.FILE_NAME).exists()
    pointing = load_pointing(session_dir) if (session_dir / pointing_file.FILE_NAME).exists() else None
    view = SessionView(manifest, load_telemetry(session_dir) if recorded else Telemetry(), pointing)
    try:
        (session_dir / FIGURES_FOLDER).mkdir(exist_ok=True)
        sections = _sections(view, session_dir / FIGURES_FOLDER)
        page = _page(view, sections, recorded)
        templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        target = session_dir / REPORT_NAME
        replace_file(target, templates.get_template(_TEMPLATE).render(page=page).encode())
    except OSError as error:
        raise StationError(f'the report cannot be written: {error}', where=session_dir) from error
    return target


def _sections(view: SessionView, folder: Path) -> list[Section]:
    sections = []
    for title, makers in _CHAPTERS:
        section = Section(title)
        for make in makers:
            with house_style():
                plot = make(view)
                if plot is None:
                    continue
                if view.manifest.simulated:  # a figure leaves the page now and then
                    plot.figure.suptitle('SIMULATED', x=0.995, color=RED, fontsize=6, ha='right')
                section.plots.append(_picture(plot, folder))
        sections.append(section)
    by_title = {section.title: section for section in sections}
    by_title['Pass'].tables_before.append(pass_table(view))
    tracked = by_title['Acquisition and tracking']
    tracked.tables += [table for each in (bands_table, losses_table) if (table := each(view)) is not None]
    key = by_title['Key']
    if view.processed:
        key.texts += _key_texts(view)
        if not key.plots and not view.key.get('cost'):
            key.texts.append('What each step cost was not recorded.')
        tabulate = (forecast_table, counts_table, length_table, processing_table, bounds_table, ledger_table)
        key.tables += [table for each in tabulate if (table := each(view)) is not None]
    else:
        key.texts.append('The session has not been processed: there is no key yet.')
    joined = view.joined
    if joined is not None:
        of_a_key = (length_table, processing_table, bounds_table, ledger_table)
        tables = [joined_table(joined), *(table for each in of_a_key if (table := each(joined)) is not None)]
        text = 'The sifted bits of this pass and of others were kept, and made into one key.'
        sections.append(Section('Key of several passes', texts=[text], tables=tables))
    beside = Section('Beside the paper', tables=[comparison(view)])
    beside.texts.append(f'Published figures: {CITATION}, Fig. 5 and Table 1. A dash: not published.')
    return [s for s in sections if s.plots or s.tables or s.texts or s.tables_before] + [beside, _provenance(view)]


def _picture(plot: Plot, folder: Path) -> Picture:
    svg = svg_of(plot.figure)
    replace_file(folder / f'{plot.name}.svg', svg)
    width, height = (round(96 * inches) for inches in plot.figure.get_size_inches())
    return Picture(plot.title, plot.caption, plot.alt, plot.square, b64encode(svg).decode(), width, height)


def _key_texts(view: SessionView) -> list[str]:
    key, texts = view.key, []
    if key.get('verified') is True:
        texts.append('Both sides compared hashes of their corrected keys, and they agreed.')
    if key.get('verified') is False:
        texts.append('The corrected keys of both sides were not shown to be equal: there is no key.')
    reasons = key.get('reasons') or ([key['reason']] if key.get('reason') else [])
    texts += [f'Said by the processing: {reason}.' for reason in reasons if isinstance(reason, str)]
    return texts


def _bench_link(delay_s: float) -> tuple[str, str]:
    return 'Link', f'bench or fibre, {delay_s:g} s one way'


def _provenance(view: SessionView) -> Section:
    m = view.manifest
    rows = [
        ('Session', m.session_id),
        ('Created', m.created_utc),
        ('Software', m.software),
        ('Orbit', f'{m.elements_used} (file {m.elements_file})') if m.delay_s is None else _bench_link(m.delay_s),
        ('As tracked', f'{m.time_bias_s:+.3f} s along the orbit, {m.cross_track_m:+.0f} m across'.replace('-', MINUS)),
        *_runs_of_the_tdc(view),
        scenario_row(view),
        ('Locked', ', '.join(f'{_utc(s.start_ns)[11:]} – {_utc(s.end_ns)[11:]}' for s in m.locked) or 'never'),
    ]
    if m.seed is not None:
        rows.append(('Seed of the simulation', str(m.seed)))
    factor = number(m.run, 'real_time_factor')
    if factor is not None:
        rows.append(('Speed of the simulation', f'{factor:.1f} times real time'))
    return Section('Where this comes from', tables_before=[Table(('', ''), rows)])


def _runs_of_the_tdc(view: SessionView) -> list[tuple[str, str]]:
    """A row for each; a session that has not been processed does not tell."""
    rows = []
    for run in view.timing.get('runs', []):
        what = f'started {(run["started"] or "at an unknown time")[:19].replace("T", " ")}, {run["tags"]:,} tags'
        if run['cut_short']:
            what += ', cut off'
        if run['unused']:
            what += f'; not used: {run["unused"]}'
        rows.append((f'TDC run ({run["file"]})', what))
    return rows


def _page(view: SessionView, sections: list[Section], recorded: bool) -> Page:
    m = view.manifest
    notes = []
    if m.simulated:
        notes.append(
            'Simulated: satellite, atmosphere, telescope and photons of this session were computed. Its key comes from '
            'a published seed and protects nothing.'
        )
    if not m.closed:
        notes.append('The recording of this pass was cut off: what follows ends before the pass did.')
    if not view.processed:
        notes.append('Not processed yet: error rate, clock and key are missing. Run “qkd-gs process” on this session.')
    if not recorded:
        notes.append('This session has no telemetry: figures against time are missing.')
    highest = number(m.pass_info, 'max_elevation_deg')
    height = f', highest {highest:.1f}°' if highest is not None else ''
    return Page(
        title=f'{m.satellite} over {m.place}',
        subtitle=f'Culmination {_utc(m.culmination_ns)} UTC{height}',
        simulated=m.simulated,
        notes=notes,
        plain=' '.join(plain_result(m.model_dump())) if view.processed else '',
        tiles=[tile for tile in tiles(view) if any(c.isdigit() for c in tile.value)],
        sections=sections,
        foot=f'{m.software} · session {m.session_id} · all times UTC · this page needs no other file'
        + (' · SIMULATED' if m.simulated else ''),
    )


def _utc(t_ns: int) -> str:
    return datetime.fromtimestamp(t_ns / 1e9, UTC).strftime('%Y-%m-%d %H:%M:%S')
