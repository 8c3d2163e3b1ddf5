"""TokenLearner around timm's networks: without the module it is timm's network, with it every count is exact."""

import dataclasses
import json
import shlex

import pytest
import safetensors.torch
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.engine_cases import write_photo
from tests.timm_cases import KINDS, MODULE, SIZE_HW, SMALL, timms_own, tiny_timm
from tokenlearner import flops, timm_hub
from tokenlearner.cards import file_sha256
from tokenlearner.cli import main
from tokenlearner.config import ModelConfig
from tokenlearner.engine import AnalysisSettings, Engine
from tokenlearner.errors import Cancelled, CheckpointError, ConfigError
from tokenlearner.timm_backbone import TimmTokenLearner, load_pretrained_, timm_config
from tokenlearner.timm_models import around_timm
from tokenlearner.weights import build_model, load_checkpoint, save_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


def pixels(batch: int, image_hw: tuple[int, int], seed: int = 1) -> torch.Tensor:
    return torch.randn(batch, 3, *image_hw, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_without_the_module_the_logits_are_timms_own(kind):
    loaded = tiny_timm(kind)
    seen = pixels(3, SIZE_HW)
    assert torch.allclose(loaded.model(seen, loc=None).logits, timms_own(loaded)(seen), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["class token", "registers without places", "distilled", "no position embedding"])
@torch.inference_mode()
def test_at_another_size_the_logits_are_those_of_timms_resized_network(kind):
    loaded = tiny_timm(kind)
    seen = pixels(2, (64, 32))
    expected = timms_own(loaded, (64, 32))(seen)
    assert torch.allclose(loaded.model(seen, loc=None).logits, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_a_module_that_keeps_every_patch_changes_nothing(kind):
    """With one-hot maps, one for each patch, the tokens are the patches: all blocks and the head see what they saw."""
    loaded = tiny_timm(kind)
    seen = pixels(2, SIZE_HW)
    features = loaded.model.prefix(seen, 3)
    patches = features.patches
    assert patches.shape[2] == 6
    tokenized = dataclasses.replace(
        loaded.model.tokenize(features), tokens=patches, token_maps=torch.eye(6).expand(2, 1, 6, 6)
    )
    whole = loaded.model(seen, loc=None).logits
    assert torch.allclose(loaded.model.suffix(tokenized).logits, whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("loc", "k"), [(None, None), (1, 5), (3, 2)])
def test_multiply_adds_are_what_the_counter_of_torch_sees(kind, loc, k):
    model = tiny_timm(kind).model.requires_grad_(False)
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(pixels(1, (64, 48)), loc=loc, num_tokens=k)
    counted = flops.compute(model.config, image_hw=(64, 48), loc=loc, num_tokens=k)
    assert counted.total_flops == counter.get_total_flops()


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_counted_exactly(kind):
    model = tiny_timm(kind).model
    assert flops.count_params(model.config) == sum(p.numel() for p in model.parameters())


@torch.inference_mode()
def test_prefix_tokens_pass_by_the_module():
    loaded = tiny_timm("registers")
    features = loaded.model.prefix(pixels(2, SIZE_HW), 1)
    assert features.x.shape == (2, 1, 4 + 6, 24)
    tokenized = loaded.model.tokenize(features, 3)
    assert tokenized.token_maps.shape == (2, 1, 3, 6)
    by_hand = torch.einsum("btkp,btpd->btkd", tokenized.token_maps, features.x[:, :, 4:])
    assert torch.allclose(tokenized.tokens, by_hand, atol=1e-5)
    assert loaded.model.suffix(tokenized).encoded.shape == (2, 4 + 3, 24)
    changed = dataclasses.replace(features, x=torch.cat([-features.x[:, :, :4], features.x[:, :, 4:]], dim=2))
    other = loaded.model.tokenize(changed, 3)
    assert torch.equal(other.token_maps, tokenized.token_maps)
    assert not torch.allclose(loaded.model.suffix(other).logits, loaded.model.suffix(tokenized).logits, atol=1e-3)


def test_the_engine_analyses_and_answers_again_and_marks_the_maps_as_untrained(tmp_path):
    engine = Engine(tiny_timm("registers"), device="cpu")
    found = engine.analyze(write_photo(tmp_path / "a.png"), AnalysisSettings(loc=1))
    assert found.token_maps is not None
    assert found.token_maps.shape[1:] == (5, *found.geometry.grid_hw)
    assert found.provenance.trained is False
    assert any("untrained" in note for note in found.notes)
    again = engine.rerun(found, loc=3, num_tokens=2)
    fresh = engine.analyze(write_photo(tmp_path / "a.png"), AnalysisSettings(loc=3, num_tokens=2))
    assert again.logits == pytest.approx(fresh.logits, abs=2e-2)
    assert again.compute == fresh.compute


def test_a_checkpoint_comes_back_with_its_backbone(tmp_path):
    loaded = tiny_timm("distilled")
    path = tmp_path / "deit.safetensors"
    save_checkpoint(path, loaded.model, loaded.card, half=False)
    again = load_checkpoint(path)
    assert isinstance(again.model, TimmTokenLearner)
    assert again.card.trained is False
    assert again.model.config == loaded.model.config
    seen = pixels(1, SIZE_HW)
    assert torch.equal(again.model(seen).logits, loaded.model(seen).logits)
    words = path.with_suffix(".md").read_text()
    assert "timm's `deit_tiny_distilled_patch16_224` with depth=4, embed_dim=24, num_heads=3" in words
    assert "distilled pooling" in words
    assert "The weights are random" not in words


def test_a_configuration_survives_json():
    config = tiny_timm("registers").model.config
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_configuration_that_is_not_what_timm_builds_is_refused():
    config = tiny_timm().model.config
    wrong = dataclasses.replace(config, backbone=dataclasses.replace(config.backbone, params=7))
    with pytest.raises(ConfigError, match=r'builds another "vit_tiny_patch16_224" .*\(params\)'):
        build_model(wrong, seed=0)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vit_no_such", {}, 'knows no network named "vit_no_such"'),
        ("hf-hub:timm/vit_tiny_patch16_224", {}, "knows no network named"),
        ("local-dir:/tmp", {}, "knows no network named"),
        ("vit_tiny_patch16_224.no_such_tag", {}, "Invalid pretrained tag"),
        ("resnet18", {}, "is a ResNet"),
        ("vit_small_patch16_rope_224", {}, "is a Eva"),
        ("vit_tiny_r_s16_p8_224", {}, "begins with a HybridEmbed"),
        ("vit_small_patch14_dinov2", {}, "gives features and no classes"),
        ("vit_tiny_patch16_224", {"global_pool": ""}, 'pools by ""'),
        ("vit_tiny_patch16_224", {"checkpoint_path": "/etc/passwd"}, "cannot be changed: checkpoint_path"),
        ("vit_tiny_patch16_224", {"embed_dim": 23}, "timm cannot build"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(name, options, message):
    with pytest.raises(ConfigError, match=message):
        timm_config(name, locs=(1,), options=options)


def test_a_place_behind_the_last_block_is_refused():
    with pytest.raises(ConfigError, match=r"12 lies outside 0\.\.11"):
        timm_config("vit_tiny_patch16_224", locs=(12,))


def test_the_configuration_is_read_without_making_weights():
    network = timm_config("vit_large_patch16_224.augreg_in21k_ft_in1k", locs=(16, 8))
    config = network.config
    assert config.tokenlearner_locs == (8, 16)
    assert config.default_loc == 16
    assert config.num_tokens == 16
    assert (config.embed_dim, config.depth, config.num_heads, config.mlp_dim) == (1024, 24, 16, 4096)
    assert config.class_names[0].startswith("tench")
    assert config.mean == (0.5, 0.5, 0.5)
    assert network.weights == "vit_large_patch16_224.augreg_in21k_ft_in1k"
    assert network.licence == "apache-2.0"


def test_without_a_network_the_refusal_comes_at_once_and_says_what_to_do(monkeypatch):
    def unreachable(address, timeout):
        raise OSError(f"no route to {address}")

    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(timm_hub.socket, "create_connection", unreachable)
    network = timm_config("vit_tiny_patch16_224.augreg_in21k_ft_in1k", locs=(2,), options={"depth": 3})
    with pytest.raises(CheckpointError, match=r"are not on this machine, and .* cannot be reached"):
        around_timm(network)


def test_weights_from_a_file_are_taken(tmp_path):
    source = tiny_timm("class token", seed=3)
    file = tmp_path / "vit.safetensors"
    safetensors.torch.save_file(source.model.backbone.state_dict(), file)
    name, options = KINDS["class token"]
    network = timm_config(name, locs=(2,), token_learner=MODULE, img_size=SIZE_HW, options={**SMALL, **options})
    loaded = around_timm(network, weights=file)
    assert loaded.card.trained is False
    assert loaded.card.provenance["pretrained weights"] == "vit.safetensors"
    assert loaded.card.provenance["sha256 of the pretrained weights"] == file_sha256(file)
    assert [(one.name, one.licence) for one in loaded.card.data] == [
        ("Weights for vit_tiny_patch16_224 from the file vit.safetensors", "unknown")
    ]
    seen = pixels(2, SIZE_HW)
    with torch.inference_mode():
        assert torch.allclose(loaded.model(seen, loc=None).logits, timms_own(source)(seen), atol=1e-5)


@pytest.mark.parametrize(("file", "message"), [("gone.safetensors", "is no safetensors file"), ("w.bin", "is no saf")])
def test_other_files_of_weights_are_refused(tmp_path, file, message):
    (tmp_path / "w.bin").write_bytes(b"\x80\x04")
    with pytest.raises(CheckpointError, match=message):
        load_pretrained_(tiny_timm().model, tmp_path / file)


def test_weights_that_do_not_fit_are_refused(tmp_path):
    file = tmp_path / "w.safetensors"
    safetensors.torch.save_file({"head.weight": torch.zeros(2, 3)}, file)
    with pytest.raises(CheckpointError, match="cannot be used"):
        load_pretrained_(tiny_timm().model, file)


class Hub:
    """Stands in for the hub: a file of some size that comes in pieces, through whatever bar its client is given."""

    def __init__(self, monkeypatch, pieces: int) -> None:
        self.pieces = pieces
        self.sent = 0
        monkeypatch.setattr(timm_hub, "_require_hub", lambda name: None)
        monkeypatch.setattr("huggingface_hub.hf_hub_download", self)

    def __call__(self, repo_id, filename, *, revision, tqdm_class):
        with tqdm_class(desc=filename, total=10 * self.pieces, initial=0, unit="B") as bar:
            for _ in range(self.pieces):
                self.sent += 1
                bar.update(10)


def test_fetching_tells_how_far_it_is(monkeypatch):
    told = []
    Hub(monkeypatch, 3)
    timm_hub.fetch("timm/no_such", "no_such", progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 30), (10, 30), (20, 30), (30, 30)]


def test_fetching_stops_when_it_is_no_longer_wanted(monkeypatch):
    def stop(done, total):
        if done == 20:
            raise Cancelled("Stopped.")

    hub = Hub(monkeypatch, 5)
    network = timm_config("vit_tiny_patch16_224.augreg_in21k_ft_in1k", locs=(2,), options={"depth": 3})
    with pytest.raises(Cancelled, match="Stopped"):
        around_timm(network, progress=stop)
    assert hub.sent == 2


def test_the_command_builds_what_it_is_asked_for(tmp_path, capsys, monkeypatch):
    out = tmp_path / "around.safetensors"
    small = ["--option", "depth=4", "--option", "embed_dim=24", "--option", "num_heads=3"]
    asked = ["vit_tiny_patch16_224", "--random-backbone", "--loc", "1", "--loc", "3", "--tokens", "5", "--seed", "2"]
    assert main(["import", "timm", *asked, *small, "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "5 tokens before block 1, 3" in said
    assert "a folder that TOKENLEARNER_MODELS names" in said
    loaded = load_checkpoint(out)
    assert loaded.card.trained is False
    assert (loaded.card.config.tokenlearner_locs, loaded.card.config.num_tokens) == ((1, 3), 5)
    # What the card tells to type makes the same again.
    weights = loaded.model.state_dict()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKENLEARNER_MODELS", str(tmp_path))
    out.unlink()
    capsys.readouterr()
    assert main(shlex.split(loaded.card.command)[3:]) == 0
    assert "TOKENLEARNER_MODELS" not in capsys.readouterr().out
    again = load_checkpoint(out).model.state_dict()
    assert all(torch.equal(weights[name], again[name]) for name in weights)
