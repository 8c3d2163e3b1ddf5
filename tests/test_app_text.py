"""Numbers and names as people read them."""

import pytest

from app import text
from tests.engine_cases import TINY


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [(0.3149, 2, "0.31"), (12.4, 2, "12"), (1234.0, 2, "1200"), (0.0996, 2, "0.10"), (9.96, 2, "10"), (0.0, 2, "0")],
)
def test_significant_digits(value, digits, expected):
    assert text.significant(value, digits) == expected


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.0, "0 %"),
        (0.0004, "<0.1 %"),
        (0.0612, "6.1 %"),
        (0.619, "62 %"),
        (0.9996, "99.9 %"),
        (1.0, "100 %"),
        (1.02, "102 %"),
    ],
)
def test_shares(share, expected):
    assert text.percent(share) == expected


@pytest.mark.parametrize(
    ("duration_s", "expected"),
    [
        (0.0, "0 s"),
        (0.42, "0.42 s"),
        (12.4, "12 s"),
        (99.4, "99 s"),
        (200, "3 min 20 s"),
        (240, "4 min"),
        (7325, "2 h 2 min"),
    ],
)
def test_durations(duration_s, expected):
    assert text.seconds(duration_s) == expected


@pytest.mark.parametrize(
    ("time_s", "expected"),
    [
        (0.0, "0.00 s"),
        (4.204, "4.20 s"),
        (59.994, "59.99 s"),
        (59.996, "1:00.00"),
        (64.2, "1:04.20"),
        (754.5, "12:34.50"),
    ],
)
def test_times_in_a_clip(time_s, expected):
    assert text.clock(time_s) == expected


def test_counts_sizes_and_places():
    assert text.operations(312_345_678, "MACs") == ("0.31", "GMACs")
    assert text.operations(3_210_000, "FLOPs") == ("3.2", "MFLOPs")
    assert text.operations(3_210_000, "MACs", like=600_000_000) == ("0.0032", "GMACs")
    assert [text.size(n) for n in (999, 420_000, 3_140_000)] == ["999 bytes", "420 kB", "3.1 MB"]
    assert [text.ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 112)] == [
        "1st",
        "2nd",
        "3rd",
        "4th",
        "11th",
        "12th",
        "13th",
        "21st",
        "112th",
    ]
    assert [text.count(n, "frame") for n in (1, 3)] == ["1 frame", "3 frames"]
    assert text.milliseconds(8.449) == "8.4 ms"
    assert text.milliseconds(123.4) == "123 ms"


def test_the_place_of_the_module_needs_no_convention_for_counting_blocks():
    assert text.place_name(3, TINY) == "after 3 of 5 blocks"
    assert text.place_name(0, TINY) == "before the first block"
    assert text.place_name(None, TINY) == "nowhere: plain ViT"


def test_what_a_user_names_is_not_read_as_markdown():
    assert text.plain("a_b*c*.mp4") == r"a\_b\*c\*\.mp4"
    assert text.plain("![x](http://h/p.png)") == r"\!\[x\]\(http\:\/\/h\/p\.png\)".replace(r"\/", "/")
    assert text.plain("<b>\n:red[x] $1$") == r"\<b\> \:red\[x\] \$1\$"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("water_lilly", "water lily"),
        ("Motorbikes", "motorbikes"),
        ("grand_piano", "grand piano"),
        ("class 7", "class 7"),
    ],
)
def test_classes_are_named_as_people_write_them(name, label):
    assert text.class_label(name) == label
