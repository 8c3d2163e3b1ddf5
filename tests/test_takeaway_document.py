"""The one HTML file: whole, small, silent on the network, and nothing in it but what we put there."""

import base64
import dataclasses
import json
import re
import threading
from html.parser import HTMLParser

import numpy as np
import pytest

from app.clips import BrowserClip, ClipRecorder
from app.player.payload import PlayerState
from app.takeaway.clips import fit_clip, frames_of
from app.takeaway.document import write_html
from tests.takeaway_cases import FRAMES, NASTY, analysed
from tokenlearner.errors import Cancelled
from tokenlearner.media import Frame


class Elements(HTMLParser):
    """All elements with their attributes, and the text of those that have an id or matter as a whole."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag in ("script", "title", "h1"):
            self.inside = [dict(attrs).get("id") or tag]

    def handle_endtag(self, tag):
        if tag in ("script", "title", "h1"):
            self.inside = []

    def handle_data(self, data):
        for name in self.inside:
            self.texts[name] = self.texts.get(name, "") + data


def read(document: bytes) -> Elements:
    return Elements(document.decode())


def header_of(elements: Elements) -> dict:
    payload = base64.b64decode(elements.texts["payload"])
    length = int.from_bytes(payload[4:8], "little")
    return json.loads(payload[8 : 8 + length])


def test_it_holds_the_clip_the_maps_and_the_numbers():
    found, clip = analysed()
    elements = read(write_html(found, clip))
    payload, header = base64.b64decode(elements.texts["payload"]), header_of(elements)
    assert clip.media in payload
    assert header["maps"]["shape"] == list(found.token_maps.shape)
    assert header["start_s"] == clip.start_s
    numbers = json.loads(elements.texts["numbers"])
    assert numbers == json.loads(json.dumps(found.summary()))
    assert numbers["provenance"]["weights_sha256"] in write_html(found, clip).decode()
    assert json.loads(elements.texts["said"])["player"] == header["key"]


def test_nothing_in_it_points_outside():
    found, clip = analysed()
    elements = read(write_html(found, clip))
    for tag, attributes in elements.found:
        for name in ("src", "href", "srcset", "poster", "action"):
            assert attributes.get(name) in (None, "data:,"), tag
    policy = next(values["content"] for _, values in elements.found if "http-equiv" in values)
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    made_there = r"url\(\$\{picture\.toDataURL\("  # the player holds a frame of its own while a clip is exchanged
    assert not re.search(r"@import|url\(", re.sub(made_there, "", write_html(found, clip).decode()))


def test_a_files_name_is_only_ever_text():
    plain, clip = analysed()
    nasty = dataclasses.replace(
        plain,
        media=dataclasses.replace(plain.media, name=NASTY, codec=NASTY),
        class_names=tuple(f"{NASTY}{i}" for i in range(len(plain.class_names))),
        notes=(NASTY,),
        provenance=dataclasses.replace(plain.provenance, model_name=NASTY),
    )
    noted = dataclasses.replace(plain, notes=("A note.",))
    usual = read(write_html(noted, clip, facts={"A": [("b", "c")]}, credit="somebody"))
    document = write_html(nasty, clip, facts={NASTY: [(NASTY, NASTY)]}, credit=NASTY)
    elements = read(document)
    assert [tag for tag, _ in elements.found] == [tag for tag, _ in usual.found]
    assert elements.texts["h1"] == NASTY
    assert elements.texts["title"].startswith(NASTY)
    assert json.loads(elements.texts["numbers"])["media"]["name"] == NASTY
    assert document.count(b"<script") == document.count(b"</script>") == 4


def test_it_begins_with_the_view_that_was_on_the_screen():
    found, clip = analysed()
    start = PlayerState(time_s=0.7, view="owner", tokens=(1, 3), trails=True)
    assert header_of(read(write_html(found, clip, start=start)))["start"] == start.to_dict()


def test_untrained_weights_are_marked():
    found, clip = analysed(trained=False)
    document = write_html(found, clip)
    assert header_of(read(document))["caption"] == "UNTRAINED WEIGHTS"
    assert b"UNTRAINED</dd>" in document


def test_the_scale_can_be_that_of_other_maps():
    found, clip = analysed()
    assert header_of(read(write_html(found, clip, scale_max=0.123)))["maps"]["scale_max"] == 0.123


def test_a_photo_and_the_plain_network_have_a_file_too():
    found, clip = analysed("image", name="a photo.png")
    header = header_of(read(write_html(found, clip)))
    assert (header["media"]["kind"], header["maps"]["shape"][0]) == ("image", 1)
    bare = dataclasses.replace(found, token_maps=None, loc=None, num_tokens=0)
    assert header_of(read(write_html(bare, clip)))["maps"] is None


def noise_clip(frames: int = 40, frame_hw: tuple[int, int] = (360, 640)) -> BrowserClip:
    """A clip that does not compress."""
    rng = np.random.default_rng(3)
    with ClipRecorder() as recorder:
        for index in range(frames):
            rgb = rng.integers(0, 255, (*frame_hw, 3), np.uint8)
            recorder.add(Frame(rgb=rgb, timestamp_s=5 + index * 0.04 + (0.5 if index > 20 else 0), index=index))
        return recorder.finish()


@pytest.fixture(scope="module")
def noisy() -> BrowserClip:
    return noise_clip()


def test_a_clip_within_the_budget_stays_as_it_is(noisy):
    assert fit_clip(noisy, len(noisy.media)) is noisy


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_a_large_clip_is_made_to_fit_and_keeps_its_times(noisy, share):
    reported = []
    small = fit_clip(noisy, int(share * len(noisy.media)), report=lambda done, total: reported.append((done, total)))
    assert len(small.media) <= share * len(noisy.media)
    assert small.start_s == noisy.start_s
    assert small.frame_hw[0] / small.frame_hw[1] == pytest.approx(360 / 640, rel=0.02)
    with frames_of(noisy) as before, frames_of(small) as after:
        np.testing.assert_allclose(after.planned_s, before.planned_s, atol=1e-4)
        assert {frame.rgb.shape[:2] for frame in after} == {small.frame_hw}
    assert reported[-1] == (40, 40)


def test_what_cannot_fit_is_as_small_as_it_gets(noisy):
    assert max(fit_clip(noisy, 10).frame_hw) == 240


def test_a_large_photo_is_made_to_fit():
    with ClipRecorder() as recorder:
        recorder.add(
            Frame(rgb=np.random.default_rng(0).integers(0, 255, (1000, 1500, 3), np.uint8), timestamp_s=0.0, index=0)
        )
        photo = recorder.finish()
    small = fit_clip(photo, len(photo.media) // 2)
    assert small.mime == "image/jpeg"
    assert len(small.media) <= len(photo.media) // 2


def test_making_it_smaller_can_be_stopped(noisy):
    stop = threading.Event()
    with pytest.raises(Cancelled):
        fit_clip(noisy, len(noisy.media) // 2, report=lambda done, total: stop.set(), cancel=stop)


def test_all_frames_come_back():
    _, clip = analysed()
    with frames_of(clip) as reader:
        assert len(list(reader)) == FRAMES
