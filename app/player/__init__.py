"""The token player: a clip or picture with its token maps, drawn and controlled in the browser.

One payload goes to the browser (`app.player.payload`); every display control works there, without the server.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Float32

from app.components import component
from app.player.payload import PlayerOptions, pack

__all__ = ["token_player"]

_FOLDER: Final = Path(__file__).parent


def token_player(
    media: bytes,
    mime: str,
    maps: Float32[np.ndarray, "time tokens rows cols"] | None,
    timestamps_s: Float[np.ndarray, " time"] | Sequence[float],
    *,
    scale_max: float,
    unit: str,
    key: str,
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0),
    token_ids: Sequence[int] | None = None,
    muted: Collection[int] = (),
    caption: str | None = None,
    start_s: float = 0.0,
    frame_hw: tuple[int, int] | None = None,
    clip_id: str | None = None,
    autoplay: bool = False,
) -> None:
    """Show a clip or picture with its token maps blended over it.

    Drawn by the presentation time of the frame on screen: the map on show is the latest one whose timestamp is not
    later. Calling again under the same `key` with the same media and other maps, or with a longer part of the same
    clip, keeps the playhead, the view and the choice of tokens.

    Args:
        media: An H.264 MP4 (or another clip that browsers play), or a JPEG or PNG.
        mime: Its type, such as "video/mp4" or "image/jpeg".
        maps: Weights in their own unit; None where the network ran without a TokenLearner. They travel as
            uint8: see `app.player.payload.quantize` for what a weight can be off.
        timestamps_s: Presentation time of each map on the source's clock, ascending.
        scale_max: Weight drawn at full strength, the same for the whole clip (`tokenlearner.render.clip_scale`);
            larger ones are drawn like it, and the legend says so. The viewer may ask for other scales.
        unit: What a weight means, printed in the legend (`tokenlearner.palette.UNIT_SHARE` is printed in percent).
        key: Name of the player on the page.
        box: Area of the frame that the model saw, as (x, y, width, height) in 0..1 of the frame. The rest is
            dimmed, hatched and captioned as not seen.
        token_ids: Index in the model of each map, which fixes its number and colour; None for 0, 1, 2, ...
        muted: Indices in the model of tokens that are left out of what the network goes on with: shown as such, and
            drawn only where one looks at such a token alone or at all of them side by side.
        caption: A short text on the picture, such as "UNTRAINED WEIGHTS".
        start_s: Time of the clip's first frame on the source's clock, where the clip is a part of the source.
        frame_hw: Height and width of the frames in pixels; None to read it from `media`.
        clip_id: Name that media share if they show the same clip up to different ends; None for one that stands alone.
        autoplay: Start a new clip by itself.

    Raises:
        ValueError: If the arguments do not fit one another; the message says which.
    """
    data = pack(
        media,
        mime,
        maps,
        timestamps_s,
        scale_max=scale_max,
        unit=unit,
        options=PlayerOptions(key=key, autoplay=autoplay),
        box=box,
        token_ids=token_ids,
        muted=muted,
        caption=caption,
        start_s=start_s,
        frame_hw=frame_hw,
        clip_id=clip_id,
    )
    component("token_player", _FOLDER / "player")(key=key, data=data)
