from pathlib import Path

import pytest

from service.api import page
from tests.javascript import problems_of

PAGE = Path(page.__path__[0])
SCRIPTS = sorted(PAGE.rglob("*.js"))


def test_the_playgrounds_scripts_parse_and_import_only_what_others_export() -> None:
    assert PAGE / "js" / "main.js" in SCRIPTS
    assert problems_of(SCRIPTS) == []


def test_the_playground_has_no_inline_scripts() -> None:
    assert [line.strip() for line in (PAGE / "index.html").read_text().splitlines() if "<script" in line] == [
        '<script type="module" src="web/js/main.js"></script>'
    ]


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ("export function sent() {\n  return 1;\n}}\n", ":3: Unexpected token '}'"),
        ("const sent = 1;\nexport { sent };\nlet sent;\n", ":3: Identifier 'sent' has already been declared"),
        ("export const send = 1;\n", ": The requested module './broken.js' does not provide an export named 'sent'"),
    ],
)
def test_a_broken_script_is_named_by_file_and_line(broken: str, line: str, tmp_path: Path) -> None:
    main, other = tmp_path / "main.js", tmp_path / "broken.js"
    main.write_text('import { sent } from "./broken.js";\nsent();\n')
    other.write_text(broken)

    [problem] = problems_of([main, other])

    assert problem == f"{main if 'export named' in line else other}{line}"
