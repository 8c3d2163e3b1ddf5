"""Each file that can be taken away holds what was on the screen."""

import csv
import dataclasses
import io
import json
import threading

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from app.player.payload import PlayerState
from app.takeaway.clips import frames_of
from app.takeaway.files import COLUMNS, KINDS, Order, file_stem, gif_frames, harmless
from app.takeaway.picture import StatePainter
from tests.takeaway_cases import FRAMES, analysed
from tokenlearner import render
from tokenlearner.analysis.switches import Switch
from tokenlearner.analysis.tracks import track
from tokenlearner.errors import Cancelled
from tokenlearner.palette import token_color


def order(kind: str = "video", **state) -> Order:
    found, clip = analysed(kind)
    return Order(found=found, clip=clip, state=PlayerState(**state))


def frame_of(made: Order, number: int) -> np.ndarray:
    with frames_of(made.clip) as reader:
        return next(frame.rgb for index, frame in enumerate(reader) if index == number)


def enlarged(rgb: np.ndarray, factor: int = 3) -> np.ndarray:
    return cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)


def box_of(made: Order, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    left, top, width, height = made.found.geometry.box_normalized
    return left * shape[1], top * shape[0], width * shape[1], height * shape[0]


def png(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_every_kind_can_be_made_and_reports():
    for name, kind in KINDS.items():
        reported = []
        made = dataclasses.replace(order(), report=lambda done, total, into=reported: into.append((done, total)))
        assert kind.is_for(made.found), name
        assert len(kind.make(made)) > 100, name
        assert name in ("html", "npz", "csv", "json") or reported, name
        assert all(0 < done <= total for done, total in reported), name


def test_a_photo_has_no_clip_and_the_plain_network_no_maps():
    photo, _ = analysed("image")
    assert [name for name, kind in KINDS.items() if not kind.is_for(photo)] == ["mp4", "gif"]
    for name, kind in KINDS.items():
        if kind.is_for(photo):
            assert kind.make(order("image")), name
    bare = dataclasses.replace(photo, token_maps=None, loc=None, num_tokens=0)
    assert [name for name, kind in KINDS.items() if not kind.is_for(bare)] == ["mp4", "gif", "sheet", "csv"]
    made = dataclasses.replace(order("image"), found=bare)
    np.testing.assert_array_equal(png(KINDS["png"].make(made)), frame_of(made, 0))


@pytest.mark.parametrize("view", ["some", "owner"])
def test_where_no_token_is_on_show_the_frame_is_as_it_was(view):
    made = order("image", view=view, tokens=())
    picture = png(KINDS["png"].make(made))
    frame = frame_of(made, 0)
    rows = frame.shape[0] * picture.shape[1] // frame.shape[1]
    np.testing.assert_array_equal(picture[:rows], enlarged(frame, picture.shape[1] // frame.shape[1]))


def test_the_video_plays_everywhere_and_keeps_the_times():
    made = order(view="owner")
    with av.open(io.BytesIO(KINDS["mp4"].make(made))) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        times = [float(frame.time) for frame in container.decode(video=0)]
    np.testing.assert_allclose(times, made.found.timestamps_s - made.found.timestamps_s[0], atol=1e-4)


def test_the_picture_is_the_frame_at_the_playhead_with_its_heat():
    made = order(view="one", tokens=(2,), time_s=1.53, smooth=False, opacity=0.5)
    picture = png(KINDS["png"].make(made))
    frame = enlarged(frame_of(made, 15))
    maps = made.found.token_maps
    expected = render.overlay_heat(
        frame, maps[15, 2], render.clip_scale(maps), opacity=0.5, box_xywh=box_of(made, frame.shape), method="nearest"
    )
    np.testing.assert_array_equal(picture[: frame.shape[0]], expected)
    assert picture.shape[0] > frame.shape[0], "a legend below"


def test_chosen_tokens_are_drawn_each_to_its_own_scale():
    made = order(view="some", tokens=(1, 4), scale="token", smooth=False)
    frame = enlarged(frame_of(made, 0))
    maps = made.found.token_maps
    own = maps[0, [1, 4]] / maps[:, [1, 4]].max(axis=(0, 2, 3))[:, None, None]
    box = box_of(made, frame.shape)
    expected = render.overlay_tokens(frame, own, 1.0, token_ids=(1, 4), box_xywh=box, method="nearest")
    drawn = made.painter.paint(frame_of(made, 0), 0.0)[: frame.shape[0]]
    same = (drawn == expected).all(axis=-1)
    assert same.mean() > 0.97, "all but two numbers"
    assert not same.all()


def test_owners_that_are_not_chosen_stay_clear():
    made = order(view="owner", tokens=(3,), smooth=False)
    rgb = frame_of(made, 4)
    drawn, frame = made.painter.paint(rgb, 0.4)[:270], enlarged(rgb)
    box = [round(value) for value in box_of(made, frame.shape)]
    area = (slice(box[1], box[1] + box[3]), slice(box[0], box[0] + box[2]))
    owner = render.owner_map(render.upsample_token_maps(made.found.token_maps[4], (box[3], box[2]), "nearest"))
    changed = (drawn != frame).any(axis=-1)[area]
    assert changed[owner == 3].mean() > 0.95
    assert changed[owner != 3].mean() < 0.06, "but for the number"


def test_left_of_the_divider_is_the_frame():
    made = order(view="beside", base="one", tokens=(0,), divider=0.25)
    rgb = frame_of(made, 3)
    drawn, frame = made.painter.paint(rgb, 0.3)[:270], enlarged(rgb)
    np.testing.assert_array_equal(drawn[:, :117], frame[:, :117])
    assert (drawn[:, 123:] != frame[:, 123:]).any(axis=-1).mean() > 0.9


def test_a_trail_ends_at_the_centre_of_now():
    made = order(view="one", tokens=(2,), trails=True)
    drawn = made.painter.paint(frame_of(made, 12), 1.2)
    left, top, width, height = box_of(made, (270, 480))
    x, y = track(made.found).centroid_xy[12, 2] * (width, height) + (left, top)
    np.testing.assert_allclose(drawn[round(y), round(x)], token_color(2), atol=3)
    without = StatePainter(made.found, dataclasses.replace(made.state, trails=False)).paint(frame_of(made, 12), 1.2)
    assert 0.0005 < (drawn != without).any(axis=-1).mean() < 0.1


def test_a_trail_does_not_reach_back_over_a_switch(monkeypatch):
    made = order(view="one", tokens=(2,), trails=True)
    tracks = track(made.found)
    turn = Switch(token=2, step=8, time_s=0.8, from_xy=(0.0, 0.0), to_xy=(1.0, 1.0), overlap=0.0)
    switched = dataclasses.replace(tracks, switches=(turn,))
    drawn = [made.painter.paint(frame_of(made, 12), 1.2)]
    monkeypatch.setattr("app.takeaway.picture.track_maps", lambda *_: switched)
    drawn.append(StatePainter(made.found, made.state).paint(frame_of(made, 12), 1.2))
    monkeypatch.setattr("app.takeaway.picture.track_maps", lambda *_: dataclasses.replace(tracks, switches=()))
    drawn.append(StatePainter(made.found, made.state).paint(frame_of(made, 12), 1.2))
    whole, short = (np.abs(one[:270].astype(int) - drawn[2][:270]).max() for one in drawn[:2])
    assert whole == 0, "no token of this clip turns"
    assert short > 0


def muted(*tokens: int, **state) -> Order:
    made = order(**state)
    return dataclasses.replace(made, found=dataclasses.replace(made.found, muted=tokens))


@pytest.mark.parametrize("view", ["some", "owner", "beside"])
def test_a_muted_token_is_in_no_view_of_several(view):
    """As if the network had made no such token; its number, colour and legend are gone as well."""
    made, rgb = muted(2, view=view, smooth=False), frame_of(order(), 4)
    without = order(view=view, tokens=(0, 1, 3, 4, 5), smooth=False)
    drawn, chosen, all_of_them = (
        one.painter.paint(rgb, 0.4) for one in (made, without, order(view=view, smooth=False))
    )
    assert (drawn != all_of_them).any()
    if view == "owner":  # its places go to the others, and are not left clear
        assert (drawn != chosen).any(axis=-1).mean() > 0.01
    else:
        np.testing.assert_array_equal(drawn, chosen)


def test_a_muted_token_can_be_seen_alone_and_says_so():
    made, plain = muted(2, view="one", tokens=(2,)), order(view="one", tokens=(2,))
    rgb = frame_of(made, 4)
    drawn, usual = made.painter.paint(rgb, 0.4), plain.painter.paint(rgb, 0.4)
    np.testing.assert_array_equal(drawn[:270], usual[:270])
    assert (drawn[270:] != usual[270:]).any(), "the legend says it"


def test_tiles_say_which_token_is_muted():
    rgb = frame_of(order(), 4)
    drawn, usual = (made.painter.paint(rgb, 0.4) for made in (muted(2, view="grid"), order(view="grid")))
    cols = np.nonzero((drawn != usual).any(axis=-1))[1]
    columns = round((6 * rgb.shape[0] / rgb.shape[1] * 16 / 9) ** 0.5)
    tile = drawn.shape[1] / columns
    assert set((cols // tile).astype(int)) == {2 % columns}


def test_with_all_tokens_muted_the_frame_is_plain():
    made = muted(*range(6), view="some")
    rgb = frame_of(made, 4)
    np.testing.assert_array_equal(made.painter.paint(rgb, 0.4)[:270], enlarged(rgb))


def test_hidden_maps_leave_the_frame():
    made = order(hidden=True)
    np.testing.assert_array_equal(made.painter.paint(frame_of(made, 2), 0.2), frame_of(made, 2))


def test_the_scale_of_other_maps_can_be_kept():
    made = order(view="one", tokens=(2,))
    twice = dataclasses.replace(made, scale_max=2 * render.clip_scale(made.found.token_maps))
    assert (made.painter.paint(frame_of(made, 2), 0.2) != twice.painter.paint(frame_of(made, 2), 0.2)).any()


def test_untrained_weights_are_marked_on_every_picture():
    found, clip = analysed(trained=False)
    marked = Order(found=found, clip=clip, state=PlayerState())
    origin = dataclasses.replace(found.provenance, trained=True)
    plain = dataclasses.replace(marked, found=dataclasses.replace(found, provenance=origin))
    for name in ("png", "sheet"):
        assert KINDS[name].make(marked) != KINDS[name].make(plain)


def test_a_gif_shows_ten_pictures_a_second_at_most():
    times = np.arange(90) / 30
    chosen = sorted(gif_frames(times))
    assert len(chosen) == 31
    assert np.diff(times[chosen]).min() > 0.06
    assert (chosen[0], chosen[-1]) == (0, 89)
    assert len(gif_frames(np.arange(9000) / 30)) == 120
    assert gif_frames(np.zeros(1)) == {0}
    gif = Image.open(io.BytesIO(KINDS["gif"].make(order(view="grid"))))
    assert gif.n_frames == FRAMES
    assert gif.width <= 480
    assert gif.info["duration"] == 100


def test_the_table_has_a_row_for_each_time_and_token():
    made = order()
    rows = list(csv.DictReader(io.StringIO(KINDS["csv"].make(made).decode())))
    tokens = made.found.num_tokens
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == FRAMES * tokens
    tracks, row = track(made.found), rows[7 * tokens + 4]
    assert (float(row["time_s"]), row["token"]) == (pytest.approx(0.7), "5")
    assert float(row["centroid_y"]) == pytest.approx(tracks.centroid_xy[7, 4, 1], rel=1e-5)
    assert float(row["peak"]) == pytest.approx(made.found.token_maps[7, 4].max(), rel=1e-5)
    assert float(row["stability"]) == pytest.approx(tracks.stability[6, 4], rel=1e-5)
    assert row["top_class"] == made.found.class_names[int(made.found.probs[7].argmax())]
    assert rows[0]["stability"] == ""


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@a", "\tx"])
def test_no_cell_is_a_formula(cell):
    assert harmless(cell) == f"'{cell}"
    assert harmless("a=1") == "a=1"


def test_numbers_and_maps_hold_times_model_and_settings():
    made = order(view="grid", time_s=0.5)
    numbers = json.loads(KINDS["json"].make(made))
    assert numbers["timestamps_s"] == made.found.timestamps_s.tolist()
    assert numbers["view"] == made.state.to_dict()
    assert numbers["provenance"]["weights_sha256"] == made.found.provenance.weights_sha256
    assert {"settings", "geometry", "compute", "predictions_over_time"} <= set(numbers)
    maps = np.load(io.BytesIO(KINDS["npz"].make(made)))
    np.testing.assert_array_equal(maps["token_maps"], made.found.token_maps)
    np.testing.assert_array_equal(maps["timestamps_s"], made.found.timestamps_s)


@pytest.mark.parametrize("name", ["mp4", "gif", "png", "sheet"])
def test_making_a_file_can_be_stopped(name):
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        KINDS[name].make(dataclasses.replace(order(), cancel=stop))


@pytest.mark.parametrize(
    ("name", "stem"),
    [("disc.mp4", "disc"), ("../a b<c>.png", "a-b-c"), ("…", "tokens"), ("x" * 90 + ".mov", "x" * 60)],
)
def test_files_have_harmless_names(name, stem):
    assert file_stem(name) == stem
