// What outlives a player: the view that a link restores, and the display that returns when Streamlit, having taken an
// element off the page, puts it back.
const SINGLE_VIEWS = ["one", "some", "owner"];
const VIEWS = [...SINGLE_VIEWS, "grid", "beside"];
export const SCALES = ["fixed", "largest", "token"];

const displays = new Map();

/** What a link or a rerun needs to find this view again. */
export function snapshot(player) {
  const { drawnKind, selection } = player;
  const several = drawnKind === "some" || drawnKind === "owner";
  const shown = selection.tokens.filter(({ id }) => (several ? selection.chosen.has(id) : id === selection.current));
  const tokens = shown.map(({ id }) => id).sort((a, b) => a - b);
  const { view, base, opacity, smooth, scale, trails, hidden, divider } = player.state;
  const time = Math.round((player.clock.heading + player.startS) * 1e6) / 1e6;
  return { time_s: time, view, base, tokens, pin: player.places.pin, opacity, smooth, scale, trails, hidden, divider };
}

/** Applies a saved view, as `snapshot` gives it; what it does not say stays as it is. */
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
  if (saved.tokens) player.selection.choose(saved.tokens);
  player.places.pin = saved.pin;
  if (saved.time_s >= 0) player.seek(saved.time_s - player.startS);
}

/** Whether one file shows the clip of another, to another end: a part, and later more of it. */
export function isSameClip(before, after) {
  return Boolean(before?.clip) && before.clip === after.clip && before.kind === after.kind && before.sha256 !== after.sha256;
}

/** Keeps the display of a player that is about to go. */
export function remember(player) {
  const { header, state, selection, places, clock } = player;
  if (!header) return;
  displays.set(header.key, {
    state,
    selection,
    loops: clock.loops,
    speed: clock.speed,
    media: header.media,
    pin: places.pin,
    time: clock.heading,
    playing: clock.playing,
  });
}

/**
 * Brings a remembered display back, as far as there is one; returns whether the playhead came back as well, which it does
 * to the same clip only.
 */
export function recall(player) {
  const held = displays.get(player.header.key);
  if (!held) return false;
  player.state = held.state;
  player.selection = held.selection;
  player.selection.adopt(player.header.tokens);
  player.clock.setLoop(held.loops);
  player.clock.setSpeed(held.speed);
  const { media } = player.header;
  if (held.media.sha256 !== media.sha256 && !isSameClip(held.media, media)) return false;
  player.places.pin = held.pin;
  player.seek(held.time);
  if (held.playing) player.clock.play();
  return true;
}
