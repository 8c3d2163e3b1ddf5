import hashlib
import io
import json
import struct

import av
import cv2
import numpy as np
import pytest

from app.player.payload import PlayerOptions, PlayerState, media_hw, pack, quantize
from tokenlearner.palette import HEAT_LUT, UNIT_SHARE, UNIT_SIGMOID

MEDIA = b"\x00\x01a clip of seventeen"
TIMES = np.array([0.0, 0.4, 1.7])
OPTIONS = PlayerOptions(key="here")


def some_maps(time: int = 3, tokens: int = 2, rows: int = 4, cols: int = 5) -> np.ndarray:
    return np.random.default_rng(3).random((time, tokens, rows, cols), dtype=np.float32) * 0.06


def packed(**changes: object) -> bytes:
    arguments: dict = {
        "media": MEDIA,
        "mime": "video/mp4",
        "maps": some_maps(),
        "timestamps_s": TIMES,
        "scale_max": 0.06,
        "unit": UNIT_SHARE,
        "options": OPTIONS,
        "frame_hw": (90, 160),
    }
    return pack(**(arguments | changes))


def read(payload: bytes) -> tuple[dict, dict[str, bytes]]:
    """The format read back by its description alone."""
    magic, length = struct.unpack_from("<4sI", payload)
    assert magic == b"TLP1"
    header = json.loads(payload[8 : 8 + length])
    body = payload[8 + length :]
    return header, {name: body[at : at + size] for name, (at, size) in header["sections"].items()}


def error_bound(weights: np.ndarray, top: float) -> np.ndarray:
    """What `quantize` says a weight may be off."""
    return top * (0.006 * (weights / top) ** (2 / 3) + 1e-8)


def test_everything_comes_back_out():
    maps = some_maps()
    header, sections = read(packed(maps=maps))
    assert sections["media"] == MEDIA
    np.testing.assert_array_equal(np.frombuffer(sections["timestamps_s"], "<f8"), TIMES)
    levels = np.frombuffer(sections["maps"], np.uint8).reshape(header["maps"]["shape"])
    assert levels.shape == (3, 2, 4, 5)
    assert header["maps"]["top"] == 1.0
    assert (np.abs((levels / 255) ** 3 - maps) <= error_bound(maps, 1.0)).all()
    np.testing.assert_array_equal(np.frombuffer(sections["heat"], np.uint8).reshape(256, 3), HEAT_LUT)


def test_the_header_tells_what_the_player_prints():
    header, _ = read(
        packed(
            token_ids=(4, 17),
            caption='<b>"UNTRAINED" – weights</b>',
            box=(0.1, 0.0, 0.8, 1.0),
            start_s=2.5,
            clip_id="disc",
            options=PlayerOptions(key="k", autoplay=True, start=PlayerState(time_s=3.0)),
            muted=(17, 3),
        )
    )
    assert header["media"] == {
        "mime": "video/mp4",
        "kind": "video",
        "sha256": hashlib.sha256(MEDIA).hexdigest(),
        "clip": "disc",
        "height": 90,
        "width": 160,
    }
    assert header["maps"] == {
        "shape": [3, 2, 4, 5],
        "top": 1.0,
        "scale_max": 0.06,
        "above": 0.0,
        "token_tops": some_maps().max(axis=(0, 2, 3)).tolist(),
        "unit": UNIT_SHARE,
        "percent": True,
    }
    assert header["tokens"] == [
        {"id": 4, "number": 5, "color": "#0072b2", "muted": False, "switches": []},
        {"id": 17, "number": 18, "color": "#56b4e9", "muted": True, "switches": []},
    ]
    assert header["caption"] == '<b>"UNTRAINED" – weights</b>'
    assert (header["box"], header["start_s"]) == ([0.1, 0.0, 0.8, 1.0], 2.5)
    assert (header["key"], header["autoplay"]) == ("k", True)
    assert header["start"] == PlayerState(time_s=3.0).to_dict()


def test_sections_are_aligned():
    payload = packed(media=b"x" * 13, caption="é")
    header, _ = read(payload)
    (length,) = struct.unpack_from("<I", payload, 4)
    assert (8 + length) % 8 == 0
    assert all(offset % 8 == 0 for offset, _ in header["sections"].values())


@pytest.mark.parametrize("top", [0.0613, 1.0, 17.0])
def test_quantisation_errs_by_half_a_level(top):
    weights = np.linspace(0, top, 40001, dtype=np.float32).reshape(1, 1, 1, -1)
    error = np.abs((quantize(weights, top) / 255) ** 3 * top - weights)
    bound = error_bound(weights, top)
    assert (error <= bound).all()
    assert (error / bound)[..., 100:].max() > 0.95, "the bound is not loose"


def test_small_weights_beside_a_spike_keep_their_digits():
    """The uniform share of 144 patches, in a clip with a spike: linear levels would be off by a quarter of it."""
    maps = np.array([0.94, 1 / 144, 2 / 144], np.float32).reshape(1, 1, 1, 3)
    np.testing.assert_allclose((quantize(maps, 1.0) / 255) ** 3, maps, rtol=0.032)


def test_a_token_travels_the_same_with_others_and_without():
    maps = some_maps()
    maps[:, 1] *= 9
    _, both = read(packed(maps=maps))
    _, alone = read(packed(maps=maps[:, :1]))
    levels = np.frombuffer(both["maps"], np.uint8).reshape(3, 2, 4, 5)
    assert alone["maps"] == levels[:, :1].tobytes()


def test_the_header_tells_what_the_scale_cuts_off():
    maps = some_maps()
    header, _ = read(packed(maps=maps, scale_max=0.04))
    assert header["maps"]["above"] == sum(weight > 0.04 for weight in maps.ravel().tolist()) / 120
    assert 0.2 < header["maps"]["above"] < 0.5


def test_weights_beyond_one_raise_the_top():
    header, sections = read(packed(maps=some_maps() * 100))
    assert header["maps"]["top"] == (some_maps() * 100).max()
    assert max(sections["maps"]) == 255


def test_quantisation_cuts_what_exceeds_the_scale():
    assert quantize(np.full((1, 1, 1, 1), 3.0, np.float32), 2.0).item() == 255


def test_maps_of_zeros_are_maps():
    header, sections = read(packed(maps=np.zeros((3, 2, 4, 5), np.float32)))
    assert header["maps"]["top"] == 1.0
    assert sections["maps"] == bytes(120)


def test_without_maps_there_are_no_tokens():
    header, sections = read(packed(maps=None))
    assert header["maps"] is None
    assert header["tokens"] == []
    assert sections["maps"] == b""


def test_weights_are_printed_in_percent_only_as_shares():
    assert read(packed(unit=UNIT_SHARE))[0]["maps"]["percent"] is True
    assert read(packed(unit=UNIT_SIGMOID))[0]["maps"]["percent"] is False


def test_the_id_names_the_content():
    assert read(packed())[0]["id"] == read(packed())[0]["id"]
    others = [
        packed(media=b"another"),
        packed(maps=some_maps() * 0.9),
        packed(timestamps_s=TIMES + 0.1),
        packed(caption="UNTRAINED"),
        packed(token_ids=(1, 0)),
    ]
    ids = {read(payload)[0]["id"] for payload in [packed(), *others]}
    assert len(ids) == 6


def test_the_media_keeps_its_hash_when_the_maps_change():
    one, other = (read(packed(maps=maps))[0] for maps in (some_maps(), some_maps() * 0.5))
    assert one["media"] == other["media"]
    assert one["id"] != other["id"]


def encoded_clip() -> bytes:
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.height, stream.width, stream.pix_fmt = 36, 64, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((36, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())
    return sink.getvalue()


def encoded_picture(suffix: str) -> bytes:
    return cv2.imencode(suffix, np.zeros((37, 53, 3), np.uint8))[1].tobytes()


@pytest.mark.parametrize(
    ("make", "hw"),
    [
        (encoded_clip, (36, 64)),
        (lambda: encoded_picture(".png"), (37, 53)),
        (lambda: encoded_picture(".jpg"), (37, 53)),
        (lambda: b"neither clip nor picture", None),
        (lambda: b"", None),
    ],
)
def test_the_size_is_read_from_the_media(make, hw):
    assert media_hw(make()) == hw
    header, _ = read(packed(media=make(), frame_hw=None))
    assert (header["media"]["height"], header["media"]["width"]) == (hw or (None, None))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mime": "application/pdf"}, 'not "application/pdf"'),
        ({"timestamps_s": TIMES[:2]}, "2 timestamps were given for 3 maps"),
        ({"timestamps_s": [0.0, 0.4, 0.4]}, "ascend"),
        ({"timestamps_s": [0.0, 0.4, np.nan]}, "finite"),
        ({"token_ids": (1, 2, 3)}, "3 token ids were given for 2 tokens"),
        ({"token_ids": (1, 1)}, "each needs its own"),
        ({"box": (0.5, 0.0, 0.6, 1.0)}, "must lie within 0..1"),
        ({"box": (0.5, 0.0, 0.0, 1.0)}, "must lie within 0..1"),
        ({"scale_max": 0.0}, "not 0.0"),
        ({"scale_max": np.inf}, "not inf"),
        ({"maps": -some_maps()}, "not negative"),
        ({"maps": some_maps() * np.nan}, "finite"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        packed(**change)


@pytest.mark.parametrize(
    "state",
    [PlayerState(), PlayerState(tokens=()), PlayerState(time_s=1.25, view="owner", tokens=(3, 1), pin=(0.5, 0.25))],
)
def test_a_state_survives_json(state):
    assert PlayerState.from_dict(json.loads(json.dumps(state.to_dict()))) == state


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"time_s": float("nan"), "view": "<b>", "base": "grid", "tokens": ["1", -2, True], "pin": [0.5]},
        {"time_s": "1", "view": 3, "tokens": 4, "pin": "ab", "opacity": 7, "scale": None, "divider": -1},
    ],
)
def test_a_state_that_makes_no_sense_is_the_usual_one(sent):
    assert PlayerState.from_dict(sent) == PlayerState()
