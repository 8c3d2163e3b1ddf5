// What outlives a player: the view that a link restores, and the display that returns when Streamlit, having taken an
// element off the page, puts it back.
const SINGLE_VIEWS = ["one", "some", "owner"];
const VIEWS = [...SINGLE_VIEWS, "grid", "beside"];
export const SCALES = ["fixed", "largest", "token"];

const displays = new Map();

/** Applies a saved view, as `TokenPlayer.snapshot` gives it; what it does not say stays as it is. */
export function restore(player, saved) {
  if (!saved) return;
  const { state } = player;
  const { view, base, opacity, divider } = saved;
  if (SINGLE_VIEWS.includes(base)) state.base = base;
  if (VIEWS.includes(view) && player.maps) state.view = view;
  if (SINGLE_VIEWS.includes(view)) state.base = view;
  if (SCALES.includes(saved.scale)) state.scale = saved.scale;
  if (opacity >= 0 && opacity <= 1) state.opacity = opacity;
  if (divider >= 0 && divider <= 1) state.divider = divider;
  for (const name of ["smooth", "trails", "hidden"]) if (typeof saved[name] === "boolean") state[name] = saved[name];
  player.selection.choose(saved.tokens);
  player.pin = saved.pin;
  if (saved.time_s >= 0) player.seek(saved.time_s - player.startS);
}

/** Keeps the display of a player that is about to go. */
export function remember(player) {
  const { header, state, selection, pin, clock } = player;
  if (!header) return;
  displays.set(header.key, {
    state,
    current: selection.current,
    chosen: [...selection.chosen],
    loop: clock.video.loop,
    speed: clock.video.playbackRate,
    media: header.media.sha256,
    pin,
    time: clock.heading,
    playing: clock.playing,
  });
}

/** Brings a remembered display back; returns whether there was one. The playhead returns only to the same clip. */
export function recall(player) {
  const held = displays.get(player.header.key);
  if (!held) return false;
  player.state = held.state;
  player.selection.choose(held.chosen, held.current);
  const { video } = player.clock;
  video.loop = held.loop;
  video.defaultPlaybackRate = video.playbackRate = held.speed;
  if (held.media !== player.header.media.sha256) return true;
  player.pin = held.pin;
  player.seek(held.time);
  if (held.playing) player.clock.play();
  return true;
}
