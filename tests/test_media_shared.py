"""Real photos and videos from elsewhere, where they lie at hand; none is part of the repository."""

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.conftest import SHARED
from tokenlearner.errors import MediaError
from tokenlearner.media import Sampling, open_media

UNREADABLE = {
    "broken.png": "broken.png is a picture that is damaged or of a kind that cannot be read here. "
    "Save it as PNG or JPEG first.",
    "sk_multipage_rgb.tif": "sk_multipage_rgb.tif is a picture that is damaged or of a kind that cannot be read here. "
    "Save it as PNG or JPEG first.",
    "sk_truncated.jpg": "sk_truncated.jpg is damaged or incomplete. Copy or download it again.",
}


def files() -> list[str]:
    table = SHARED / "media" / "SOURCES.tsv"
    if not table.is_file():
        return ["SOURCES.tsv"]  # one case, which `shared_dir` or the missing table skips
    with open(table, newline="", encoding="utf-8") as lines:
        return [row["file"] for row in csv.DictReader(lines, delimiter="\t")]


def path_of(shared_dir: Path, name: str) -> Path:
    path = shared_dir / "media" / name
    if not path.is_file():
        pytest.skip(f"no {path}")
    return path


@pytest.mark.parametrize("name", files())
def test_it_reads_like_a_plain_decoder_or_says_why_not(shared_dir, name):
    path = path_of(shared_dir, name)
    if path.name in UNREADABLE:
        with pytest.raises(MediaError) as caught, open_media(path) as reader:
            list(reader)
        assert str(caught.value) == UNREADABLE[path.name]
        return
    with open_media(path, Sampling(end_s=1.5, max_frames=9)) as reader:
        frames = list(reader)
    info = reader.info
    assert len(frames) == len(reader)
    assert min(2, info.num_frames) <= len(frames) <= 9
    assert all(frame.rgb.shape == (info.height, info.width, 3) for frame in frames)
    assert all(frame.rgb.std() > 4 for frame in frames if info.width * info.height > 2 and path.suffix != ".png")
    plain = pictures_of(path, [frame.index for frame in frames], info.codec)
    for frame, expected in zip(frames, plain, strict=True):
        if expected is not None:
            assert np.abs(frame.rgb.astype(int) - expected).mean() < 4


def pictures_of(path: Path, wanted: list[int], codec: str) -> Iterator[np.ndarray | None]:
    """The same pictures by Pillow's or PyAV's own conversion; None where that shows something else on purpose."""
    if path.suffix in {".mp4", ".mkv"}:
        yield from video_pictures(path, wanted)
        return
    with Image.open(path) as image:
        skipped = 1 if getattr(image, "default_image", False) and codec == "apng" else 0
        for number in wanted:
            image.seek(number + skipped)
            if image.mode.startswith("I;16") or "icc_profile" in image.info:
                yield None
                continue
            upright = ImageOps.exif_transpose(image).convert("RGBA")
            yield np.array(Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright).convert("RGB"))


def video_pictures(path: Path, wanted: list[int]) -> Iterator[np.ndarray]:
    with av.open(str(path)) as container:
        # The larger of two videos; in all these files, that is the main one.
        stream = max(container.streams.video, key=lambda stream: stream.width * stream.height)
        for number, frame in enumerate(itertools.islice(container.decode(stream), max(wanted) + 1)):
            if number in wanted:
                yield frame.to_ndarray(format="rgb24")


@pytest.mark.parametrize("value", range(9))
def test_eight_orientations_of_one_photo_look_the_same(shared_dir, value):
    shown = []
    for name in ("Landscape_1.jpg", f"Landscape_{value}.jpg"):
        with open_media(path_of(shared_dir, f"images_odd/exif/{name}")) as reader:
            shown.append(next(iter(reader)).rgb)
    # The photo has its number printed in the middle: compare away from it.
    left, right = (rgb[:300, :600].astype(int) for rgb in shown)
    assert np.abs(left - right).mean() < 6
