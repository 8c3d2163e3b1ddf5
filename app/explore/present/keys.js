// Esc leaves presenter mode, wherever the focus is, unless something on the page has used it: the player ends pointing by it.
import { keepMounted } from "../../js/mount.js";

class LeaveKey {
  constructor() {
    this.leave = () => {};
    this.stopped = new AbortController();
    window.addEventListener("keydown", (event) => this.press(event), { signal: this.stopped.signal });
  }

  press(event) {
    if (event.key === "Escape" && !event.defaultPrevented && !document.fullscreenElement) this.leave();
  }

  destroy() {
    this.stopped.abort();
  }
}

const mounted = keepMounted("i", () => new LeaveKey());

export default function mount({ parentElement, setTriggerValue }) {
  return mounted(parentElement, (key) => (key.leave = () => setTriggerValue("leave", true)));
}
