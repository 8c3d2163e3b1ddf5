"""A link says what is on the screen, and a page reads it again; nonsense in an address does no harm."""

import dataclasses
from pathlib import Path

import pytest

from app.clips import BrowserClip
from app.desk import Pressed
from app.explore.wish import Framing
from app.items import Item, samples
from app.player.payload import PlayerState
from app.results import Shown
from app.takeaway import link
from tests.app_cases import request_for, tiny_choice
from tests.takeaway_cases import analysed
from tokenlearner.media import Sampling

SHA = "0123456789abcdef" * 4


def shown_of(tmp_path: Path, item: Item, *, random: bool = False, **changes: object) -> Shown:
    found, _ = analysed()
    model = tiny_choice(tmp_path, random=random)
    return Shown(
        request_for(item.key, model, **changes), item, model, found, BrowserClip(b"", "video/mp4", (1, 1), 0.0)
    )


def upload(tmp_path: Path) -> Item:
    return Item(key=f"file:{SHA}", name="my clip & more.mp4", kind="video", path=tmp_path / "0.mp4")


def test_a_page_reads_what_a_link_says(tmp_path):
    sampling = Sampling(start_s=1.5, end_s=4.25, max_frames=120, max_fps=2.5)
    shown = shown_of(tmp_path, samples()[0], random=True, sampling=sampling, resize="crop", input_side=48)
    found = dataclasses.replace(shown.analysis, loc=3, num_tokens=4)
    desk = Pressed(muted=(0, 2), solo=(3,))
    said = link.parameters(shown, found, desk)
    read = link.read(said)
    assert read == link.Link(
        item=samples()[0].key,
        model="tiny",
        random=True,
        loc=3,
        tokens=4,
        desk=desk,
        framing=Framing(sampling=sampling, resize="crop", detail=1.5),
        state=PlayerState(),
    )
    assert read.is_for(samples()[0].key)
    assert not read.is_for(samples()[1].key)


def test_a_range_in_a_link_is_exact_to_the_microsecond(tmp_path):
    sampling = Sampling(start_s=1234.533367, end_s=1299.0)
    shown = shown_of(tmp_path, samples()[0], sampling=sampling)
    assert link.read(link.parameters(shown, shown.analysis)).framing.sampling == sampling


@pytest.mark.parametrize("rate", ["0", "-5", "nan", "inf", "1e3", "many"])
def test_a_link_with_a_frame_rate_that_cannot_be_asks_for_every_frame(rate):
    assert link.read({"item": "sample:cat", "fps": rate}).framing.sampling.max_fps is None


def test_the_plain_network_has_a_link_too(tmp_path):
    shown = shown_of(tmp_path, samples()[0])
    read = link.read(link.parameters(shown, dataclasses.replace(shown.analysis, loc=None, num_tokens=0)))
    assert (read.loc, read.tokens, read.random) == (None, 0, False)


def test_a_link_knows_an_upload_again_but_holds_none_of_it(tmp_path):
    shown = shown_of(tmp_path, upload(tmp_path))
    said = link.parameters(shown, shown.analysis)
    assert SHA not in repr(said)
    read = link.read(said)
    assert read.name == "my clip & more.mp4"
    assert read.is_for(f"file:{SHA}")
    assert not read.is_for("file:" + "f" * 64)
    assert not read.is_for(samples()[0].key)


def test_the_view_is_read_with_numbers_as_people_count():
    query = {
        "item": "sample:cat",
        "t": "1.969",
        "view": "beside",
        "base": "owner",
        "tokens": "1.3",
        "pin": "0.4062_0.5",
    }
    query |= {"opacity": "0.55", "smooth": "0", "scale": "token", "trails": "1", "hidden": "1", "divider": "0.3"}
    assert link.read(query).state == PlayerState(
        time_s=1.969,
        view="beside",
        base="owner",
        tokens=(0, 2),
        pin=(0.4062, 0.5),
        opacity=0.55,
        smooth=False,
        scale="token",
        trails=True,
        hidden=True,
        divider=0.3,
    )


def test_muted_and_solo_tokens_are_told_as_people_count(tmp_path):
    shown = shown_of(tmp_path, samples()[0])
    said = link.parameters(shown, shown.analysis, Pressed(muted=(1, 4), solo=(0,)))
    assert (said["mute"], said["solo"]) == ("2.5", "1")
    usual = link.parameters(shown, shown.analysis)
    assert not {"mute", "solo"} & set(usual)
    assert link.read(usual).desk == Pressed()
    assert link.read({"item": "sample:cat", "mute": "5.2.5.0.x.-3."}).desk == Pressed(muted=(1, 4))


@pytest.mark.parametrize(("said", "tokens"), [("0", ()), ("3.1", (0, 2)), ("", None), ("x", None)])
def test_no_token_at_all_can_be_on_show(said, tokens):
    assert link.read({"item": "sample:cat", "tokens": said}).state.tokens == tokens


@pytest.mark.parametrize("query", [{}, {"item": "cat"}, {"item": "../etc/passwd"}, {"item": "sample:" + "x" * 200}])
def test_an_address_that_asks_for_nothing_is_no_link(query):
    assert link.read(query) is None


def test_nonsense_is_left_out():
    names = ("model", "k", "loc", "t", "view", "base", "tokens", "pin", "opacity", "scale", "divider")
    names += ("mute", "solo", "from", "to", "frames", "fit", "detail", "smooth", "random")
    for value in ("", "-1", "nan", "1e999", "<script>", "²", "9" * 50, "None", "1_2_3", "..", "a_b"):
        read = link.read({"item": "file:", "name": f"../{value}<b>"} | dict.fromkeys(names, value))
        assert (read.framing, read.loc) == (Framing(), "default")
        assert (read.state, read.desk) == (PlayerState(), Pressed())
        assert "/" not in read.name
    assert link.read({"item": "sample:cat", "from": "5", "to": "2"}).framing == Framing()
    assert not link.read({"item": "file:"}).is_for(f"file:{SHA}")
