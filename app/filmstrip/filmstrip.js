// The part of a clip, chosen on a strip of its pictures. Both ends lie between frames; a part holds at least one.
// Follows the player by its "token-player-time" events. Tells the server when a handle is let go.
import { listenUntil, make } from "../js/dom.js";
import { askPlayer, latestAt } from "../js/follow.js";
import { formatMoment, spokenTime } from "../js/format.js";
import { keepMounted } from "../js/mount.js";

const PAUSE_MS = 350; // after the last key, before the server is told
const PAGE_S = 1;
const FEWEST = 6; // pictures in a narrow window, where they are cut to fit

export class Filmstrip {
  constructor(root) {
    this.root = root;
    this.version = -1;
    this.tell = () => {};
    this.grabbed = null;
    this.changed = false;
    this.stopped = new AbortController();
    const find = (name) => root.querySelector(name);
    this.strip = find(".film");
    this.cells = find(".cells");
    this.ends = { start: find(".handle.start"), end: find(".handle.end") };
    this.middle = find(".part");
    this.playhead = find(".playhead");
    const on = listenUntil(this.stopped.signal);
    on(this.strip, "pointerdown", (event) => this.grab(event));
    on(this.strip, "pointermove", (event) => this.drag(event));
    on(this.strip, "pointerup lostpointercapture", () => this.letGo());
    on(this.strip, "pointercancel", () => this.takeBack());
    on(this.strip, "keydown", (event) => this.onKey(event));
    on(this.strip, "focusout", () => this.settle());
    on(window, "token-player-time", ({ detail }) => this.isMine(detail) && this.follow(detail.time_s));
    on(window, "token-player-ready", ({ detail }) => this.isMine(detail) && this.askPlayer());
    this.seen = new ResizeObserver(() => this.drawCells());
    this.seen.observe(this.strip);
  }

  update(data) {
    this.data = data;
    let tick = 0;
    // Where the part may begin and end, in seconds: at each frame, and behind the last one.
    this.bounds = [0, ...data.steps.map((step) => (tick += step) / data.ticks_per_s), data.duration];
    // What moves now, or is on its way to the server, is not taken back by what the server knew before.
    if (!this.grabbed && !this.changed && data.version >= this.version) {
      this.version = data.version;
      this.start = this.nearest(data.start);
      this.end = Math.max(this.nearest(data.end), this.start + 1);
    }
    this.askPlayer();
    this.drawCells();
    this.draw();
  }

  get last() {
    return this.bounds.length - 1;
  }

  /** Number of the bound nearest to a time. */
  nearest(time) {
    const { bounds } = this;
    const before = Math.max(latestAt(bounds, time), 0);
    const after = Math.min(before + 1, this.last);
    return time - bounds[before] <= bounds[after] - time ? before : after;
  }

  grab(event) {
    if (event.button > 0 || this.grabbed) return;
    const at = this.timeAt(event);
    const before = { start: this.start, end: this.end, changed: this.changed };
    const which = event.target.closest(".handle, .part");
    let kind = which === this.ends.start ? "start" : which === this.ends.end ? "end" : "part";
    if (!which) {
      // Outside the part: its nearer end comes here.
      kind = at < this.bounds[this.start] ? "start" : "end";
      this.set(kind, this.nearest(at));
    }
    const from = kind === "end" ? this.end : this.start;
    this.grabbed = { kind, offset: this.bounds[from] - at, before };
    this.strip.setPointerCapture(event.pointerId);
    (kind === "part" ? this.middle : this.ends[kind]).focus({ preventScroll: true });
    event.preventDefault();
  }

  drag(event) {
    if (!this.grabbed) return;
    const { kind, offset } = this.grabbed;
    this.set(kind, this.nearest(this.timeAt(event) + offset));
  }

  letGo() {
    if (!this.grabbed) return;
    this.grabbed = null;
    this.send();
  }

  /** A finger that scrolls the page meant no part. */
  takeBack() {
    if (!this.grabbed) return;
    Object.assign(this, this.grabbed.before);
    this.grabbed = null;
    this.draw();
  }

  /** Moves one end, or the whole part by its start; never past the other end or the clip's. */
  set(kind, to) {
    const { start, end, last } = this;
    if (kind === "start") this.start = Math.min(Math.max(to, 0), end - 1);
    else if (kind === "end") this.end = Math.max(Math.min(to, last), start + 1);
    else this.shift(to);
    this.changed ||= this.start !== start || this.end !== end;
    this.draw();
  }

  /** Moves the part, keeping its length in time. */
  shift(to) {
    const { bounds, last } = this;
    const length = bounds[this.end] - bounds[this.start];
    if (this.end - this.start === last) return;
    this.start = Math.min(Math.max(to, 0), this.nearest(bounds[last] - length));
    this.end = Math.max(this.nearest(bounds[this.start] + length), this.start + 1);
  }

  onKey(event) {
    const kind = event.target === this.middle ? "part" : event.target === this.ends.start ? "start" : "end";
    const to = this.keyTarget(event, kind === "end" ? this.end : this.start);
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.set(kind, to);
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.settle(), PAUSE_MS);
  }

  keyTarget({ key, shiftKey }, from) {
    const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -1, PageUp: 1 }[key];
    if (key === "Home") return 0;
    if (key === "End") return this.last;
    if (!way) return undefined;
    if (!shiftKey && key.startsWith("Arrow")) return from + way;
    const to = this.nearest(this.bounds[from] + way * PAGE_S);
    return to === from ? from + way : to;
  }

  /** What keys did goes to the server. */
  settle() {
    clearTimeout(this.pause);
    if (!this.grabbed) this.send();
  }

  send() {
    if (!this.changed) return;
    this.changed = false;
    this.version += 1;
    this.tell({ start: this.bounds[this.start], end: this.bounds[this.end], version: this.version });
  }

  timeAt(event) {
    const { left, width } = this.strip.getBoundingClientRect();
    return ((event.clientX - left) / width) * this.data.duration;
  }

  isMine({ key }) {
    return Boolean(this.data?.player) && key === this.data.player;
  }

  follow(time) {
    const share = Math.min(Math.max(time / this.data.duration, 0), 1);
    this.playhead.hidden = false;
    this.playhead.style.left = `${share * 100}%`;
  }

  askPlayer() {
    const { player } = this.data;
    const said = player ? askPlayer(player) : {};
    if (said.view) this.follow(said.time_s);
    else this.playhead.hidden = true;
  }

  draw() {
    const { bounds, start, end } = this;
    const [from, to] = [bounds[start], bounds[end]];
    const share = (time) => `${(time / this.data.duration) * 100}%`;
    this.ends.start.style.left = this.middle.style.left = share(from);
    this.ends.end.style.left = share(to);
    this.middle.style.width = share(to - from);
    this.root.querySelector(".before").style.width = share(from);
    this.root.querySelector(".after").style.width = share(this.data.duration - to);
    this.root.querySelector(".from").textContent = formatMoment(from);
    this.root.querySelector(".to").textContent = formatMoment(to);
    this.root.querySelector(".length").textContent = end - start === this.last ? "the whole clip" : formatMoment(to - from);
    const length = bounds[this.last] - (to - from);
    say(this.ends.start, from, 0, bounds[end - 1], spokenTime(from));
    say(this.ends.end, to, bounds[start + 1], bounds[this.last], spokenTime(to));
    say(this.middle, from, 0, length, `${spokenTime(from)} to ${spokenTime(to)}`);
  }

  /** As many pictures side by side as have their shape, or a few narrower ones; each is of the middle of its place. */
  drawCells() {
    if (!this.data) return;
    const { pictures, aspect } = this.data;
    const { width, height } = this.cells.getBoundingClientRect();
    if (!width) return;
    const count = Math.max(1, Math.min(Math.max(FEWEST, Math.round(width / (height * aspect))), pictures.length));
    while (this.cells.children.length > count) this.cells.lastElementChild.remove();
    while (this.cells.children.length < count) make("b", "", this.cells);
    [...this.cells.children].forEach((cell, number) => {
      const picture = nearestPicture(pictures, ((number + 0.5) / count) * pictures.length - 0.5, this.data.done);
      const shown = picture ? `url("${picture}")` : "";
      if (cell.shown === shown) return;
      cell.shown = shown;
      cell.style.backgroundImage = shown;
    });
  }

  destroy() {
    clearTimeout(this.pause);
    this.seen.disconnect();
    this.stopped.abort();
  }
}

/** The picture of a part, or while that is missing for good of the nearest one that has any. */
function nearestPicture(pictures, at, done) {
  const order = pictures.map((_, part) => part).sort((a, b) => Math.abs(a - at) - Math.abs(b - at));
  const near = done ? order : order.slice(0, 2);
  return pictures[near.find((part) => pictures[part])];
}

function say(slider, now, low, high, words) {
  slider.setAttribute("aria-valuenow", now.toFixed(2));
  slider.setAttribute("aria-valuemin", low.toFixed(2));
  slider.setAttribute("aria-valuemax", high.toFixed(2));
  slider.setAttribute("aria-valuetext", words);
}

const mounted = keepMounted(".filmstrip", (root) => new Filmstrip(root));

/** Called by Streamlit with each rerun; the strip of an element lives on. */
export default function mount({ data, parentElement, setStateValue }) {
  return mounted(parentElement, (strip) => {
    strip.tell = (part) => setStateValue("part", part);
    strip.update(data);
  });
}
