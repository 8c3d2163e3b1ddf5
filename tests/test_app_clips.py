"""What the browser plays has the analysed frames at the analysed times, in a size that can be sent."""

import io

import av
import numpy as np
import pytest
from PIL import Image

from app.clips import CLIP_SIDE, STILL_SIDE, ClipRecorder, fit_within
from tests.engine_cases import pictures
from tokenlearner.media import Frame


def recorded(frames, times):
    with ClipRecorder() as recorder:
        for index, (rgb, time_s) in enumerate(zip(frames, times, strict=True)):
            recorder.add(Frame(rgb, time_s, index))
        return recorder.finish()


def decoded(clip):
    with av.open(io.BytesIO(clip.media)) as container:
        stream = container.streams.video[0]
        frames = [(float(frame.time), frame.to_ndarray(format="rgb24")) for frame in container.decode(stream)]
        return stream.codec_context.name, stream.codec_context.pix_fmt, frames


def test_a_clip_holds_every_frame_at_its_time_from_the_first_one_on():
    times = [2.0, 2.1, 2.35, 2.4, 3.0]
    frames = pictures(5, (46, 80))
    clip = recorded(frames, times)
    codec, pixels, found = decoded(clip)
    assert (clip.mime, codec, pixels) == ("video/mp4", "h264", "yuv420p")
    assert (clip.start_s, clip.frame_hw) == (2.0, (46, 80))
    assert [time_s for time_s, _ in found] == pytest.approx([time_s - 2.0 for time_s in times], abs=1e-4)
    for (_, rgb), original in zip(found, frames, strict=True):
        assert np.abs(rgb.astype(int) - original).mean() < 8


def test_a_large_clip_is_made_smaller_in_its_own_shape_with_even_sides():
    clip = recorded([np.zeros((1083, 1925, 3), np.uint8)] * 2, [0.0, 0.5])
    assert clip.frame_hw == (540, CLIP_SIDE)
    assert decoded(clip)[2][0][1].shape == (540, CLIP_SIDE, 3)


def test_frames_that_change_size_are_brought_to_the_first_ones_size():
    clip = recorded([np.zeros((46, 80, 3), np.uint8), np.zeros((60, 100, 3), np.uint8)], [0.0, 0.5])
    assert [rgb.shape for _, rgb in decoded(clip)[2]] == [(46, 80, 3)] * 2


def test_a_single_frame_becomes_a_jpeg():
    (frame,) = pictures(1, (47, 81))
    clip = recorded([frame], [1.25])
    assert (clip.mime, clip.frame_hw, clip.start_s) == ("image/jpeg", (47, 81), 1.25)
    found = np.asarray(Image.open(io.BytesIO(clip.media)))
    assert np.abs(found.astype(int) - frame).mean() < 4


def test_a_large_photograph_is_made_smaller():
    clip = recorded([np.zeros((3000, 2000, 3), np.uint8)], [0.0])
    assert clip.frame_hw == (STILL_SIDE, 1067)


def test_a_recorder_that_is_left_early_leaves_no_file():
    with ClipRecorder() as recorder:
        for index, rgb in enumerate(pictures(2, (46, 80))):
            recorder.add(Frame(rgb, index / 10, index))
        folder = recorder._folder
        assert folder.exists()
    assert not folder.exists()


def test_no_frame_makes_no_clip():
    with ClipRecorder() as recorder, pytest.raises(ValueError, match="at least one frame"):
        recorder.finish()


@pytest.mark.parametrize(
    ("frame_hw", "side", "even", "expected"),
    [((10, 20), 40, False, (10, 20)), ((30, 90), 60, False, (20, 60)), ((1, 4000), 960, True, (2, 960))],
)
def test_sizes_fit_without_growing(frame_hw, side, even, expected):
    assert fit_within(frame_hw, side, even=even) == expected
