// How other parts of the page follow a player and move it: by events of the window that carry the player's key (see
// player/js/page.js for those that it tells and answers).

/** Tells the page, and returns the detail, which others may have answered in. */
export function tellPage(type, detail) {
  window.dispatchEvent(new CustomEvent(type, { detail }));
  return detail;
}

/** What a player shows now: {view, playing, step, place}; without `view` where there is no such player. */
export function askPlayer(key) {
  return tellPage("token-player-ask", { key });
}

/** Moves a player to a time of the source's clock. */
export function seekPlayer(key, time) {
  tellPage("token-player-seek", { key, time_s: time });
}

/** Takes a player's playhead into the hand, or lets it go. */
export function holdPlayer(key, inHand) {
  tellPage("token-player-hold", { key, in_hand: inHand });
}

/** Index of the latest of ascending times that is not later than `time`; -1 before the first. */
export function latestAt(times, time) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
