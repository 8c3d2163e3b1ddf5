// Fields along the time of a clip: where the pointer goes, and keys, the playhead goes.
import { latestAt } from "./follow.js";
import { spokenTime } from "./format.js";

const WITHIN_S = 0.005; // containers round times to their own tick
const FINGER_PX = 8; // what a finger moves without meaning it

/**
 * Goes where the pointer is pressed or drawn to along a field. A finger may be about to scroll the page: it has to draw
 * sideways, or to be lifted where it came down.
 *
 * @param {HTMLElement} field - With `touch-action: pan-y`. Buttons in it answer for themselves.
 * @param {Function} on - See `listenUntil`.
 * @param {(share: number) => void} go - Called with 0 (left) to 1 (right).
 * @param {(inHand: boolean) => void} hold - Called before the first and after the last of these calls.
 */
export function goByPointer(field, on, go, hold) {
  let finger = null; // where a finger came down, as long as it may still be scrolling
  let held = false;
  const goTo = (event) => {
    if (!held) hold((held = true));
    const { left, width } = field.getBoundingClientRect();
    go(Math.min(Math.max((event.clientX - left) / width, 0), 1));
  };
  on(field, "pointerdown", (event) => {
    if (event.button > 0 || event.target.closest("button")) return;
    field.setPointerCapture(event.pointerId);
    finger = event.pointerType === "touch" ? event.clientX : null;
    if (finger === null) goTo(event);
  });
  on(field, "pointermove", (event) => {
    if (!field.hasPointerCapture(event.pointerId)) return;
    if (finger !== null && Math.abs(event.clientX - finger) < FINGER_PX) return;
    finger = null;
    goTo(event);
  });
  on(field, "pointerup", (event) => {
    if (finger !== null && field.hasPointerCapture(event.pointerId)) goTo(event);
    finger = null;
  });
  on(field, "pointerup pointercancel lostpointercapture", () => {
    if (held) hold((held = false));
  });
}

/** A field along the time of a clip, with a cursor: a slider by pointer and by keys. */
export class TimeField {
  /**
   * @param {HTMLElement} root - Holds a `.cursor`.
   * @param {Function} on - See `listenUntil`.
   * @param {{seek: (time: number) => void, hold: (inHand: boolean) => void, goTo: (index: number) => void}} acts - To any
   *   time, with the playhead in a hand meanwhile, and to one of the times.
   */
  constructor(root, on, acts) {
    this.root = root;
    this.acts = acts;
    this.cursor = root.querySelector(".cursor");
    goByPointer(root, on, (share) => acts.seek(this.timeAt(share)), acts.hold);
    on(root, "keydown", (event) => this.onKey(event));
  }

  /** The times that it runs along, ascending, and where the last one ends. */
  update(times, end) {
    this.times = times;
    this.end = end;
    this.root.setAttribute("aria-valuemin", String(times[0]));
    this.root.setAttribute("aria-valuemax", String(end));
  }

  /** Where a time lies, 0 (left) to 1 (right). */
  share(time) {
    const { times, end } = this;
    return Math.min(Math.max((time - times[0]) / (end - times[0] || 1), 0), 1);
  }

  timeAt(share) {
    return this.times[0] + share * (this.end - this.times[0]);
  }

  /** Index of the latest of the times that is not later than `time`; the first before it. */
  indexAt(time) {
    return Math.max(latestAt(this.times, time + WITHIN_S), 0);
  }

  /** Shows the playhead. */
  show(time) {
    this.time = time;
    this.cursor.style.left = `${this.share(time) * 100}%`;
    this.root.setAttribute("aria-valuenow", time.toFixed(2));
    this.root.setAttribute("aria-valuetext", spokenTime(time));
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.times.length - 1;
    const far = Math.max(1, Math.round(last / 10));
    const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -far, PageUp: far }[event.key];
    const index = event.key === "Home" ? 0 : event.key === "End" ? last : by && this.indexAt(this.time) + by;
    if (index === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.acts.goTo(Math.min(Math.max(index, 0), last));
  }
}
