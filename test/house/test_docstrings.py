"""A docstring says what a thing is or does, in the words of the field."""

import ast
from pathlib import Path

import qkd_gs

PACKAGE = Path(qkd_gs.__file__).parent
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
QUESTIONS = ('What', 'Who', 'Where', 'When', 'Which', 'Why', 'How')


def docstrings():
    """File and line, and first line, of every docstring of the package."""
    for path in sorted(PACKAGE.rglob('*.py')):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
                yield f'{path.relative_to(PACKAGE)}:{getattr(node, "lineno", 1)}', text.splitlines()[0]


def test_no_docstring_only_hints_at_a_thing():
    """'What a run works with' is a riddle: 'Resources of a run' is not."""
    assert not [place for place, first in docstrings() if first.split()[0] in QUESTIONS]
