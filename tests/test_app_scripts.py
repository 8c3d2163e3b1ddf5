import re
from pathlib import Path

import pytest

from app import player
from app.scripts import bundle, texts

APP = Path(player.__file__).parents[1]
COMPONENTS = sorted(
    path.with_suffix("") for path in APP.rglob("*.html") if path.with_suffix(".js").exists() and path.stem != "document"
)
MODULES = sorted(APP.rglob("*.js"))
PLAYER = APP / "player/player"


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


def test_a_component_begins_with_the_style_of_all_and_may_have_none_of_its_own(tmp_path):
    (tmp_path / "one.html").write_text("<i></i>")
    (tmp_path / "one.js").write_text("export default () => 1;\n")
    plain = texts(tmp_path / "one")
    assert plain == ("<i></i>", (APP / "js/base.css").read_text("utf-8"), "export default () => 1;\n")
    (tmp_path / "two.html").write_text("<i></i>")
    (tmp_path / "two.js").write_text("export default () => 2;\n")
    (tmp_path / "two.css").write_text("i { color: red; }")
    assert texts(tmp_path / "two").css == plain.css + "i { color: red; }"


def test_every_module_is_in_a_script_and_says_what_it_is_for():
    scripts = [texts(files).js for files in COMPONENTS]
    for path in MODULES:
        first_line = path.read_text("utf-8").partition("\n")[0]
        assert first_line.startswith("// "), f"{path.name} says what it is for"
        if path.name != "document.js":
            assert any(script.count(first_line) == 1 for script in scripts), path.name


@pytest.mark.parametrize("files", COMPONENTS, ids=lambda files: files.name)
def test_no_import_is_left_and_one_default_export(files):
    (left,) = re.findall(r"^(?:import|export)\b.*", texts(files).js, re.MULTILINE)
    assert re.match(r"export default function mount\(\{ .*\bparentElement\b", left)


@pytest.mark.parametrize("files", COMPONENTS, ids=lambda files: files.name)
def test_top_level_names_differ_between_modules(files):
    names = re.findall(r"^(?:export )?(?:async )?(?:const|let|function|class) (\w+)", texts(files).js, re.MULTILINE)
    assert len(names) > 1
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_imported_names_are_exported_there(path):
    for names, module in re.findall(r'^import \{([^}]*)\} from "([^"]+)";', path.read_text("utf-8"), re.MULTILINE):
        text = (path.parent / module).read_text("utf-8")
        for name in names.split(","):
            assert re.search(rf"^export (?:async )?(?:const|function|class) {name.strip()}\b", text, re.MULTILINE)


@pytest.mark.parametrize("forbidden", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("])
def test_nothing_turns_text_into_markup(forbidden):
    for path in MODULES:
        assert forbidden not in path.read_text("utf-8"), path.name


def test_markup_has_what_the_script_looks_for():
    html, _, script = texts(PLAYER)
    asked = set(re.findall(r'\[data-(act|set)="(\w+)"\]', script))
    assert len(asked) >= 8
    for kind, name in asked:
        assert f'data-{kind}="{name}"' in html
    for name in re.findall(r'(?:querySelector|find)\("\.(\w+)', script):
        assert re.search(rf'class="[^"]*\b{name}\b', html), name
