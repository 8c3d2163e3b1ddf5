"""What moves in a clip and how: paths of objects and of the camera as functions of continuous time.

Time runs from -0.5 (first frame) to 0.5 (last frame). Whatever a single frame shows is drawn for the middle of the
clip, from one distribution for all motions, and time then runs both ways from there: the middle frame of "left"
looks like that of "right". Poses lie in the scene, the plane of the photograph behind: pixels of the canvas at the
middle of the clip, the origin in its centre, x to the right, y down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor

from tokenlearner.data.photos import uniform
from tokenlearner.errors import ConfigError

MOTIONS: Final[tuple[str, ...]] = (
    "left",
    "right",
    "up",
    "down",
    "towards",
    "away",
    "turning clockwise",
    "turning counter-clockwise",
    "shaking",
    "appearing",
    "vanishing",
    "still",
)
STILL: Final = MOTIONS.index("still")

_MIDDLE: Final = 0.3  # of the canvas: how far from its centre an object may be at the middle of the clip
_EASE: Final = (0.5, 0.35)  # change of speed: slow or fast at both ends, and slow at one of them
_TILT: Final = math.radians(20)  # most objects stand nearly upright at the middle of the clip ...
_ANY_TILT: Final = 0.3  # ... and this share at any angle
_SIDE_TURN: Final = math.radians(8)  # turn of an object whose motion is no turning, each way
_SIDE_GROWTH: Final = math.log(1.05)  # growth of an object whose motion is no approach, each way
_SHAKE_FRAMES: Final = (3.0, 5.0)  # period
_SWITCH: Final = 0.3  # the moment of appearing or vanishing is at most this far from the middle
_FADE: Final = 0.3  # longest fade, of the clip's length


@dataclass(frozen=True, kw_only=True)
class ClipSettings:
    """What clips show, and what is done to make them hard. Lengths are shares of the canvas's side.

    Attributes:
        object_side: Root of the area of the moving object's box at the middle of the clip, over the root of the
            canvas's area.
        travel: Way of an object that goes left, right, up or down, of the canvas's width or height. Where the middle
            of the way is close to an edge, the longest way is shorter, so that the object stays in sight.
        growth: Factor by which an object that comes or goes changes its size.
        turn: Angle in degrees that a turning object goes through.
        shake: Amplitude of a shaking object, of the root of the canvas's area; a period takes 3 to 5 frames.
        drift: Longest straight way of an object whose motion is another; "still" has none.
        wobble: Largest swing to the side of an object that goes left, right, up or down.
        camera_share: Share of clips whose camera moves, the same for all motions.
        camera_pan: Longest pan, of the root of the canvas's area, in any direction.
        camera_zoom: Largest factor by which the camera zooms in or out.
        camera_shake: Largest amplitude of the camera's trembling, of the root of the canvas's area.
        distractors: Most objects that stay still in the scene besides the labelled one.
        occluder_share: Share of clips with a bar or plate of one colour in front of everything: it stands, or, if it
            is a bar, passes through the picture.
        patch_share: Share of objects that are soft-edged patches of photographs instead of cut-outs.
        blur_share: Share of clips with motion blur; these are the first of a batch.
        flicker: Standard deviation of a frame's brightness, relative.
        noise: Largest standard deviation of a clip's sensor noise, colours being 0..1.
        jitter: Largest relative change of brightness, contrast and saturation, for background and each object apart.
    """

    object_side: tuple[float, float] = (0.3, 0.52)
    travel: tuple[float, float] = (0.25, 0.8)
    growth: tuple[float, float] = (1.5, 2.5)
    turn: tuple[float, float] = (60.0, 180.0)
    shake: tuple[float, float] = (0.04, 0.09)
    drift: float = 0.06
    wobble: float = 0.03
    camera_share: float = 0.6
    camera_pan: float = 0.3
    camera_zoom: float = 1.35
    camera_shake: float = 0.012
    distractors: int = 2
    occluder_share: float = 0.25
    patch_share: float = 0.5
    blur_share: float = 0.25
    flicker: float = 0.04
    noise: float = 0.04
    jitter: float = 0.25

    def __post_init__(self) -> None:
        for name in ("object_side", "travel", "growth", "turn", "shake"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ConfigError(f"{name} must be a range above zero, lower end first, not ({low}, {high}).")
        if self.growth[0] < 1 or self.camera_zoom < 1:
            raise ConfigError("growth and camera_zoom are factors of at least 1.")
        for name in ("camera_share", "occluder_share", "patch_share", "blur_share", "jitter"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must lie between 0 and 1, not {getattr(self, name)}.")
        for name in ("drift", "wobble", "camera_pan", "camera_shake", "distractors", "flicker", "noise"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must not be negative, not {getattr(self, name)}.")


@dataclass(frozen=True)
class Poses:
    """Where an object is in the scene.

    Attributes:
        x: Centre in scene pixels, to the right.
        y: Centre in scene pixels, downwards.
        side: Root of the area of the object's box in scene pixels.
        angle: Turn in radians, clockwise on the screen.
        opacity: 0 (gone) to 1.
    """

    x: Float[Tensor, "batch times"]
    y: Float[Tensor, "batch times"]
    side: Float[Tensor, "batch times"]
    angle: Float[Tensor, "batch times"]
    opacity: Float[Tensor, "batch times"]

    def __getitem__(self, clips: slice) -> Poses:
        return Poses(self.x[clips], self.y[clips], self.side[clips], self.angle[clips], self.opacity[clips])

    @classmethod
    def standing(
        cls,
        x: Float[Tensor, " batch"],
        y: Float[Tensor, " batch"],
        side: Float[Tensor, " batch"],
        angle: Float[Tensor, " batch"],
        opacity: Float[Tensor, " batch"],
    ) -> Poses:
        """Poses that are the same at all times; they have one time, which any number of views share."""
        return cls(*(value.unsqueeze(1) for value in (x, y, side, angle, opacity)))

    def at(self, instants: slice) -> Poses:
        """Poses at some of the times; those of things that stand are left as they are."""
        if self.x.shape[1] == 1:
            return self
        fields = (self.x, self.y, self.side, self.angle, self.opacity)
        return Poses(*(field[:, instants] for field in fields))


@dataclass(frozen=True)
class Views:
    """Where the camera looks: a point s of the scene is seen at zoom * R(roll) (s - pan).

    Attributes:
        pan_x: Scene point in the canvas's centre, scene pixels to the right.
        pan_y: The same, downwards.
        zoom: Canvas pixels per scene pixel.
        roll: Turn of the picture in radians, clockwise on the screen.
    """

    pan_x: Float[Tensor, "batch times"]
    pan_y: Float[Tensor, "batch times"]
    zoom: Float[Tensor, "batch times"]
    roll: Float[Tensor, "batch times"]

    def __getitem__(self, clips: slice) -> Views:
        return Views(self.pan_x[clips], self.pan_y[clips], self.zoom[clips], self.roll[clips])

    def at(self, instants: slice) -> Views:
        """Views at some of the times."""
        return Views(*(field[:, instants] for field in (self.pan_x, self.pan_y, self.zoom, self.roll)))


def frame_times(num_frames: int, substeps: int, device: torch.device) -> Float[Tensor, " times"]:
    """Times of all frames, each `substeps` times within its exposure of 0.6 of a frame's length."""
    frames = torch.arange(num_frames, device=device, dtype=torch.float32)
    if num_frames == 1:
        return frames.new_zeros(substeps)
    offsets = (torch.arange(substeps, device=device) - (substeps - 1) / 2) * (0.6 / substeps)
    return ((frames.unsqueeze(1) + offsets) / (num_frames - 1) - 0.5).flatten()


def draw_easing(times: Float[Tensor, " times"], n: int, generator: Generator) -> Float[Tensor, "batch times"]:
    """Progress of `n` movements from -0.5 to 0.5, never backwards; a path and its reverse are equally likely."""
    both = _column(n, -_EASE[0], _EASE[0], generator)
    one = _column(n, -_EASE[1], _EASE[1], generator)
    return times + both * (2 * math.pi * times).sin() / (2 * math.pi) + one * (0.25 - times * times)


def draw_views(
    times: Float[Tensor, " times"], n: int, canvas_hw: tuple[int, int], settings: ClipSettings, generator: Generator
) -> Views:
    """Pan, zoom and trembling of `n` cameras; those that stand still keep scene and canvas one."""
    root = math.sqrt(canvas_hw[0] * canvas_hw[1])
    moves = (_column(n, 0.0, 1.0, generator) < settings.camera_share).float()
    heading = _column(n, -math.pi, math.pi, generator)
    pan = _column(n, 0.0, settings.camera_pan, generator) * root * draw_easing(times, n, generator) * moves
    log_zoom = math.log(settings.camera_zoom)
    zoom = _column(n, -log_zoom, log_zoom, generator) * draw_easing(times, n, generator) * moves
    tremble = _column(n, 0.0, settings.camera_shake, generator) * moves
    swings = [tremble * _swing(times, n, (1.0, 6.0), generator) for _ in range(3)]
    return Views(
        pan * heading.cos() + root * swings[0], pan * heading.sin() + root * swings[1], zoom.exp(), 2 * swings[2]
    )


def draw_poses(
    times: Float[Tensor, " times"],
    num_frames: int,
    motion: Int64[Tensor, " batch"],
    canvas_hw: tuple[int, int],
    settings: ClipSettings,
    generator: Generator,
) -> Poses:
    """Paths of moving objects through the scene.

    Args:
        times: From -0.5 to 0.5.
        num_frames: Of the clip: a shaking object's period is a number of frames.
        motion: Index into `MOTIONS`.
        canvas_hw: Canvas in pixels as (height, width).
        settings: How far, how fast.
        generator: Source of every draw.
    """
    n, (height, width) = len(motion), canvas_hw
    root = math.sqrt(height * width)
    # 1 or -1 for the two directions of a motion, 0 for every other motion
    along_x, along_y = _signs(motion, "right", "left"), _signs(motion, "down", "up")
    grows = _signs(motion, "towards", "away")
    turns = _signs(motion, "turning clockwise", "turning counter-clockwise")
    fades = _signs(motion, "appearing", "vanishing")
    shakes = _signs(motion, "shaking", "shaking")
    moves = (motion != STILL).float().unsqueeze(1)
    travels = along_x.abs() + along_y.abs()

    middle_x, middle_y = (_column(n, -_MIDDLE, _MIDDLE, generator) for _ in range(2))
    low, high = settings.travel
    room = 1 - 2 * torch.where(along_x != 0, middle_x, middle_y).abs()
    way = low + (room.clamp(low, high) - low) * _column(n, 0.0, 1.0, generator)
    eased = draw_easing(times, n, generator)
    swing = _column(n, 0.0, settings.wobble, generator) * travels * _swing(times, n, (0.5, 1.5), generator)
    heading = _column(n, -math.pi, math.pi, generator)
    drift = _column(n, 0.0, settings.drift, generator) * moves * (1 - travels) * eased
    cycles = (num_frames - 1) / _column(n, *_SHAKE_FRAMES, generator)
    phase = _column(n, -math.pi, math.pi, generator)
    shake = _column(n, *settings.shake, generator) * shakes * (2 * math.pi * cycles * times + phase).sin()
    drifted = (shake + drift) * root
    x = (middle_x + along_x * way * eased + along_y.abs() * swing) * width + drifted * heading.cos()
    y = (middle_y + along_y * way * eased + along_x.abs() * swing) * height + drifted * heading.sin()

    growth = grows * _column(n, math.log(settings.growth[0]), math.log(settings.growth[1]), generator)
    aside = _column(n, -2 * _SIDE_GROWTH, 2 * _SIDE_GROWTH, generator) * moves * (1 - grows.abs()) * (1 - shakes)
    side = _column(n, *settings.object_side, generator) * root * ((growth + aside) * eased).exp()

    turn = turns * _column(n, math.radians(settings.turn[0]), math.radians(settings.turn[1]), generator)
    aside = _column(n, -2 * _SIDE_TURN, 2 * _SIDE_TURN, generator) * moves * (1 - turns.abs()) * (1 - shakes)
    angle = draw_tilt(n, generator).unsqueeze(1) + (turn + aside) * eased

    switch = _column(n, -_SWITCH, _SWITCH, generator)
    fade = (_column(n, -0.3, 1.0, generator) * _FADE).clamp(min=1e-3)  # some pop in at once
    shown = ((times - switch) / fade * fades + 0.5).clamp(0, 1)
    return Poses(x, y, side, angle, torch.where(fades != 0, shown, 1.0))


def draw_tilt(n: int, generator: Generator) -> Float[Tensor, " n"]:
    """Angles in radians: mostly near upright, some of any size."""
    any_tilt = uniform(n, 0.0, 1.0, generator) < _ANY_TILT
    return torch.where(any_tilt, uniform(n, -math.pi, math.pi, generator), uniform(n, -_TILT, _TILT, generator))


def _signs(motion: Int64[Tensor, " batch"], plus: str, minus: str) -> Float[Tensor, "batch 1"]:
    """1 where the motion is `plus`, -1 where it is `minus` and not `plus`, else 0."""
    is_plus, is_minus = motion == MOTIONS.index(plus), motion == MOTIONS.index(minus)
    return torch.where(is_plus, 1.0, torch.where(is_minus, -1.0, 0.0)).unsqueeze(1)


def _swing(
    times: Float[Tensor, " times"], n: int, cycles: tuple[float, float], generator: Generator
) -> Float[Tensor, "batch times"]:
    """Sines of random frequency and phase."""
    phase = _column(n, -math.pi, math.pi, generator)
    return (2 * math.pi * _column(n, *cycles, generator) * times + phase).sin()


def _column(n: int, low: float, high: float, generator: Generator) -> Float[Tensor, "n 1"]:
    return uniform(n, low, high, generator).unsqueeze(1)
