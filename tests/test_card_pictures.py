from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.analysis_cases import COLOURS, SEEING, SEEING_VIDEO, photograph, seeing, seeing_video
from tokenlearner import card_pictures
from tokenlearner.card_pictures import (
    CLIPS,
    PHOTOGRAPHS,
    clip_rows,
    default_choice,
    draw_sheet,
    photo_row,
    sample_rows,
    save_card_picture,
)
from tokenlearner.cli import main
from tokenlearner.config import ModelConfig
from tokenlearner.errors import CheckpointError, ConfigError
from tokenlearner.evaluation.collect import Choice
from tokenlearner.samples import list_samples
from tokenlearner.weights import load_checkpoint, untrained


def discs(count: int) -> list[np.ndarray]:
    """A green disc that goes right over white, in frames of 96 x 128 pixels."""
    frames = []
    for i in range(count):
        rgb = np.full((96, 128, 3), 255, dtype=np.uint8)
        rows, columns = np.mgrid[:96, :128]
        rgb[np.hypot(rows - 40, columns - 25 - 9 * i) < 18] = COLOURS["green"]
        frames.append(rgb)
    return frames


def test_samples_of_the_pictures_may_be_passed_on() -> None:
    samples = {sample.name: sample for sample in list_samples()}
    for name in (*PHOTOGRAPHS, *CLIPS):
        licence = samples[name].licence
        assert "no licence stated" not in licence
        assert any(words in licence for words in ("CC0", "public domain", "Apache-2.0"))
    assert {samples[name].kind for name in PHOTOGRAPHS} == {"image"}
    assert {samples[name].kind for name in CLIPS} == {"video"}


def test_photograph_has_its_answer_and_its_maps(tmp_path: Path) -> None:
    rgb = photograph("red", 0)
    row = photo_row(seeing(tmp_path), rgb, "Disc", Choice(2, 3))
    assert row.caption.startswith("Disc: red ")
    assert row.maps.shape == (3, 12, 16)
    assert row.maps.sum(axis=(1, 2)) == pytest.approx(1, abs=1e-5)
    y, x = np.divmod(int(row.maps[0].argmax()), 16)
    assert tuple(rgb[8 * y + 4, 8 * x + 4]) == COLOURS["red"]


def test_clip_shows_a_few_moments_and_each_frame_has_its_own_maps(tmp_path: Path) -> None:
    loaded = seeing_video(tmp_path)
    frames = discs(6)
    rows = clip_rows(loaded, frames, "Disc", Choice(0, 4), steps=2)
    assert [row.caption for row in rows] == [rows[0].caption, "Disc, frame 4"]
    assert rows[0].caption.startswith("Disc, frame 0: green ")
    assert rows[0].scale_max == rows[1].scale_max
    assert (rows[1].rgb == frames[4]).all()
    clip = np.stack([rows[0].geometry.to_input(frame) for frame in frames])
    with torch.inference_mode():
        maps = loaded.model(loaded.model.normalize(torch.from_numpy(clip)[None]), loc=0).token_maps[0].numpy()
    assert rows[1].maps.reshape(4, -1) == pytest.approx(maps[2], abs=1e-6)


def test_clip_that_is_too_short_stays_at_its_last_frame(tmp_path: Path) -> None:
    frames = discs(3)
    rows = clip_rows(seeing_video(tmp_path), frames, "Disc", Choice(0, 4), steps=3)
    assert (rows[2].rgb == frames[2]).all()
    longer = clip_rows(seeing_video(tmp_path), [*frames, *[frames[2]] * 3], "Disc", Choice(0, 4), steps=3)
    assert (rows[2].maps == longer[2].maps).all()


def test_image_model_sees_a_clip_frame_by_frame(tmp_path: Path) -> None:
    loaded, frames = seeing(tmp_path), discs(5)
    rows = clip_rows(loaded, frames, "Disc", Choice(2, 4), steps=2)
    alone = photo_row(loaded, frames[4], "Disc", Choice(2, 4))
    assert (rows[1].rgb == frames[4]).all()
    assert rows[1].maps == pytest.approx(alone.maps, abs=1e-6)


def test_sheet_has_the_picture_first_and_a_column_for_each_token(tmp_path: Path) -> None:
    frames = discs(2)
    row = photo_row(seeing(tmp_path), frames[0], "Disc", Choice(2, 3))
    sheet = draw_sheet([row], "Title")
    tile_hw = (95, 127)  # 110 x 110 pixels in the frame's shape
    assert sheet.shape == (62 + 17 + tile_hw[0] + 3, 3 + 4 * (tile_hw[1] + 3), 3)
    tiles = [sheet[79 : 79 + tile_hw[0], x : x + tile_hw[1]].astype(int) for x in range(3, sheet.shape[1], 130)]
    assert len(tiles) == 4
    assert tuple(tiles[0][40, 25]) == COLOURS["green"]
    green = tiles[2].sum(axis=2)  # token 2 sees green: bright there, dimmed elsewhere
    assert green[40, 25] > 1.5 * green[80, 110]
    red = tiles[1].sum(axis=2)
    assert red[40, 25] < red[80, 110]


def test_sheet_of_untrained_weights_says_so(tmp_path: Path) -> None:
    row = photo_row(seeing(tmp_path), discs(1)[0], "Disc", Choice(2, 3))
    plain, marked = draw_sheet([row], "T"), draw_sheet([row], "T", mark="UNTRAINED WEIGHTS")
    assert (plain[:25, -150:] != marked[:25, -150:]).any()
    assert (plain[62:] == marked[62:]).all()


def test_empty_sheet_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one picture"):
        draw_sheet([], "Title")


def test_model_without_module_is_refused() -> None:
    plain = ModelConfig(img_size=(8, 8), patch_size=(4, 4), embed_dim=8, depth=1, num_heads=2, mlp_dim=8, num_classes=3)
    with pytest.raises(ConfigError, match="untrained-0 has no TokenLearner"):
        default_choice(untrained(plain))


def test_model_without_file_has_no_card_picture() -> None:
    with pytest.raises(CheckpointError, match="has no file"):
        save_card_picture(untrained(SEEING))


def test_video_model_is_drawn_on_sample_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card_pictures, "CLIPS", ("shapes",))
    rows = list(sample_rows(seeing_video(tmp_path), tmp_path / "cache"))
    assert [row.caption.split(":")[0] for row in rows] == [f"Five shapes, frame {i}" for i in (0, 2, 4)]
    assert rows[0].rgb.shape == (320, 480, 3)
    assert (rows[0].rgb != rows[2].rgb).any()
    assert SEEING_VIDEO.num_frames == 6


def test_command_draws_the_picture_and_the_card_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = seeing(tmp_path).path
    assert path is not None
    weights = path.read_bytes()
    assert "maps.jpg" not in path.with_suffix(".md").read_text()
    assert main(["pictures", str(path)]) == 0
    picture = tmp_path / "seeing.maps.jpg"
    assert f"Maps: {picture}" in capsys.readouterr().out
    with Image.open(picture) as image:
        assert image.format == "JPEG"
        assert image.width > 500
    assert picture.stat().st_size < 300_000
    assert "](seeing.maps.jpg)" in path.with_suffix(".md").read_text()
    assert path.read_bytes() == weights
    load_checkpoint(path)


def test_command_can_write_elsewhere_and_leave_the_card(tmp_path: Path) -> None:
    path = seeing(tmp_path).path
    assert path is not None
    card = path.with_suffix(".md").read_text()
    assert main(["pictures", str(path), "--out", str(tmp_path / "deep" / "x.jpg")]) == 0
    assert (tmp_path / "deep" / "x.jpg").is_file()
    assert path.with_suffix(".md").read_text() == card
    assert not (tmp_path / "seeing.maps.jpg").exists()
