"""The README's programs run as they are printed."""

import re
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parent.parent / "README.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_programs_run_as_printed(program, capsys):
    names: dict[str, Any] = {}
    exec(compile(program, README.name, "exec"), names)
    for name, value in list(names.items()):
        if name.startswith("test_"):
            value()
    if "print(fpk.compare" in program:
        printed = re.search(r"```text\n(.*?)\n  \.\.\.\n```", README.read_text(encoding="utf-8"), re.DOTALL)
        assert printed
        assert capsys.readouterr().out.startswith(printed[1])
