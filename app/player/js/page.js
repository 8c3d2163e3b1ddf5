// What the player and other parts of the page say to each other, by events of the window that carry the player's key.
import { listenUntil } from "../../js/dom.js";
import { restore, snapshot } from "./memory.js";

/**
 * Another part of the page may follow the playhead ("token-player-time", see `TokenPlayer.onTime`) and the pinned place
 * ("token-player-pin", see `Places.course`), move the one and remove the other, and may ask for the view and bring one
 * back. Who drags the playhead holds it meanwhile. "token-player-ready" tells that there is something to ask.
 */
export function answerThePage(player) {
  const acts = {
    "token-player-seek": ({ time_s: time }) => player.seek(time - player.startS),
    "token-player-hold": ({ in_hand: inHand }) => player.hold(inHand),
    "token-player-unpin": () => player.pinAt(null),
    "token-player-ask": (detail) => Object.assign(detail, answer(player)),
    "token-player-restore": ({ view }) => {
      player.clock.pause();
      restore(player, view);
      player.refresh();
    },
  };
  const on = listenUntil(player.stopped.signal);
  for (const [type, act] of Object.entries(acts)) {
    on(window, type, (event) => event.detail.key === player.header?.key && act(event.detail));
  }
}

function answer(player) {
  return {
    view: snapshot(player),
    time_s: player.clock.heading + player.startS,
    playing: player.clock.playing,
    step: player.step,
    place: player.places.course(),
  };
}
