"""A link to a comparison: what it says is what a page makes of it, and nonsense is left out."""

import pytest

from app.compare.lanes import Lane
from app.compare.link import read, written

LANES = (
    Lane(model="photos110-elastic", loc=4, num_tokens=8),
    Lane(model="a.name.with.dots", loc=None, num_tokens=3, random=True),
    Lane(model="random", loc=0, num_tokens=1),
)
MEDIA = {"item": "sample:cat"}


def query(*lanes: str) -> dict[str, str]:
    return MEDIA | dict(zip("abcd", lanes, strict=False))


def test_what_a_link_says_of_a_lane_can_be_read_by_people():
    assert written(LANES[0]) == "8.4.trained.photos110-elastic"
    assert written(LANES[1]) == "3.none.random.a.name.with.dots"


def test_lanes_come_back_as_they_were():
    found = read(query(*map(written, LANES)))
    assert found is not None
    assert found.lanes == LANES
    assert found.media.is_for("sample:cat")


@pytest.mark.parametrize("told", [{"t": "1.25", "from": "0.5", "to": "3", "frames": "40", "fit": "crop"}])
def test_frames_and_time_come_back_too(told):
    found = read(query(*map(written, LANES)) | told)
    assert found is not None
    assert found.media.state.time_s == 1.25
    sampling = found.media.framing.sampling
    assert (sampling.start_s, sampling.end_s, sampling.max_frames) == (0.5, 3.0, 40)
    assert found.media.framing.resize == "crop"


@pytest.mark.parametrize(
    "asked",
    [
        {},
        MEDIA,
        query("8.4.trained.one"),  # nothing to compare with
        {name: value for name, value in query(*map(written, LANES)).items() if name != "item"},
        query("x.4.trained.one", "8.4.trained.one"),
        query("8.4.trained.one", "8.-1.trained.one"),
        query("8.4.trained.one", "8.4.learned.one"),
        query("8.4.trained.one", "8.4.trained."),
        query("8.4.trained.one", "٣.4.trained.one"),
        MEDIA | {"a": "8.4.trained.one", "c": "8.4.trained.one"},
    ],
)
def test_an_address_that_makes_no_sense_asks_for_nothing(asked):
    assert read(asked) is None


def test_lanes_after_a_gap_are_left_out():
    lanes = [written(LANES[0]), written(LANES[1]), "nonsense", written(LANES[2])]
    found = read(query(*lanes))
    assert found is not None
    assert found.lanes == LANES[:2]
