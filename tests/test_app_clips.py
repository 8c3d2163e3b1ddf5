"""What the browser plays has the analysed frames at the analysed times, in a size that can be sent."""

import io
import threading

import av
import numpy as np
import pytest
from PIL import Image

from app.clips import CLIP_SIDE, PLAYED_FRAMES, STILL_SIDE, ClipRecorder, fit_within, played
from tests.engine_cases import pictures
from tokenlearner.media import Frame, Sampling, VideoWriter
from tokenlearner.media.sampling import choose_frames


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


TIMES = [2.0, 2.1, 2.35, 2.4, 3.0, 3.05, 3.2, 3.3, 3.65, 3.7, 3.9]


def begin(recorder, count, first=0):
    """Add frames of a clip of eleven, from one on."""
    for index, rgb in list(enumerate(pictures(len(TIMES), (46, 80))))[first : first + count]:
        recorder.add(Frame(rgb, TIMES[index], index))


def assert_holds(clip, count):
    """Whether a clip holds the first frames at their times, and no more, and is a plain MP4 with its index first."""
    codec, _, found = decoded(clip)
    assert (clip.mime, codec, clip.start_s, clip.frame_hw) == ("video/mp4", "h264", 2.0, (46, 80))
    assert [time_s for time_s, _ in found] == pytest.approx([time_s - 2.0 for time_s in TIMES[:count]], abs=1e-4)
    for (_, rgb), original in zip(found, pictures(len(TIMES), (46, 80)), strict=False):
        assert np.abs(rgb.astype(int) - original).mean() < 8
    assert clip.media.index(b"moov") < clip.media.index(b"mdat")
    assert b"moof" not in clip.media


def test_the_first_frames_can_be_had_while_more_are_to_come():
    with ClipRecorder() as recorder:
        begin(recorder, 6)
        assert_holds(recorder.part(4), 4)  # decoding runs ahead of the network
        begin(recorder, 1, 6)
        assert_holds(recorder.part(7), 7)
        assert_holds(recorder.part(7), 7)
        begin(recorder, 4, 7)
        assert_holds(recorder.finish(), 11)


def test_a_part_ends_with_an_analysed_frame_and_holds_those_between():
    frames = pictures(len(TIMES), (46, 80))
    with ClipRecorder() as recorder:
        for index, rgb in enumerate(frames[:9]):
            recorder.add(Frame(rgb, TIMES[index], index, is_extra=index % 3 > 0))
        assert_holds(recorder.part(2), 4)
        assert_holds(recorder.part(3), 7)
        with pytest.raises(ValueError, match="A part of 3 frames cannot have 4"):
            recorder.part(4)
        assert_holds(recorder.finish(), 9)


def test_a_clip_is_shown_at_thirty_frames_a_second_however_few_are_analysed():
    times = np.arange(2400) / 60
    shown = choose_frames(times, 40.0, played(Sampling(start_s=10.0, end_s=20.0, max_frames=50)))
    assert shown.tolist() == list(range(600, 1200, 2))
    assert len(choose_frames(np.arange(9000) / 25, 360.0, played(Sampling()))) == PLAYED_FRAMES
    assert len(choose_frames(times, 40.0, played(Sampling(max_frames=2000)))) == 1200


def test_one_frame_of_a_clip_is_shown_alone():
    assert played(Sampling(max_frames=1)) == Sampling(max_frames=1)


def test_no_frame_is_encoded_twice(monkeypatch):
    encoded = []
    write = VideoWriter.write
    monkeypatch.setattr(VideoWriter, "write", lambda self, rgb, at: (encoded.append(at), write(self, rgb, at)))
    with ClipRecorder() as recorder:
        begin(recorder, 5)
        recorder.part(3)
        begin(recorder, 6, 5)
        recorder.part(9)
        recorder.finish()
    assert encoded == TIMES


def test_without_parts_the_clip_is_what_one_encoder_writes(tmp_path):
    with ClipRecorder() as recorder:
        begin(recorder, 11)
        clip = recorder.finish()
    with VideoWriter(tmp_path / "one.mp4", (46, 80), crf=23) as writer:
        for rgb, time_s in zip(pictures(11, (46, 80)), TIMES, strict=True):
            writer.write(rgb, time_s)
    assert clip.media == (tmp_path / "one.mp4").read_bytes()


def test_the_last_frame_of_a_part_is_shown_as_long_as_the_one_before():
    with ClipRecorder() as recorder:
        begin(recorder, 6)
        part = recorder.part(5)
    with av.open(io.BytesIO(part.media)) as container:
        stream = container.streams.video[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(1.0 + 0.6, abs=1e-4)


@pytest.mark.parametrize("frames", [0, 1, 4])
def test_a_part_holds_no_frame_that_was_not_added(frames):
    with ClipRecorder() as recorder:
        begin(recorder, 3)
        with pytest.raises(ValueError, match=f"A part of 3 frames cannot have {frames}"):
            recorder.part(frames)


def test_parts_can_be_had_while_another_thread_adds_frames():
    with ClipRecorder() as recorder:
        begin(recorder, 2)
        thread = threading.Thread(target=begin, args=(recorder, 9, 2))
        thread.start()
        parts = [recorder.part(2) for _ in range(5)]
        thread.join()
        for part in parts:
            assert_holds(part, 2)
        assert_holds(recorder.finish(), 11)


def test_no_frame_makes_no_clip():
    with ClipRecorder() as recorder, pytest.raises(ValueError, match="at least one frame"):
        recorder.finish()


@pytest.mark.parametrize(
    ("frame_hw", "side", "even", "expected"),
    [
        ((10, 20), 40, False, (10, 20)),
        ((30, 90), 60, False, (20, 60)),
        ((1, 4000), 960, True, (2, 960)),
        ((7, 9), 40, True, (6, 8)),
    ],
)
def test_sizes_fit_without_growing(frame_hw, side, even, expected):
    assert fit_within(frame_hw, side, even=even) == expected
