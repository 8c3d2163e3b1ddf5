// The entry that Streamlit calls. One player lives as long as its element does, through reruns and changes of theme.
import { keepMounted } from "../js/mount.js";
import { TokenPlayer } from "./js/token_player.js";

const mounted = keepMounted(".player", (root) => new TokenPlayer(root));

/** Called by Streamlit with each rerun; the player of an element lives on. */
export default function mount({ data, parentElement }) {
  return mounted(parentElement, (player) => player.update(data));
}
