"""`python -m tokenlearner analyze`: files out, failures told, nothing half-written."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.engine_cases import PLAIN, pictures, tiny_model, write_clip, write_photo
from tokenlearner.cli import main
from tokenlearner.export import OverlayPainter
from tokenlearner.media import open_media
from tokenlearner.model import TokenLearnerViT
from tokenlearner.weights import load_checkpoint, save_checkpoint


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Path of a tiny checkpoint that its card calls trained."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    loaded = tiny_model()
    save_checkpoint(path, loaded.model, loaded.card)
    return path


@pytest.fixture
def media(tmp_path):
    folder = tmp_path / "media"
    folder.mkdir()
    write_clip(folder / "disc.mp4", pictures(5, (48, 80)))
    write_photo(folder / "photo.png", (48, 64))
    return folder


def analyze(weights, *args):
    return main(["analyze", *map(str, args), "--model", str(weights), "--device", "cpu"])


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_clip_and_a_photo_become_their_files(weights, media, tmp_path, capsys):
    out = tmp_path / "deep" / "out"
    assert analyze(weights, media / "disc.mp4", media / "photo.png", "-o", out) == 0
    assert names(out) == [
        "disc.json",
        "disc.maps.npz",
        "disc.overlay.mp4",
        "photo.json",
        "photo.maps.npz",
        "photo.overlay.png",
    ]
    with np.load(out / "disc.maps.npz", allow_pickle=False) as arrays:
        assert arrays["token_maps"].shape == (5, 6, 3, 5)
        assert arrays["token_maps"].dtype == np.float32
        assert arrays["timestamps_s"] == pytest.approx(np.arange(5) / 10, abs=1e-3)
    with open_media(out / "disc.overlay.mp4") as reader:
        assert reader.info.codec == "h264"
        assert len(list(reader)) == 5
    numbers = json.loads((out / "disc.json").read_text(encoding="utf-8"))
    assert numbers["provenance"]["weights_sha256"] == load_checkpoint(weights).sha256
    assert numbers["overlay"]["file"] == "disc.overlay.mp4"
    assert numbers["source"] == str(media / "disc.mp4")
    assert len(numbers["predictions_over_time"]) == 5
    printed = capsys.readouterr().out
    assert f"{numbers['predictions'][0]['name']} {100 * numbers['predictions'][0]['probability']:.0f} %" in printed
    assert "5 frames" in printed
    assert "1 frame in" in printed


def test_the_overlay_is_an_mp4_that_a_browser_starts_at_once(weights, media, tmp_path):
    assert analyze(weights, media / "disc.mp4", "-o", tmp_path) == 0
    data = (tmp_path / "disc.overlay.mp4").read_bytes()
    assert data[4:8] == b"ftyp"
    assert data.index(b"moov") < data.index(b"mdat")


def test_options_reach_the_network(weights, media, tmp_path):
    options = ["--num-tokens", 3, "--loc", 3, "--start", 0.1, "--end", 0.4, "--max-frames", 2, "--resize", "crop"]
    assert analyze(weights, media / "disc.mp4", "-o", tmp_path, *options, "--view", "heat:2") == 0
    numbers = json.loads((tmp_path / "disc.json").read_text(encoding="utf-8"))
    assert (numbers["loc"], numbers["num_tokens"]) == (3, 3)
    assert numbers["settings"]["sampling"] == {"start_s": 0.1, "end_s": 0.4, "max_frames": 2, "max_fps": None}
    assert numbers["geometry"]["box_xywh"] == [16, 0, 48, 48]
    assert (numbers["overlay"]["view"], numbers["overlay"]["token"]) == ("heat", 1)
    with np.load(tmp_path / "disc.maps.npz") as arrays:
        assert arrays["token_maps"].shape == (2, 3, 4, 4)


def test_a_lower_frame_rate_takes_fewer_frames_and_says_so(weights, media, tmp_path, capsys):
    assert analyze(weights, media / "disc.mp4", "-o", tmp_path, "--max-fps", 5) == 0
    numbers = json.loads((tmp_path / "disc.json").read_text(encoding="utf-8"))
    with np.load(tmp_path / "disc.maps.npz") as arrays:
        np.testing.assert_allclose(np.diff(arrays["timestamps_s"]), 0.2, atol=0.041)
    assert numbers["settings"]["sampling"]["max_fps"] == 5.0
    assert "Resampled to 5 frames per second." in numbers["notes"]
    assert "note: Resampled to 5 frames per second." in capsys.readouterr().out


def test_the_plain_network_writes_no_overlay(weights, media, tmp_path):
    assert analyze(weights, media / "photo.png", "-o", tmp_path / "out", "--loc", "none") == 0
    assert names(tmp_path / "out") == ["photo.json", "photo.maps.npz"]
    assert json.loads((tmp_path / "out" / "photo.json").read_text(encoding="utf-8"))["overlay"] is None


def test_a_bad_input_does_not_stop_the_others_and_is_named_at_the_end(weights, media, tmp_path, capsys):
    broken = media / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    missing = media / "missing.mp4"
    assert analyze(weights, broken, missing, media / "photo.png", "-o", tmp_path / "out") == 1
    assert names(tmp_path / "out") == ["photo.json", "photo.maps.npz", "photo.overlay.png"]
    errors = capsys.readouterr().err
    end = errors[errors.index("2 of 3 inputs failed:") :]
    assert f"{broken}: " in end
    assert f"{missing}: There is no file missing.mp4" in end
    assert "photo.png" not in end
    assert "Traceback" not in errors


def test_inputs_of_one_name_get_names_of_their_own(weights, media, tmp_path):
    other = media / "other"
    other.mkdir()
    write_photo(other / "photo.png", (40, 64))
    write_photo(media / "PHOTO.jpg", (64, 40))
    write_photo(media / "photo-2.png", (32, 32))
    inputs = [media / "photo.png", media / "photo-2.png", other / "photo.png", media / "PHOTO.jpg"]
    assert analyze(weights, *inputs, "-o", tmp_path / "out") == 0
    found = {
        path.name: json.loads(path.read_text(encoding="utf-8"))["source"] for path in (tmp_path / "out").glob("*.json")
    }
    assert found == {
        "photo.json": str(inputs[0]),
        "photo-2.json": str(inputs[1]),
        "photo-3.json": str(inputs[2]),
        "PHOTO-4.json": str(inputs[3]),
    }


def test_folders_and_patterns_stand_for_the_media_in_them(weights, media, tmp_path, capsys):
    (media / "notes.txt").write_text("no media")
    write_photo(media / "other.overlay.png")
    pattern = str(media / "*.png")
    assert analyze(weights, media, pattern, media / "photo.png", "-o", tmp_path / "out") == 0
    # The folder gives disc and photo (its own results are left out), the pattern adds what was named by it alone.
    assert {name for name in names(tmp_path / "out") if name.endswith(".json")} == {
        "disc.json",
        "photo.json",
        "other.overlay.json",
    }
    capsys.readouterr()
    empty = tmp_path / "empty"
    empty.mkdir()
    assert analyze(weights, empty, str(media / "*.mov"), "-o", tmp_path / "out") == 1
    errors = capsys.readouterr().err
    assert f"{empty}: This folder holds no photo or video." in errors
    assert "No file matches this pattern." in errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--loc", "2"], "no TokenLearner before block 2"),
        (["--num-tokens", "9"], "num_tokens 9 lies outside"),
        (["--view", "heat:7"], '"heat:7" cannot be drawn: this analysis has 6 tokens'),
        (["--view", "owner"], '"owner" is not a view'),
        (["--start", "3", "--end", "2"], "must lie after the start"),
        (["--max-frames", "0"], "max_frames must be at least 1"),
        (["--max-fps", "0"], "max_fps, the most frames per second, must be above 0"),
    ],
)
def test_wrong_usage_is_told_before_any_work(weights, media, tmp_path, capsys, options, message):
    assert analyze(weights, media / "photo.png", "-o", tmp_path / "out", *options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [["--loc", "first"], ["--resize", "squash"], ["--max-frames", "many"]])
def test_options_that_cannot_be_read_are_wrong_usage(weights, media, tmp_path, options):
    with pytest.raises(SystemExit) as stopped:
        analyze(weights, media / "photo.png", "-o", tmp_path, *options)
    assert stopped.value.code == 2


def test_a_model_or_device_that_is_not_there_is_a_sentence(media, tmp_path, capsys):
    command = ["analyze", str(media / "photo.png"), "-o", str(tmp_path / "out")]
    assert main([*command, "--model", "nonesuch"]) == 1
    assert 'error: There is no model "nonesuch"' in capsys.readouterr().err
    assert main([*command, "--model", str(media / "photo.safetensors")]) == 1
    assert "photo.safetensors" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_unknown_device_is_a_sentence(weights, media, tmp_path, capsys):
    assert main(["analyze", str(media), "-o", str(tmp_path), "--model", str(weights), "--device", "tpu"]) == 1
    assert '"tpu" is not a device' in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_a_sentence(weights, media, capsys):
    assert analyze(weights, media / "photo.png", "-o", media / "photo.png" / "out") == 1
    assert "cannot be made" in capsys.readouterr().err


def test_untrained_weights_are_said_aloud(media, tmp_path, capsys):
    loaded = tiny_model(trained=False)
    path = tmp_path / "raw.safetensors"
    save_checkpoint(path, loaded.model, loaded.card)
    assert analyze(path, media / "photo.png", "-o", tmp_path / "out") == 0
    printed = capsys.readouterr()
    assert "warning: raw is untrained" in printed.err
    assert "untrained" in printed.out
    assert "untrained" in json.loads((tmp_path / "out" / "photo.json").read_text(encoding="utf-8"))["notes"][-1]


def test_a_model_without_module_is_analysed_without_maps(media, tmp_path):
    loaded = tiny_model(PLAIN)
    path = tmp_path / "plain.safetensors"
    save_checkpoint(path, loaded.model, loaded.card)
    assert analyze(path, media / "photo.png", "-o", tmp_path / "out") == 0
    assert names(tmp_path / "out") == ["photo.json", "photo.maps.npz"]


@pytest.mark.parametrize("where", ["analysing", "drawing"])
def test_an_interruption_leaves_no_files_of_that_input(weights, media, tmp_path, monkeypatch, capsys, where):
    out = tmp_path / "out"
    if where == "analysing":
        calls = []
        original = TokenLearnerViT.prefixes

        def interrupted(self, pixels, locs):
            calls.append(1)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return original(self, pixels, locs)

        monkeypatch.setattr(TokenLearnerViT, "prefixes", interrupted)
    else:
        original_paint = OverlayPainter.paint

        def interrupted_paint(self, rgb, timestamp_s):
            if timestamp_s > 0.15:
                raise KeyboardInterrupt
            return original_paint(self, rgb, timestamp_s)

        monkeypatch.setattr(OverlayPainter, "paint", interrupted_paint)
    assert analyze(weights, media / "photo.png", media / "disc.mp4", "-o", out) == 130
    assert names(out) == ["photo.json", "photo.maps.npz", "photo.overlay.png"]
    assert "Stopped." in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_stops_the_real_command(weights, tmp_path, repository):
    clip = write_clip(tmp_path / "long.mp4", pictures(3, (360, 480)) * 80)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tokenlearner", "analyze", str(clip), "-o", str(out), "--model", str(weights)]
    process = subprocess.Popen(
        [*command, "--device", "cpu"],
        cwd=repository,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # background jobs ignore Ctrl-C
    )
    give_up = time.monotonic() + 120
    while not list(Path(out).glob(".long-*")) and process.poll() is None and time.monotonic() < give_up:
        time.sleep(0.05)  # until the overlay is being drawn
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert names(out) == []
    assert errors.endswith("Stopped.\n")
    assert "Traceback" not in errors
