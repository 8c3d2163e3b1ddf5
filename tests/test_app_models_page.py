"""The Models page, driven without a browser: its numbers are those of the card and of the command line."""

import dataclasses
import io
import json
import shlex
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from app.brought import BROUGHT, BroughtModels
from app.explore import model_choice
from app.jobs import JobState, Worker
from app.models import ModelChoice, from_listed, measured_accuracies
from app.models_page import around, coming, facts, heat, scenic_fields
from app.models_page import main as models_page
from app.text import millions, operations
from tests.app_cases import LIMIT_S, save_tiny_model
from tests.app_pages import app_page, button
from tests.brought_cases import SMALL_VIT, scenic_file
from tests.engine_cases import TINY, VIDEO, tiny_model
from tests.scenic_cases import Spec, model_params, write_flax
from tests.timm_cases import tiny_timm
from tokenlearner import cards, flops
from tokenlearner.cards import ListedModel, read_card
from tokenlearner.cli import _parse, import_, main
from tokenlearner.cli.timm_network import asked_network
from tokenlearner.config import TokenLearnerConfig
from tokenlearner.data.photos import Photos
from tokenlearner.engine import pick_device
from tokenlearner.errors import ConfigError
from tokenlearner.scenic import ScenicOptions
from tokenlearner.timm_backbone import timm_config
from tokenlearner.training.distill import Distiller, DistillSettings
from tokenlearner.training.distill_export import export_student
from tokenlearner.weights import list_models, save_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")

EVALUATION = {
    "evaluation": {
        "conditions": {"photographs": 200, "part": "validation part"},
        "choices": [
            {"loc": None, "num_tokens": 0, "top1": 0.62},
            {"loc": 1, "num_tokens": 2, "top1": 0.551, "entropy": 0.71, "overlap": 0.2},
            {"loc": 1, "num_tokens": 6, "top1": 0.587, "entropy": 0.75, "overlap": 0.3},
            {"loc": 3, "num_tokens": 6, "top1": 0.604, "entropy": 0.8, "overlap": None},
        ],
        "objects placed": [
            {
                "loc": 1,
                "num_tokens": 6,
                "pictures": 30,
                "kept": 0.1,
                "centre_prior": 0.2,
                "mean_map": 0.15,
                "uniform": 0.1,
            },
        ],
        "video": [
            {"loc": 1, "num_tokens": 6, "frames": 40, "kept": 0.5, "centre_prior": 0.2, "random_weights": 0.1},
        ],
    },
    "training": [
        {"epoch": 0, "loss total": 3.0, "top1 none": 0.2, "entropy 1": 0.9},
        {"epoch": 1, "loss total": 2.0, "top1 none": 0.3, "entropy 1": None},
    ],
}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    save_tiny_model(folder, "other")
    loaded = tiny_model()
    card = dataclasses.replace(
        loaded.card,
        title="A tiny network",
        metrics=EVALUATION,
        data=(cards.DataCredit(name="Discs_1", licence="CC0", url="https://example.org"),),
        notes=("A note of the card.",),
    )
    save_checkpoint(folder / "tiny.safetensors", loaded.model, card)
    return folder


@pytest.fixture
def page(models: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The page with two tiny models, not run yet."""
    script = repository / "app" / "views" / "models.py"
    with app_page(script, models, monkeypatch, **{models_page.PICKED: "tiny"}) as at:
        yield at


def run(at: AppTest, part: str = "Overview") -> AppTest:
    at.session_state["card"] = part
    at.run()
    assert not at.exception, at.exception[0].value
    return at


def words(at: AppTest) -> str:
    found = (*at.markdown, *at.caption, *at.subheader, *at.info, *at.warning, *at.error)
    return "\n".join(element.value for element in found).replace("\\", "")


def kinds(at: AppTest) -> set[str]:
    """Kinds of elements on the page."""
    return {"image" if "mg" in element.type else element.type for element in at.main if hasattr(element, "type")}


def pages_html(at: AppTest) -> str:
    return "\n".join(element.proto.body for element in at.get("html"))


def settled(at: AppTest) -> AppTest:
    """Run the page until the model that is on its way has come or was refused."""
    for _ in range(50):
        at.run()
        assert not at.exception, at.exception[0].value
        job = at.session_state.get("model being brought", None)
        if job is None:
            return at
        assert job.wait(LIMIT_S)
    pytest.fail("the page did not settle")


def tiny(models: Path):
    path = models / "tiny.safetensors"
    return from_listed(ListedModel(read_card(path), path, path.stat().st_size, bundled=True))


def test_every_checkpoint_is_listed_and_one_card_is_shown(page):
    at = run(page)
    assert at.radio(key=models_page.PICKED).options == ["other", "tiny"]
    assert [one.value for one in at.subheader] == ["A tiny network"]
    said = words(at)
    assert "[Discs_1](https://example.org) · licence **CC0**" in said
    assert "A note of the card." in said
    assert "What is not claimed" in said


def test_the_figures_are_those_of_the_library_and_of_the_command_line(page, models, capsys):
    at = run(page)
    shown = {metric.label: metric.value for metric in at.metric}
    assert shown["Parameters"] == millions(flops.count_params(TINY))
    assert main(["flops", "--model", str(models / "tiny.safetensors"), "--json"]) == 0
    counted = json.loads(capsys.readouterr().out)
    assert str(flops.compute(TINY).total_macs) in json.dumps(counted)
    macs, unit = operations(flops.compute(TINY).total_macs, "MACs", flops.baseline(TINY).total_macs)
    assert shown[f"{unit} per image"] == macs


def test_the_table_holds_every_measured_setting(page):
    at = run(page, "Measured")
    table = pages_html(at)
    for text in ("55 %", "59 %", "60 %", "62 %", "after 1 of 5 blocks", "after 3 of 5 blocks", "plain ViT"):
        assert text in table
    assert "Measured after training on 200 pictures" in words(at)
    assert "points may be chance" in words(at)
    control = at.segmented_control[1]
    assert control.options == ["Top-1 accuracy", "Entropy", "Overlap"]
    control.set_value("Entropy")
    at.run()
    assert "0.710" in pages_html(at)


def test_the_tests_with_objects_are_shown_beside_maps_that_know_nothing(page):
    at = run(page, "Maps")
    table = pages_html(at)
    assert "object on white, anywhere" in table
    assert "<td data-best=yes>50 %</td>" in table
    assert "ahead of all four in 1 of 2 tests" in words(at)


def test_a_picture_of_the_maps_is_shown_where_there_is_one(page, models):
    assert "image" not in kinds(run(page, "Maps"))
    Image.new("RGB", (40, 30)).save(models / "tiny.maps.jpg")
    assert "image" in kinds(run(page, "Maps"))


def test_the_curves_of_the_training_are_drawn(page):
    at = run(page, "Training")
    assert len(at.get("plotly_chart")) == 1
    assert at.segmented_control[1].options == ["Loss", "Accuracy", "Entropy"]


def test_provenance_tells_hash_size_and_file(page, models):
    at = run(page, "Provenance")
    card = read_card(models / "tiny.safetensors")
    assert card.sha256 in pages_html(at)
    assert "tiny.safetensors" in pages_html(at)


def test_use_in_explore_chooses_the_model_there(monkeypatch):
    state: dict[str, str] = {}
    monkeypatch.setattr(st, "session_state", state)
    model = ModelChoice(dataclasses.replace(tiny_model().card, name="tiny"), Path("tiny.safetensors"), 1)
    models_page._use(model)
    assert state == {"model for a image": "tiny", "model for a video": "tiny"}
    clips = dataclasses.replace(model, card=dataclasses.replace(model.card, name="clips", config=VIDEO))
    models_page._use(clips)
    assert state == {"model for a image": "tiny", "model for a video": "clips"}


def test_explore_knows_these_keys():
    assert [model_choice._model_key(kind) for kind in ("image", "video")] == ["model for a image", "model for a video"]


def test_without_a_model_the_page_says_so(page, tmp_path, monkeypatch):
    monkeypatch.setattr(cards, "BUNDLED_DIR", tmp_path / "none")
    st.cache_data.clear()
    assert "No model is installed" in words(run(page))


def test_a_brought_model_is_listed_marked_and_can_be_forgotten(page):
    kept = BroughtModels()
    loaded = tiny_timm()
    kept._list(_saved(kept, loaded))
    page.session_state[BROUGHT] = kept
    page.session_state[models_page.PICKED] = "vit"
    at = run(page)
    assert at.radio(key=models_page.PICKED).options == ["other", "tiny", "vit"]
    assert any("Not trained" in one.value for one in at.warning)
    assert "Anything: its maps are not trained" in words(at)
    next(one for one in at.button if one.label == "Forget").click()
    at.run()
    assert at.radio(key=models_page.PICKED).options == ["other", "tiny"]


def _saved(kept: BroughtModels, loaded) -> Path:
    path = kept._folder / "vit.safetensors"
    save_checkpoint(path, loaded.model, loaded.card)
    return path


def test_a_network_of_timm_is_built_in_the_background(page, monkeypatch):
    kept = BroughtModels()
    page.session_state[BROUGHT] = kept
    small = timm_config("vit_tiny_patch16_224", locs=(1,), options=SMALL_VIT)
    built = kept.add_timm(small, pretrained=False)
    assert built.card.trained is False
    assert built.card.sha256
    at = run(page)
    assert built.card.name in at.radio(key=models_page.PICKED).options


def test_a_refusal_stands_on_the_page_until_something_else_is_brought(page):
    kept = BroughtModels()
    page.session_state[BROUGHT] = kept
    at = run(page)
    worker = Worker("models")

    def work(ticket):
        return kept.add_file(io.BytesIO(b"PK\x03\x04"), "w.pt")

    at.session_state["model being brought"] = worker.submit(work, owner="me", slot="bring a model")
    at = settled(at)
    assert any("w.pt is a zip archive" in one.value.replace("\\", "") for one in at.error)
    at.session_state["model being brought"] = worker.submit(
        lambda ticket: kept.add_timm(
            timm_config("vit_tiny_patch16_224", locs=(1,), options=SMALL_VIT),
            pretrained=False,
        ),
        owner="me",
        slot="bring a model",
    )
    at = settled(at)
    at.run()
    assert at.session_state[models_page.PICKED] == "vit_tiny_patch16_224-untrained"


def test_what_is_imported_where_the_page_says_is_listed_by_the_app(page, models, tmp_path, monkeypatch):
    """The way for files that are too large to upload, from end to end."""
    folder = tmp_path / "more"
    monkeypatch.setenv("TOKENLEARNER_MODELS", str(folder))
    source = write_flax(tmp_path / "ckpt", model_params(Spec(image=(12, 15))))
    assert main(["import", "scenic", str(source), "--loc", "1", "-o", str(folder / "brought.safetensors")]) == 0
    at = run(page)
    assert at.radio(key=models_page.PICKED).options == ["brought", "other", "tiny"]
    page.session_state[models_page.PICKED] = "brought"
    assert "Imported from Scenic: ckpt" in words(run(page))


def test_cancel_on_the_page_frees_the_worker_and_lists_nothing(page):
    kept = BroughtModels()
    page.session_state[BROUGHT] = kept
    at = run(page)
    worker, begun = Worker("models"), threading.Event()
    network = timm_config("vit_tiny_patch16_224", locs=(1,), options=SMALL_VIT)

    def work(ticket):
        begun.set()
        assert ticket.cancel.wait(LIMIT_S)
        return kept.add_timm(network, pretrained=False, progress=ticket.report, cancel=ticket.cancel)

    job = worker.submit(work, owner="me", slot="bring a model")
    at.session_state["model being brought"] = job
    assert begun.wait(LIMIT_S)
    at.run()
    button(at, "Cancel").click()
    at.run()
    assert job.wait(LIMIT_S)
    assert job.state is JobState.CANCELLED
    assert [one.value for one in at.info] == ["Stopped."]
    assert worker.submit(lambda ticket: 7, owner="other", slot="any").result() == 7
    at.run()
    assert at.radio(key=models_page.PICKED).options == ["other", "tiny"]


# What a Scenic file does not tell -------------------------------------------------------------------------------------


def test_the_fields_for_scenic_are_read(page):
    at = run(page)
    at.number_input(key="scenic loc").set_value(2)
    at.number_input(key="scenic height").set_value(12)
    at.number_input(key="scenic width").set_value(20)
    at.selectbox(key="scenic classifier").set_value("gmp")
    at.text_input(key="scenic mean").set_value("0.485,0.456,0.406")
    at.text_area(key="scenic names").set_value("cat\n dog \n")
    at.run()
    keys = [f"scenic {name}" for name in ("loc", "frames", "height", "width", "classifier", "mean", "std", "names")]
    assert scenic_fields.options({key: at.session_state[key] for key in keys}) == ScenicOptions(
        loc=2, img_size=(12, 20), head_pool="max", mean=(0.485, 0.456, 0.406), class_names=("cat", "dog")
    )


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"scenic height": 12}, "both height and width"),
        ({"scenic mean": "half"}, '"half" is not one number'),
        ({"scenic std": "0"}, '"0" must be above 0'),
    ],
)
def test_fields_that_say_nothing_are_refused(state, message):
    with pytest.raises(ConfigError, match=message):
        scenic_fields.options(state)


def test_every_option_that_scenic_may_need_is_a_field_and_a_flag():
    assert scenic_fields.FIELDS.keys() == import_._FLAGS.keys()


def test_a_file_that_needs_an_option_stays_until_it_was_read(page, tmp_path):
    kept = BroughtModels()
    page.session_state[BROUGHT] = kept
    page.session_state[coming.PENDING] = (io.BytesIO(scenic_file(tmp_path)), "vit.msgpack")
    at = run(page)
    button(at, "Read it again").click()
    at = settled(at)
    at.run()
    (said,) = (one.value.replace("\\", "") for one in at.error)
    assert "do not tell before which of the 3 blocks" in said
    assert said.endswith("“Block before which the module sits” under “Scenic: what its file does not tell”.")
    at.number_input(key="scenic loc").set_value(1)
    button(at, "Read it again").click()
    at = settled(at)
    at.run()
    (one,) = kept.kept
    assert one.card.name == "vit"
    assert one.card.config.default_loc == 1
    assert "the head pools by" in one.card.notes[-1]
    assert coming.PENDING not in at.session_state or at.session_state[coming.PENDING] is None


# Around timm ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [around.PRETRAINED, around.FROM_FILE, around.RANDOM])
def test_the_command_to_distill_trains_the_network_that_is_shown(weights):
    network = timm_config("deit_tiny_patch16_224.fb_in1k", locs=(2, 7), token_learner=TokenLearnerConfig(num_tokens=5))
    words = shlex.split(around.distill_command(network, weights))
    assert words[:4] == ["python", "-m", "tokenlearner", "distill"]
    args = _parse(words[3:])
    assert asked_network(args.backbone, args) == network
    assert (args.data, args.output) == (["PHOTOS"], Path("OUT"))
    assert args.weights == (Path("FILE") if weights == around.FROM_FILE else None)
    assert args.random_backbone is (weights == around.RANDOM)


# Facts ----------------------------------------------------------------------------------------------------------------


def test_a_test_that_any_fixed_map_wins_is_named_among_what_is_not_claimed(models):
    claims = "\n".join(facts.not_claimed(tiny(models)))
    assert "object on white, anywhere" in claims
    assert "moving object" not in claims
    assert "That its maps explain its answers" in claims


def test_a_measured_cell_tells_value_and_cost(models):
    model = tiny(models)
    table = heat.heat_table(facts.measures(model.card)[0], model.card.config)
    plain = flops.baseline(TINY).total_macs
    cost, unit = operations(flops.compute(TINY, loc=3, num_tokens=6).total_macs, "MACs", plain)
    assert f">60 %<small>{cost}</small></td>" in table
    assert f">62 %<small>{operations(plain, 'MACs')[0]}</small></td>" in table
    assert heat.cost_unit(TINY) == unit
    assert table.count("data-own") == 1


def test_names_from_a_card_cannot_become_markup(models):
    card = dataclasses.replace(tiny(models).card, provenance={"<script>": "<b>"})
    assert "<script>" not in heat.fact_table(dict(card.provenance))


def test_a_distilled_card_is_read_without_accuracies(tmp_path):
    photos = Photos(torch.randint(0, 255, (6, 3, 40, 40), dtype=torch.uint8), torch.ones(6), torch.zeros(6).long())
    run_of_it = Distiller(tiny_timm(), (photos, photos), DistillSettings(epochs=1), tmp_path, bf16=False)
    path = tmp_path / "student.safetensors"
    credit = cards.DataCredit(name="Noise", licence="CC0")
    export_student(run_of_it, path, photographs=credit, command="distill", device=pick_device("cpu"))
    card = read_card(path)
    found = {one.name: set(one.values) for one in facts.measures(card)}
    settings = {(loc, k) for loc in (1, 3) for k in (1, 2, 4, 5)}
    assert found == {
        "Agreement": {(None, 0), *settings},
        "Unexplained": {(None, 0), *settings},
        "Entropy": settings,
        "Overlap": {(loc, k) for loc, k in settings if k > 1},
        "Adaptivity": settings,
        "Coverage": settings,
    }
    assert facts.conditions(card) == "Measured on 6 photographs kept back, against the teacher."
    learned = dataclasses.replace(card, trained=True)
    assert facts.not_claimed(ModelChoice(learned, path, 1))[0].startswith("Anything about accuracy: what was measured")


def test_a_video_model_has_a_table_for_each_question():
    metrics = {"training": [{"epoch": 3, "top1 object 1/2": 0.2, "top1 motion 1/2": 0.4, "top1 object none": 0.3}]}
    card = dataclasses.replace(tiny_model().card, metrics=metrics)
    found = {one.name: one.values for one in facts.measures(card)}
    assert found == {"Top-1, object": {(1, 2): 0.2, (None, 0): 0.3}, "Top-1, motion": {(1, 2): 0.4}}


def test_a_video_model_says_how_its_tokens_follow_what_moves() -> None:
    (card,) = (listed.card for listed in list_models() if listed.card.name == "moving-objects-elastic")
    written = card.metrics["evaluation"]
    (row,) = (
        row
        for row in written["objects in sequences"]
        if (row["maps"], row.get("loc"), row["num_tokens"]) == ("tokens", card.config.default_loc, 8)
    )
    setting, tests = facts.looking(card)
    assert setting == (card.config.default_loc, 8)
    assert [one.test for one in tests] == ["moving object in a made clip", "moving object in a real clip"]
    assert tests[1].share == row["mass"]
    assert (tests[0].pictures, tests[1].pictures) == (384, 28)
    assert tests[1].centre == pytest.approx(0.18, abs=0.01)
    assert "clips made of pictures" in facts.conditions(card)
    assert not any("look at objects" in claim for claim in facts.not_claimed(ModelChoice(card, Path(), 0)))


def test_the_accuracy_of_a_video_model_is_that_of_its_evaluation() -> None:
    (card,) = (listed.card for listed in list_models() if listed.card.name == "moving-objects-elastic")
    rows = {(row["loc"], row["num_tokens"]): row for row in card.metrics["evaluation"]["choices"]}
    found = {(row.loc, row.num_tokens): row for row in measured_accuracies(card)}
    assert found.keys() == rows.keys()
    assert all(found[key].by_group == {q: rows[key][q] for q in ("object", "motion")} for key in rows)
