// The entry that Streamlit calls. One player lives as long as its element does, through reruns and changes of theme.
import { TokenPlayer } from "./js/token_player.js";

const players = new WeakMap();

/** Called by Streamlit with each rerun and each change of theme. */
export default function mount({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".player");
  let held = players.get(root);
  if (!held) players.set(root, (held = { player: new TokenPlayer(root), calls: 0 }));
  held.player.report = (snapshot) => setStateValue("view", snapshot);
  held.player.update(data);
  const call = ++held.calls;
  // Streamlit also runs the cleanup of a call that a later one overtook: only the last one ends the player.
  return () => {
    if (held.calls !== call) return;
    held.player.destroy();
    players.delete(root);
  };
}
