"""The package's own names: loaded when they are used, and not before."""

import subprocess
import sys

import pytest

import tokenlearner
from tests.engine_cases import tiny_model, write_photo
from tokenlearner.engine import Engine
from tokenlearner.weights import save_checkpoint


def loaded_after(statement, repository):
    """Which of the heavy modules a fresh interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print(*sorted({{'torch', 'timm', 'av', 'cv2', 'numpy'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_the_package_loads_nothing_heavy(repository):
    assert loaded_after("import tokenlearner; tokenlearner.__version__", repository) == []


def test_a_name_is_loaded_when_it_is_used(repository):
    assert loaded_after("import tokenlearner; tokenlearner.ModelConfig", repository) == []
    assert "torch" in loaded_after("from tokenlearner import Engine", repository)


@pytest.mark.parametrize("name", tokenlearner.__all__)
def test_every_name_is_there(name):
    assert getattr(tokenlearner, name).__module__.startswith("tokenlearner.")
    assert name in dir(tokenlearner)


def test_the_names_that_tools_see_are_those_that_exist():
    assert set(tokenlearner._HOMES) == set(tokenlearner.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        tokenlearner.analyse  # noqa: B018


def test_one_call_analyses_a_file(tmp_path):
    loaded = tiny_model()
    save_checkpoint(tmp_path / "tiny.safetensors", loaded.model, loaded.card)
    photo = write_photo(tmp_path / "photo.png")
    found = tokenlearner.analyze(photo, model=tmp_path / "tiny.safetensors", device="cpu", num_tokens=2)
    assert found.token_maps.shape[:2] == (1, 2)
    assert found.token_maps == pytest.approx(
        Engine(tokenlearner.load_model(tmp_path / "tiny.safetensors"), device="cpu")
        .analyze(photo, tokenlearner.AnalysisSettings(num_tokens=2))
        .token_maps
    )


def test_one_call_uses_the_bundled_model_by_default(tmp_path):
    found = tokenlearner.analyze(write_photo(tmp_path / "photo.png"), device="cpu")
    assert found.provenance.trained
    assert found.provenance.model_name in {listed.card.name for listed in tokenlearner.list_models()}


def test_without_any_model_the_default_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr("tokenlearner.engine.shortcut.list_models", lambda: ())
    with pytest.raises(tokenlearner.TokenLearnerError, match="No model is installed"):
        tokenlearner.analyze("photo.png")
