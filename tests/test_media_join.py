"""Clips joined end to end without encoding anything again."""

import av
import numpy as np
import pytest

from tests.engine_cases import pictures
from tokenlearner.errors import MediaError
from tokenlearner.media import Piece, VideoWriter, join_pieces

TIMES = [0.0, 0.1, 0.25, 0.3, 0.7, 0.8, 0.95, 1.0, 1.3]
FRAMES = pictures(len(TIMES), (46, 80))


def written(folder, *ends):
    """Pieces of the clip: up to each end, from the one before."""
    pieces = []
    for begin, end in zip((0, *ends), ends, strict=False):
        path = folder / f"{begin}.mp4"
        with VideoWriter(path, (46, 80)) as writer:
            for rgb, time_s in zip(FRAMES[begin:end], TIMES[begin:end], strict=True):
                writer.write(rgb, time_s)
        pieces.append(Piece(path, TIMES[begin]))
    return pieces


def read(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        length_s = float(stream.duration * stream.time_base)
        return [(float(f.time), f.to_ndarray(format="rgb24")) for f in container.decode(stream)], length_s


@pytest.mark.parametrize("ends", [(9,), (5, 9), (1, 2, 9), (4, 8, 9)])
def test_a_joined_clip_has_every_picture_at_its_time(tmp_path, ends):
    assert join_pieces(written(tmp_path, *ends), tmp_path / "joined.mp4") == 9
    found, length_s = read(tmp_path / "joined.mp4")
    assert [time_s for time_s, _ in found] == pytest.approx(TIMES, abs=1e-4)
    for (_, rgb), original in zip(found, FRAMES, strict=True):
        assert np.abs(rgb.astype(int) - original).mean() < 8
    assert length_s == pytest.approx(1.3 + 0.3, abs=1e-4)


@pytest.mark.parametrize("frames", [1, 4, 5, 6, 9])
def test_a_joined_clip_can_end_early(tmp_path, frames):
    assert join_pieces(written(tmp_path, 5, 9), tmp_path / "joined.mp4", frames=frames) == frames
    found, _ = read(tmp_path / "joined.mp4")
    assert [time_s for time_s, _ in found] == pytest.approx(TIMES[:frames], abs=1e-4)


def test_it_starts_at_once_and_its_index_comes_first(tmp_path):
    join_pieces(written(tmp_path, 5, 9), tmp_path / "joined.mp4")
    content = (tmp_path / "joined.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(str(tmp_path / "joined.mp4")) as container:
        assert container.streams.video[0].start_time == 0


def test_a_piece_that_cannot_be_read_leaves_nothing(tmp_path):
    pieces = written(tmp_path, 5, 9)
    pieces[1].path.write_bytes(b"no clip")
    with pytest.raises(MediaError, match=r"joined\.mp4 cannot be written"):
        join_pieces(pieces, tmp_path / "joined.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.mp4", "5.mp4"]


@pytest.mark.parametrize(("ends", "frames"), [((), None), ((9,), 0)])
def test_nothing_makes_no_clip(tmp_path, ends, frames):
    with pytest.raises(ValueError, match="at least one picture"):
        join_pieces(written(tmp_path, *ends), tmp_path / "joined.mp4", frames=frames)
