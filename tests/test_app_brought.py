"""Models that a visitor brings: what is taken, what is refused, and that stopping leaves nothing."""

import gc
import io
import threading
from pathlib import Path

import msgpack
import pytest
import safetensors.torch
import torch

from app.brought import MAX_KEPT, PARAMS_VARIABLE, BroughtModels, ModelLimits
from tests.brought_cases import SMALL_VIT, scenic_file
from tests.engine_cases import TINY, tiny_model
from tests.timm_cases import KINDS, MODULE, SIZE_HW, SMALL, tiny_timm
from tokenlearner import flops
from tokenlearner.engine import Progress
from tokenlearner.errors import Cancelled, CheckpointError, ConfigError
from tokenlearner.scenic import ScenicOptions
from tokenlearner.timm_backbone import TimmTokenLearner, timm_config
from tokenlearner.weights import save_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


def safetensors_of(loaded, folder: Path) -> bytes:
    path = folder / "own.safetensors"
    save_checkpoint(path, loaded.model, loaded.card)
    return path.read_bytes()


def test_a_checkpoint_comes_with_the_card_inside_it(tmp_path):
    kept = BroughtModels()
    data = safetensors_of(tiny_model(), tmp_path)
    one = kept.add_file(io.BytesIO(data), "../my model.safetensors", taken=("my-model",))
    assert one.card.name == "my-model-2"
    assert one.load().model.config == TINY
    assert kept.kept == (one,)


def test_a_checkpoint_of_a_timm_network_is_taken(tmp_path):
    kept = BroughtModels()
    one = kept.add_file(io.BytesIO(safetensors_of(tiny_timm("registers"), tmp_path)), "vit.safetensors")
    assert one.card.trained is False
    assert one.load().model.config.num_prefix_tokens == 4


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "w.pt is empty"),
        (b"PK\x03\x04rest", "w.pt is a zip archive, as PyTorch's"),
        (b"\x80\x04rest", "w.pt is a Python pickle"),
        (b"\x89HDF\r\n", "w.pt is an HDF5 file"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{cut", 'w.pt" is not a safetensors file, or is cut short'),
        (b"words, only words", "w.pt"),
        (msgpack.packb({"a": 1}), "This file holds no Scenic Vision Transformer"),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_a_sentence_that_names_it(data, message):
    kept = BroughtModels()
    with pytest.raises((CheckpointError, ConfigError)) as caught:
        kept.add_file(io.BytesIO(data), "w.pt")
    assert message in str(caught.value)
    assert kept.kept == ()
    assert list(kept._folder.iterdir()) == []


def test_the_weights_of_another_program_are_refused():
    data = safetensors.torch.save({"weight": torch.zeros(2)})
    with pytest.raises(CheckpointError, match="holds the weights of another program"):
        BroughtModels().add_file(io.BytesIO(data), "w.safetensors")


def changed(data: bytes, old: str, new: str) -> bytes:
    """A checkpoint with other words in its header, of the same length."""
    assert len(old) == len(new)
    assert old.encode() in data
    return data.replace(old.encode(), new.encode())


def test_a_network_that_is_too_large_is_refused_before_it_is_built(tmp_path):
    data = changed(safetensors_of(tiny_model(), tmp_path), r"\"depth\": 5,", r"\"depth\":99,")
    with pytest.raises(ConfigError, match="in 99 blocks; this page takes"):
        BroughtModels().add_file(io.BytesIO(data), "w.safetensors")


def test_a_timm_network_that_is_not_what_its_file_says_is_refused(tmp_path):
    data = changed(safetensors_of(tiny_timm(), tmp_path), r"[\"depth\", 4]", r"[\"depth\", 9]")
    with pytest.raises(ConfigError, match="builds another"):
        BroughtModels().add_file(io.BytesIO(data), "w.safetensors")


def test_a_file_that_is_too_large_is_refused():
    kept = BroughtModels(ModelLimits(max_bytes=10))
    with pytest.raises(CheckpointError, match=r"^w\.safetensors is larger than 10 bytes"):
        kept.add_file(io.BytesIO(b"{" * 11), "w.safetensors")
    assert list(kept._folder.iterdir()) == []


def test_the_paper_s_base_network_and_every_vit_l_are_within_the_limits():
    limits = ModelLimits()
    base = timm_config("vit_base_patch16_224", locs=(6,)).config
    assert 4 * flops.count_params(base) <= limits.max_bytes
    large = [timm_config(name, locs=(12,)).config for name in ("vit_large_patch16_384", "deit3_large_patch16_384")]
    assert all(flops.count_params(config) <= limits.max_params for config in large)


@pytest.mark.parametrize(("told", "params"), [("", 320_000_000), ("5e6", 5_000_000), ("1000", 1000)])
def test_the_largest_network_is_a_setting_of_the_server(monkeypatch, told, params):
    monkeypatch.setenv(PARAMS_VARIABLE, told)
    assert ModelLimits.of_server(7) == ModelLimits(max_bytes=7, max_params=params)


@pytest.mark.parametrize("told", ["many", "nan", "inf"])
def test_a_setting_that_is_no_number_is_refused(monkeypatch, told):
    monkeypatch.setenv(PARAMS_VARIABLE, told)
    with pytest.raises(ConfigError, match=f'TOKENLEARNER_MAX_PARAMS is "{told}"'):
        ModelLimits.of_server(7)


def test_the_oldest_makes_room_and_the_folder_goes_with_the_visit(tmp_path):
    kept, data = BroughtModels(), safetensors_of(tiny_model(), tmp_path)
    for number in range(MAX_KEPT + 1):
        kept.add_file(io.BytesIO(data), f"m{number}.safetensors")
    assert [one.card.name for one in kept.kept] == [f"m{number}" for number in range(1, MAX_KEPT + 1)]
    folder = kept._folder
    assert len(list(folder.glob("*.safetensors"))) == MAX_KEPT
    del kept
    gc.collect()
    assert not folder.exists()


def test_a_network_of_timm_that_is_too_large_is_refused():
    network = timm_config("vit_large_patch16_224", locs=(3,))
    kept = BroughtModels(ModelLimits(max_params=100_000_000))
    with pytest.raises(
        ConfigError, match=r"has 300 M parameters in 24 blocks; this page takes 100 M in 64.*import timm"
    ):
        kept.add_timm(network, pretrained=False)


# Stopping -------------------------------------------------------------------------------------------------------------


class StopAt:
    """Sets an event as soon as a step is reported, and remembers what was."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.event = threading.Event()
        self.told: list[Progress] = []

    def __call__(self, progress: Progress) -> None:
        self.told.append(progress)
        if progress.stage.startswith(self.stage):
            self.event.set()


@pytest.mark.parametrize("stage", ["taking the file", "reading it", "checking the weights", "writing the checkpoint"])
@pytest.mark.parametrize("kind", ["scenic", "own"])
def test_a_file_that_is_stopped_at_any_step_leaves_nothing(tmp_path, stage, kind):
    kept, stop = BroughtModels(), StopAt(stage)
    data = scenic_file(tmp_path) if kind == "scenic" else safetensors_of(tiny_model(), tmp_path)
    if (stage, kind) == ("writing the checkpoint", "own"):
        # The file is there already; it only has to be listed.
        assert kept.add_file(io.BytesIO(data), "w", progress=stop, cancel=stop.event) in kept.kept
        return
    with pytest.raises(Cancelled):
        kept.add_file(io.BytesIO(data), "w", ScenicOptions(loc=1), progress=stop, cancel=stop.event)
    assert kept.kept == ()
    assert list(kept._folder.iterdir()) == []


@pytest.mark.parametrize("stage", ["building the network", "writing the checkpoint"])
def test_a_network_of_timm_that_is_stopped_leaves_nothing(stage):
    kept, stop = BroughtModels(), StopAt(stage)
    network = timm_config("vit_tiny_patch16_224", locs=(1,), options=SMALL_VIT)
    with pytest.raises(Cancelled):
        kept.add_timm(network, pretrained=False, progress=stop, cancel=stop.event)
    assert kept.kept == ()
    assert list(kept._folder.iterdir()) == []


def test_a_download_that_is_stopped_ends_within_a_piece_and_keeps_nothing(monkeypatch):
    kept, stop, sent = BroughtModels(), StopAt("taking the weights, 20 bytes of 50 bytes"), []

    def fetch(repository, name, filename=None, progress=None):
        for done in range(10, 60, 10):
            sent.append(done)
            progress(done, 50)

    monkeypatch.setattr("tokenlearner.timm_backbone.fetch", fetch)
    network = timm_config("vit_tiny_patch16_224.augreg_in21k_ft_in1k", locs=(1,), options=SMALL_VIT)
    with pytest.raises(Cancelled):
        kept.add_timm(network, progress=stop, cancel=stop.event)
    assert sent == [10, 20, 30]
    assert kept.kept == ()


def test_progress_never_goes_back_and_ends_below_the_whole(tmp_path):
    kept, stop = BroughtModels(), StopAt("never")
    kept.add_file(io.BytesIO(scenic_file(tmp_path)), "w", ScenicOptions(loc=1), progress=stop, cancel=stop.event)
    shares = [one.done / one.total for one in stop.told]
    assert shares == sorted(shares)
    assert shares[0] > 0
    assert 0.7 < shares[-1] < 1


def test_weights_of_timm_come_from_a_file(tmp_path):
    source = tiny_timm("class token", seed=3)
    assert isinstance(source.model, TimmTokenLearner)
    data = safetensors.torch.save(source.model.backbone.state_dict(), {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"weights of another program.*Weights of timm"):
        BroughtModels().add_file(io.BytesIO(data), "timm.safetensors")
    name, options = KINDS["class token"]
    network = timm_config(name, locs=(2,), token_learner=MODULE, img_size=SIZE_HW, options={**SMALL, **options})
    kept = BroughtModels()
    one = kept.add_timm(network, weights=io.BytesIO(data), weights_name="a/timm.safetensors")
    assert one.card.provenance["pretrained weights"] == "timm.safetensors"
    loaded = one.load().model.state_dict()
    assert torch.equal(loaded["backbone.norm.weight"], source.model.state_dict()["backbone.norm.weight"])
    assert [path.name for path in kept._folder.iterdir() if path.is_dir()] == []


def test_weights_in_another_format_are_refused_by_name():
    network = timm_config("vit_tiny_patch16_224", locs=(1,), options=SMALL_VIT)
    with pytest.raises(CheckpointError, match=r'^"w.bin" is no safetensors file'):
        BroughtModels().add_timm(network, weights=io.BytesIO(b"\x80\x04"), weights_name="w.bin")
