"""The auditor stays small enough to be read in an hour, which is what makes it worth something."""

import ast
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 600
SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def lines_of_code(path):
    """Lines that hold code: no blank lines, comments and docstrings."""
    with path.open('rb') as file:
        tokens = [token for token in tokenize.tokenize(file.readline) if token.type not in SILENT | {tokenize.ENCODING}]
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


def test_blank_lines_comments_and_docstrings_are_no_code(tmp_path):
    path = tmp_path / 'module.py'
    text = '"""Two\nlines."""\n\nA = (  # one\n    1,\n)\n\n\ndef f():\n    """Nothing."""\n    # why\n    return A\n'
    path.write_text(text)
    assert lines_of_code(path) == 5


def test_the_auditor_is_small():
    sizes = {path.name: lines_of_code(path) for path in (ROOT / 'qkd_gs/audit').glob('*.py')}
    assert len(sizes) > 5
    assert sum(sizes.values()) < LIMIT, sizes
