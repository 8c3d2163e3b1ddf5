"""Overlays, arrays and numbers as files."""

import dataclasses
import json
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from tests.engine_cases import VIDEO, cell_xywh, pictures, tiny_model, write_clip, write_photo
from tokenlearner import export
from tokenlearner.engine import AnalysisSettings, ComputeDevice, Engine
from tokenlearner.errors import Cancelled, ConfigError, MediaError
from tokenlearner.export import (
    OverlayPainter,
    View,
    token_legend,
    write_maps,
    write_overlay,
    write_summary,
)
from tokenlearner.media import Sampling, open_media
from tokenlearner.palette import HEAT_LUT, token_color
from tokenlearner.render import clip_scale

CPU = ComputeDevice(torch.device("cpu"), None, "test CPU")
TIMES = [0.0, 0.1, 0.25, 0.3, 0.7]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("media") / "disc.mp4", pictures(5, (240, 400)), TIMES)


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    return write_photo(tmp_path_factory.mktemp("media") / "disc.png", (300, 400))


@pytest.fixture(scope="module")
def engine():
    return Engine(tiny_model(), device=CPU)


@pytest.fixture(scope="module")
def found(engine, clip):
    return engine.analyze(clip)


def with_maps(analysis, maps):
    return dataclasses.replace(analysis, token_maps=maps.astype(np.float32), num_tokens=maps.shape[1])


def one_cell(analysis, token, step, row, column, weight=1.0):
    maps = np.zeros_like(analysis.token_maps)
    maps[step, token, row, column] = weight
    return with_maps(analysis, maps)


@pytest.mark.parametrize(
    ("text", "view"),
    [("tokens", View()), ("grid", View("grid")), ("heat:1", View("heat", 0)), ("heat:16", View("heat", 15))],
)
def test_views_are_read_from_words(text, view):
    assert View.parse(text) == view


@pytest.mark.parametrize("text", ["heat", "heat:0", "heat:-1", "heat:two", "Tokens", ""])
def test_other_words_are_no_view(text):
    with pytest.raises(ConfigError, match=f'"{text}" is not a view'):
        View.parse(text)


def test_the_map_of_a_frame_is_drawn_where_its_cell_lies(found):
    grey = np.full((240, 400, 3), 120, np.uint8)
    painter = OverlayPainter(one_cell(found, token=2, step=3, row=0, column=4), View("heat", 2))
    x, y, width, height = (round(v) for v in cell_xywh(found.geometry, 0, 4))
    drawn = painter.paint(grey, 0.3)[:240]
    hot = drawn[y + height // 2, x + width // 2]
    expected = 120 + 0.7 * (HEAT_LUT[255].astype(float) - 120)
    assert hot == pytest.approx(expected, abs=2)
    assert (drawn[-20:, :20] == np.rint(120 + 0.7 * (HEAT_LUT[0].astype(float) - 120))).all()
    assert not np.array_equal(painter.paint(grey, 0.25)[:240], drawn)


@pytest.mark.parametrize(
    ("time_s", "step"), [(0.0, 0), (0.0999, 0), (0.1, 1), (0.29, 2), (0.3, 3), (9.0, 4), (-1.0, 0)]
)
def test_a_moment_belongs_to_the_step_begun_last(found, time_s, step):
    maps = np.zeros_like(found.token_maps)
    maps[step] = 1
    grey = np.full((240, 400, 3), 120, np.uint8)
    drawn = OverlayPainter(with_maps(found, maps), View("heat", 0)).paint(grey, time_s)
    assert drawn[100, 200] == pytest.approx(120 + 0.7 * (HEAT_LUT[255].astype(float) - 120), abs=2)


def test_every_token_has_its_own_colour(found):
    maps = np.zeros_like(found.token_maps)
    for token in range(6):
        maps[:, token, token // 3, 2 * (token % 3)] = 0.5
    analysis = with_maps(found, maps)
    drawn = OverlayPainter(analysis).paint(np.full((240, 400, 3), 120, np.uint8), 0.0)
    for token in range(6):
        x, y, width, height = cell_xywh(found.geometry, token // 3, 2 * (token % 3))
        pixel = drawn[round(y + height / 2), round(x + width / 2)]
        assert pixel == pytest.approx(120 + 0.7 * (np.array(token_color(token), float) - 120), abs=6)


def test_one_scale_holds_for_the_whole_clip(found):
    maps = np.full((5, 6, 3, 5), 0.02)
    maps[4] = 0.2
    painter = OverlayPainter(with_maps(found, maps), View("heat", 0))
    grey = np.full((240, 400, 3), 120, np.uint8)
    assert painter.scale_max == pytest.approx(0.2)
    weak, strong = painter.paint(grey, 0.0)[:240], painter.paint(grey, 0.7)[:240]
    assert weak[100, 100].sum() < strong[100, 100].sum() - 200  # not stretched to the frame's own range


def test_what_the_model_did_not_see_is_not_painted(engine, clip):
    cropped = engine.analyze(clip, AnalysisSettings(resize="crop"))
    maps = np.ones_like(cropped.token_maps)
    drawn = OverlayPainter(with_maps(cropped, maps), View("heat", 1)).paint(np.full((240, 400, 3), 200, np.uint8), 0.0)
    left, _, width, _ = cropped.geometry.box_xywh
    assert (left, width) == (80, 240)
    inside, outside = drawn[180, left + 2 : left + width - 2], drawn[180, : left - 2]
    assert (inside == inside[0]).all()
    assert outside.mean() < 120


def test_untrained_weights_are_marked_on_the_picture(found):
    maps = np.zeros_like(found.token_maps)
    grey = np.full((240, 400, 3), 120, np.uint8)
    untrained = dataclasses.replace(found.provenance, trained=False)
    plain = OverlayPainter(with_maps(found, maps)).paint(grey, 0.0)
    marked = OverlayPainter(dataclasses.replace(with_maps(found, maps), provenance=untrained)).paint(grey, 0.0)
    changed = np.argwhere((plain != marked).any(axis=2))
    assert changed.min(axis=0)[0] > 150  # bottom right, away from what is not seen
    assert changed.min(axis=0)[1] > 150
    assert changed.max(axis=0)[0] < 240
    assert len(changed) > 500


def test_the_grid_shows_each_token_in_its_own_tile(found):
    analysis = one_cell(found, token=4, step=0, row=1, column=2)
    drawn = OverlayPainter(analysis, View("grid")).paint(np.full((240, 400, 3), 120, np.uint8), 0.0)
    height, width = drawn.shape[:2]
    assert 1270 <= width <= 1280
    tiles = drawn[: int(height * 0.9)].astype(int)
    bright = np.argwhere((tiles.sum(axis=2) > 500) & (tiles[..., 0] - tiles[..., 2] > 40))
    (top, left), (bottom, right) = bright.min(axis=0), bright.max(axis=0)
    # Six tiles of 5:3 in three columns and two rows: token 5 in the middle of the second row.
    assert width / 3 < left < right < 2 * width / 3
    assert 256 < top < bottom < 512


@pytest.mark.parametrize(
    ("tiles", "aspect", "columns"),
    [(16, 16 / 9, 4), (8, 16 / 9, 3), (16, 2 / 3, 8), (1, 1, 1), (9, 16 / 9, 3), (4, 1, 2)],
)
def test_grids_leave_few_places_empty(tiles, aspect, columns):
    assert export._grid_columns(tiles, float(aspect)) == columns


def test_a_small_picture_is_enlarged_so_that_its_legend_can_be_read(engine, tmp_path):
    small = write_photo(tmp_path / "small.png", (30, 50))
    analysis = engine.analyze(small)
    with open_media(small) as reader:
        (frame,) = reader
    drawn = OverlayPainter(analysis).paint(frame.rgb, 0.0)
    assert drawn.shape[1] == 350
    assert drawn.shape[0] == 30 * 7 + 34
    tall = np.zeros((2000, 20, 3), np.uint8)
    assert OverlayPainter(analysis).paint(tall, 0.0).shape[:2] == (2034, 20)


def test_the_legend_shows_the_colour_of_every_token():
    strip = token_legend(640, tuple(range(16)), 0.1, "share of the frame's attention", height=40)
    found = {tuple(color) for color in strip.reshape(-1, 3)}
    assert {token_color(token) for token in range(16)} <= found
    narrow = token_legend(20, tuple(range(16)), 0.1, "share of the frame's attention", height=34)
    assert narrow.shape == (34, 20, 3)


@pytest.mark.parametrize(
    ("view", "message"), [(View("heat", 6), "no token 7: this analysis has 6"), (View("heat", 99), "100")]
)
def test_a_token_that_is_not_there_cannot_be_drawn(found, view, message):
    with pytest.raises(ConfigError, match=message):
        OverlayPainter(found, view)


def test_the_plain_network_has_nothing_to_draw(engine, photo):
    with pytest.raises(ConfigError, match="no token maps"):
        OverlayPainter(engine.analyze(photo, AnalysisSettings(loc=None)))


def test_a_clip_becomes_a_clip_with_the_same_times(found, clip, tmp_path):
    progress = []
    scale = write_overlay(clip, found, tmp_path / "out.mp4", progress=lambda *at: progress.append(at))
    assert progress == [(i, 5) for i in range(1, 6)]
    assert scale == clip_scale(found.token_maps)
    with open_media(tmp_path / "out.mp4") as reader:
        assert (reader.info.codec, reader.info.kind) == ("h264", "video")
        frames = list(reader)
    assert [frame.timestamp_s for frame in frames] == pytest.approx(TIMES, abs=1e-3)
    painter = OverlayPainter(found)
    with open_media(clip) as reader:
        for original, written in zip(reader, frames, strict=True):
            expected = painter.paint(original.rgb, original.timestamp_s)
            assert np.abs(written.rgb[: len(expected)].astype(int) - expected).mean() < 4


def test_only_the_analysed_part_is_drawn(engine, clip, tmp_path):
    part = engine.analyze(clip, AnalysisSettings(sampling=Sampling(start_s=0.2, end_s=0.5)))
    write_overlay(clip, part, tmp_path / "out.mp4")
    with open_media(tmp_path / "out.mp4") as reader:
        assert [frame.timestamp_s for frame in reader] == pytest.approx([0.0, 0.15, 0.2], abs=1e-3)


def test_a_video_models_maps_hold_for_the_frames_of_their_tubelet(clip, tmp_path):
    found = Engine(tiny_model(VIDEO), device=CPU).analyze(clip)
    assert len(found.token_maps) == 3
    write_overlay(clip, found, tmp_path / "out.mp4")
    with open_media(tmp_path / "out.mp4") as reader:
        assert len(list(reader)) == 5


def test_a_photo_becomes_a_png(engine, photo, tmp_path):
    write_overlay(photo, engine.analyze(photo), tmp_path / "out.png", View("heat", 3))
    with Image.open(tmp_path / "out.png") as image:
        assert (image.format, image.width) == ("PNG", 400)
        assert image.height == 300 + 34


def test_stopping_leaves_no_file(found, clip, tmp_path):
    cancel = threading.Event()

    def stop(done, total):
        if done == 3:
            cancel.set()

    with pytest.raises(Cancelled):
        write_overlay(clip, found, tmp_path / "out.mp4", progress=stop, cancel=cancel)
    assert list(tmp_path.iterdir()) == []


def test_arrays_come_back_as_they_were(found, tmp_path):
    write_maps(tmp_path / "maps.npz", found)
    with np.load(tmp_path / "maps.npz", allow_pickle=False) as arrays:
        assert arrays["token_maps"].dtype == np.float32
        assert np.array_equal(arrays["token_maps"], found.token_maps)
        assert np.array_equal(arrays["timestamps_s"], found.timestamps_s)
        assert np.array_equal(arrays["logits"], found.logits)
        assert np.array_equal(arrays["logits_timestamps_s"], found.logits_timestamps_s)
        assert tuple(arrays["class_names"]) == found.class_names
        assert str(arrays["map_unit"]) == found.map_unit
        assert arrays["frame_hw"].tolist() == [240, 400]
        assert arrays["box_xywh"].tolist() == [0, 0, 400, 240]
        assert arrays["input_hw"].tolist() == [24, 40]
        assert arrays["grid_hw"].tolist() == [3, 5]


def test_arrays_of_the_plain_network_hold_no_maps(engine, photo, tmp_path):
    write_maps(tmp_path / "maps.npz", engine.analyze(photo, AnalysisSettings(loc=None)))
    with np.load(tmp_path / "maps.npz", allow_pickle=False) as arrays:
        assert "token_maps" not in arrays
        assert arrays["logits"].shape == (1, 7)


def test_numbers_are_json_with_what_the_caller_adds(found, tmp_path):
    write_summary(tmp_path / "numbers.json", found, source="Käfer.mp4")
    text = (tmp_path / "numbers.json").read_text(encoding="utf-8")
    assert json.loads(text) == json.loads(json.dumps({**found.summary(), "source": "Käfer.mp4"}))
    assert "Käfer" in text


def test_a_folder_that_is_missing_is_said_so(found, clip, tmp_path):
    with pytest.raises(MediaError, match="does not exist"):
        write_overlay(clip, found, tmp_path / "no" / "out.mp4")
    with pytest.raises(MediaError, match="does not exist"):
        write_maps(tmp_path / "no" / "maps.npz", found)
