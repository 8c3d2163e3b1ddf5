"""Short clips rendered from photographs, the same on every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import UInt8

from tokenlearner.media import VideoWriter
from tokenlearner.samples.cutouts import Canvas, Cutout, coffee_cup, coin, fill_unknown, motorcycle
from tokenlearner.samples.photographs import load_disparity, load_photograph
from tokenlearner.samples.stereo import StereoPair

Picture = UInt8[np.ndarray, "height width 3"]
Scene = Callable[[], Iterator[Picture]]

FPS: Final = 25
_SHAPES_SEED: Final = 7


def write_clip(scene: Scene, path: Path) -> None:
    """Render a scene into an MP4 file, which appears when it is whole."""
    pictures = scene()
    first = next(pictures)
    with VideoWriter(path, first.shape[:2]) as writer:
        writer.write(first, 0.0)
        for number, picture in enumerate(pictures, start=1):
            writer.write(picture, number / FPS)


def portrait() -> Iterator[Picture]:
    """A camera moves slowly from an astronaut to the model of a space shuttle beside her, and back."""
    width, height = 640, 360
    photograph = load_photograph("astronaut.png")
    for u in _ticks(5.0):
        there = 0.5 - 0.5 * float(np.cos(2 * np.pi * u))
        x, y, seen = 246 + 80 * there, 128 - 13 * there, 440 - 80 * there
        camera = np.array([[1, 0, seen / 2 - x], [0, 1, seen * height / width / 2 - y]], np.float32) * (width / seen)
        yield np.asarray(cv2.warpAffine(photograph, camera, (width, height), flags=cv2.INTER_CUBIC), np.uint8)


def ride() -> Iterator[Picture]:
    """A motorcycle rides past a rocket at dusk while the camera follows it."""
    height, width, horizon = 270, 480, 203
    bike = motorcycle().scaled(0.42).tinted(0.95, 0.85, 0.95)
    rocket = load_photograph("rocket.jpg")
    gravel = load_photograph("gravel.png")
    road = cv2.resize(np.concatenate([gravel, gravel[:, ::-1]], axis=1), (1400, 110), interpolation=cv2.INTER_AREA)
    dusk = np.array([0.42, 0.42, 0.50], np.float32) * np.linspace(0.5, 1.0, height - horizon)[:, None, None]
    edge = np.clip(np.arange(height - horizon, dtype=np.float32) / 4, 0, 1)[:, None, None]
    for u in _ticks(5.0):
        camera = np.array([[0.92, 0, -0.92 * (5 + 108 * u)], [0, 0.92, -118]], np.float32)
        canvas: Canvas = cv2.warpAffine(rocket, camera, (width, height)).astype(np.float32)
        near = road[: height - horizon, int(620 * u) : int(620 * u) + width] * dusk
        canvas[horizon:] = canvas[horizon:] * (1 - edge) + near * edge
        x, y = 62 + 360 * u, 158 + 1.2 * np.sin(45 * u)
        canvas = _wheel_shadow(_wheel_shadow(canvas, (x - 69, 222.0), 52), (x + 98, 242.0), 46)
        bike.paste_on(canvas, (x, y))
        yield _to_picture(canvas)


def garage() -> Iterator[Picture]:
    """A camera moves to the right past a motorcycle in a garage, and back."""
    size, scale = (500, 337), 500 / 741
    left, right = (
        np.asarray(cv2.resize(load_photograph(f"motorcycle_{side}.png"), size, interpolation=cv2.INTER_AREA), np.uint8)
        for side in ("left", "right")
    )
    disparity = cv2.medianBlur(fill_unknown(load_disparity()), 5)
    pair = StereoPair(
        left, right, (cv2.resize(disparity, size, interpolation=cv2.INTER_NEAREST) * scale).astype(np.float32)
    )
    seen: dict[float, Picture] = {}
    for u in _ticks(5.0):
        # Rounded, so that the way back meets the same places and their views can be taken again.
        place = round(0.5 - 0.5 * float(np.cos(2 * np.pi * u)), 6)
        if place not in seen:
            seen[place] = pair.view(place)[9:329, 10:490].copy()
        yield seen[place]


def lawn() -> Iterator[Picture]:
    """A coffee cup and three coins cross one another on a lawn, seen from above."""
    height, width = 320, 480
    grass = cv2.resize(load_photograph("grass.png"), (640, 640), interpolation=cv2.INTER_CUBIC) / 255.0
    green = np.clip(grass**1.1 * [142, 176, 76] + grass**3 * [57, 57, 38] + 4, 0, 255).astype(np.uint8)
    cup = coffee_cup().scaled(0.5)
    silver = coin((302, 13, 65, 61), (1.33, 1.37, 1.43)).scaled(1.35)
    gold = coin((313, 154, 69, 65), (1.57, 1.20, 0.47)).scaled(1.35)
    copper = coin((16, 231, 61, 59), (1.43, 0.80, 0.47)).scaled(1.35)
    for u in _ticks(6.0):
        pan = np.array([[1, 0, -130 * u], [0, 1, -60 - 50 * np.sin(np.pi * u)]], np.float32)
        canvas: Canvas = cv2.warpAffine(green, pan, (width, height)).astype(np.float32)
        silver.paste_on(canvas, (460 - 440 * u, 250 - 60 * np.sin(3 * u)), angle_deg=-300 * u, shadow_px=6.0)
        cup.paste_on(
            canvas, (100 + 290 * u, 165 - 25 * np.sin(2 * np.pi * u)), angle_deg=8 * np.sin(6 * u), shadow_px=12.0
        )
        gold.paste_on(canvas, (60 + 120 * u, 10 + 330 * u), angle_deg=420 * u, shadow_px=6.0)
        copper.paste_on(canvas, (420 - 330 * u, 60 + 40 * np.sin(5 * u)), angle_deg=-400 * u, shadow_px=6.0)
        yield _to_picture(canvas)


def shapes() -> Iterator[Picture]:
    """Five coloured shapes drift, turn and bounce off the edges."""
    height, width = 320, 480
    random = np.random.default_rng(_SHAPES_SEED)
    outlines = [_disc(), _polygon(4), _polygon(3), _star(), _disc(hole=0.55)]
    colours = [(230, 159, 0), (0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167)]
    objects = [_solid(outline, colour) for outline, colour in zip(outlines, colours, strict=True)]
    room = np.array([width, height]) - 90
    start = random.uniform(0, 2, (len(objects), 2))
    speed = random.uniform(0.5, 1.1, (len(objects), 2)) * random.choice([-1, 1], (len(objects), 2))
    turn_deg = random.uniform(-200, 200, len(objects))
    across, down = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    ground = (238 - 34 * (across**2 + down**2))[:, :, None] * np.array([1.0, 0.985, 0.955])
    for u in _ticks(5.0):
        canvas: Canvas = ground.astype(np.float32)
        for number, shape in enumerate(objects):
            # A triangle wave: straight on, and back from the edge.
            way = np.abs((start[number] + 2.2 * speed[number] * u) % 2 - 1)
            x, y = 45 + way * room
            shape.paste_on(canvas, (float(x), float(y)), angle_deg=float(turn_deg[number] * u), shadow_px=7.0)
        yield _to_picture(canvas)


SCENES: Final[dict[str, Scene]] = {
    "portrait": portrait,
    "ride": ride,
    "garage": garage,
    "lawn": lawn,
    "shapes": shapes,
}
"""The clips by their samples' names."""


def _ticks(seconds: float) -> Iterator[float]:
    """Moments of a clip, from 0 to just below 1."""
    count = round(seconds * FPS)
    return (number / count for number in range(count))


def _to_picture(canvas: Canvas) -> Picture:
    return np.clip(np.round(canvas), 0, 255).astype(np.uint8)


def _wheel_shadow(canvas: Canvas, centre_xy: tuple[float, float], radius: int) -> Canvas:
    """Darken the road under a wheel."""
    dark = np.zeros(canvas.shape[:2], np.float32)
    cv2.ellipse(dark, (round(centre_xy[0]), round(centre_xy[1])), (radius, 7), 0, 0, 360, 0.8, -1)
    return np.asarray(canvas * (1 - cv2.GaussianBlur(dark, (0, 0), 5)[:, :, None]), np.float32)


def _disc(hole: float = 0.0) -> UInt8[np.ndarray, "side side"]:
    mask = np.zeros((320, 320), np.uint8)
    cv2.circle(mask, (160, 160), 150, 255, -1)
    if hole:
        cv2.circle(mask, (160, 160), round(150 * hole), 0, -1)
    return mask


def _polygon(corners: int, inner: float = 1.0) -> UInt8[np.ndarray, "side side"]:
    """Regular polygon; with `inner` < 1 every second corner is drawn in, which makes a star."""
    angles = 2 * np.pi * np.arange(corners) / corners - np.pi / 2
    radii = np.where(np.arange(corners) % 2, 155 * inner, 155)
    points = np.stack([160 + radii * np.cos(angles), 160 + radii * np.sin(angles)], axis=1)
    mask = np.zeros((320, 320), np.uint8)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 255)
    return mask


def _star() -> UInt8[np.ndarray, "side side"]:
    return _polygon(10, inner=0.45)


def _solid(mask: UInt8[np.ndarray, "side side"], colour: tuple[int, int, int]) -> Cutout:
    """A shape of about 80 pixels, lit from the upper left."""
    light = np.linspace(1.18, 0.82, mask.shape[0], dtype=np.float32)
    shade = 0.5 * (light[:, None] + light[None, :])
    rgb = np.clip(shade[:, :, None] * np.array(colour, np.float32), 0, 255).astype(np.uint8)
    return Cutout(rgb, mask.astype(np.float32) / 255).scaled(0.26)
