import re
from pathlib import Path

import pytest

from app.player import sources
from app.scripts import bundle

MODULES = sorted(Path(sources.__file__).parent.rglob("*.js"))


def test_modules_come_once_each_and_after_what_they_import(tmp_path):
    (tmp_path / "js").mkdir()
    (tmp_path / "js/a.js").write_text("export const a = 1;\n")
    (tmp_path / "js/b.js").write_text('import { a } from "./a.js";\nexport function b() { return a; }\n')
    entry = tmp_path / "entry.js"
    entry.write_text('import { a } from "./js/a.js";\nimport { b } from "./js/b.js";\nexport default () => a + b();\n')
    assert bundle(entry).split("\n") == [
        *("const a = 1;", ""),
        *("function b() { return a; }", ""),
        *("export default () => a + b();", ""),
    ]


def test_modules_that_import_one_another_come_once(tmp_path):
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\nexport const a = () => b;\n')
    (tmp_path / "b.js").write_text('import { a } from "./a.js";\nexport const b = () => a;\n')
    assert bundle(tmp_path / "a.js").count("const a") == 1


def test_every_module_is_in_the_script():
    script = sources.player_js()
    for path in MODULES:
        first_line = path.read_text("utf-8").partition("\n")[0]
        assert first_line.startswith("// "), f"{path.name} says what it is for"
        assert script.count(first_line) == 1


def test_no_import_is_left_and_one_default_export():
    script = sources.player_js()
    assert re.findall(r"^(?:import|export)\b.*", script, re.MULTILINE) == [
        "export default function mount({ data, parentElement, setStateValue }) {"
    ]


def test_top_level_names_differ_between_modules():
    names = re.findall(r"^(?:async )?(?:const|let|function|class) (\w+)", sources.player_js(), re.MULTILINE)
    assert len(names) > 40
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_imported_names_are_exported_there(path):
    for names, module in re.findall(r'^import \{([^}]*)\} from "([^"]+)";', path.read_text("utf-8"), re.MULTILINE):
        text = (path.parent / module).read_text("utf-8")
        for name in names.split(","):
            assert re.search(rf"^export (?:async )?(?:const|function|class) {name.strip()}\b", text, re.MULTILINE)


@pytest.mark.parametrize("forbidden", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("])
def test_nothing_turns_text_into_markup(forbidden):
    assert forbidden not in sources.player_js()


def test_markup_has_what_the_script_looks_for():
    html = sources.player_html()
    asked = set(re.findall(r'\[data-(act|set)="(\w+)"\]', sources.player_js()))
    assert len(asked) >= 8
    for kind, name in asked:
        assert f'data-{kind}="{name}"' in html
    for name in re.findall(r'(?:querySelector|find)\("\.(\w+)', sources.player_js()):
        assert re.search(rf'class="[^"]*\b{name}\b', html), name
