// The most probable classes of each question at the playhead or over the clip, as bars, and the first three over time,
// as lines. Follows the player by its "token-player-time" events and moves it by "token-player-seek". Text by
// textContent. Where tokens are left out, a mark on each bar and a difference say what all of them had said.

import { keepMounted } from "../js/mount.js";

const LINES = 3;
const SVG = "http://www.w3.org/2000/svg";

function make(tag, className = "", parent = null) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  parent?.append(made);
  return made;
}

/** One question: its bars, and its lines over time. */
class Group {
  constructor(panel, place) {
    this.panel = panel;
    this.root = make("div", "group", place);
    this.title = make("h4", "", this.root);
    this.list = make("ol", "bars", this.root);
    this.time = make("div", "time", this.root);
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("viewBox", "0 0 1000 100");
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("role", "img");
    this.time.append(this.svg);
    this.cursor = make("i", "cursor", this.time);
    this.time.addEventListener("pointerdown", (event) => {
      this.time.setPointerCapture(event.pointerId);
      this.seek(event);
    });
    this.time.addEventListener("pointermove", (event) => this.time.hasPointerCapture(event.pointerId) && this.seek(event));
  }

  update(data, still) {
    this.data = data;
    this.title.textContent = data.title;
    this.title.title = data.help;
    this.time.hidden = still;
    this.list.setAttribute("aria-label", data.title);
    if (!still) this.drawLines();
  }

  /** Draws the bars of one moment; `index` is null for the mean. */
  draw(index, at) {
    const { data } = this;
    const { scale } = this.panel.data;
    const values = index === null ? data.mean : data.probs[index];
    const before = data.before && (index === null ? data.before.mean : data.before.probs[index]);
    const order = values.map((_, i) => i).sort((a, b) => values[b] - values[a] || a - b).slice(0, data.top);
    const rows = this.rows(order.length);
    this.root.toggleAttribute("data-compared", Boolean(before));
    order.forEach((which, place) => {
      const { name, mark, bar, ghost, value, change } = rows[place];
      name.textContent = data.names[which];
      name.title = data.names[which];
      mark.dataset.line = which < LINES ? which : "none";
      bar.style.setProperty("--share", String(values[which] / scale));
      value.textContent = percent(values[which] / scale);
      ghost.hidden = !before;
      change.textContent = before ? points((values[which] - before[which]) / scale) : "";
      if (before) {
        ghost.style.left = `${(before[which] / scale) * 100}%`;
        change.title = `With all tokens: ${percent(before[which] / scale)}; the difference is in percentage points`;
      }
    });
    this.cursor.style.left = `${at * 100}%`;
  }

  /** The rows of the list, made once for a number of them. */
  rows(count) {
    if (this.held?.length === count) return this.held;
    this.held = Array.from({ length: count }, () => {
      const item = make("li");
      const label = make("span", "", item);
      const mark = make("i", "mark", label);
      const name = make("span", "", label);
      const track = make("span", "track", item);
      const bar = make("b", "", track);
      const ghost = make("i", "ghost", track);
      const value = make("span", "value", item);
      const change = make("span", "change", item);
      return { item, mark, name, bar, ghost, value, change };
    });
    this.list.replaceChildren(...this.held.map(({ item }) => item));
    return this.held;
  }

  drawLines() {
    const { data, svg } = this;
    const { times, end, scale } = this.panel.data;
    const [first] = times;
    const span = end - first || 1;
    const lines = data.names.slice(0, LINES).map((_, which) => {
      const line = document.createElementNS(SVG, "polyline");
      const places = times.map((time, i) => [time, data.probs[i][which]]);
      places.push([end, places.at(-1)[1]]);
      line.setAttribute(
        "points",
        places.map(([time, p]) => `${(((time - first) / span) * 1000).toFixed(1)},${(100 - (p / scale) * 100).toFixed(1)}`).join(" "),
      );
      return line;
    });
    svg.replaceChildren(...lines);
    svg.setAttribute("aria-label", `Probability over time, 0 to 100 %, of ${data.names.slice(0, LINES).join(", ")}`);
  }

  seek(event) {
    const bounds = this.time.getBoundingClientRect();
    this.panel.seek(Math.min(Math.max((event.clientX - bounds.left) / bounds.width, 0), 1));
  }
}

export class Panel {
  constructor(root) {
    this.root = root;
    this.mode = "now";
    this.time = null;
    this.data = null;
    this.groups = [];
    this.stopped = new AbortController();
    const on = (target, type, act) => target.addEventListener(type, act, { signal: this.stopped.signal });
    on(window, "token-player-time", (event) => this.follow(event.detail));
    on(root.querySelector(".mode"), "click", (event) => this.setMode(event.target.dataset?.mode));
  }

  update(data) {
    this.data = data;
    this.root.querySelector("h3").title = data.help;
    this.root.toggleAttribute("data-still", data.still);
    this.root.querySelector(".mode").hidden = data.still;
    const place = this.root.querySelector(".groups");
    while (this.groups.length > data.groups.length) this.groups.pop().root.remove();
    while (this.groups.length < data.groups.length) this.groups.push(new Group(this, place));
    data.groups.forEach((group, i) => this.groups[i].update(group, data.still));
    this.draw();
  }

  setMode(mode) {
    if (mode !== "now" && mode !== "mean") return;
    this.mode = mode;
    for (const button of this.root.querySelectorAll(".mode button")) {
      button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    }
    this.draw();
  }

  follow({ key, time_s: time }) {
    if (key !== this.data?.player || time === this.time) return;
    this.time = time;
    this.draw();
  }

  /** Index of the latest entry that is not later than the playhead. */
  get index() {
    const { times } = this.data;
    let found = 0;
    while (found + 1 < times.length && times[found + 1] <= (this.time ?? 0) + 0.005) found++;
    return found;
  }

  draw() {
    const { times, end, still } = this.data;
    const index = this.mode === "mean" || still ? null : this.index;
    const at = ((this.time ?? times[0]) - times[0]) / (end - times[0] || 1);
    for (const group of this.groups) group.draw(index, Math.min(Math.max(at, 0), 1));
  }

  seek(share) {
    const { player, times, end } = this.data;
    const detail = { key: player, time_s: times[0] + share * (end - times[0]) };
    window.dispatchEvent(new CustomEvent("token-player-seek", { detail }));
  }

  destroy() {
    this.stopped.abort();
  }
}

/** A share with two significant digits, as in the rest of the page. */
function percent(share) {
  const value = share * 100;
  if (value > 0 && value < 0.1) return "<0.1 %";
  return `${value.toFixed(value < 9.95 && value > 0 ? 1 : 0)} %`;
}

/** A difference in percentage points, with its sign. */
function points(difference) {
  const value = Math.abs(difference * 100);
  const digits = value.toFixed(value < 9.95 ? 1 : 0);
  return Number(digits) === 0 ? "0" : `${difference < 0 ? "−" : "+"}${digits}`;
}

const mounted = keepMounted(".panel", (root) => new Panel(root));

/** Called by Streamlit with each rerun; the panel of an element lives on. */
export default function mount({ data, parentElement }) {
  return mounted(parentElement, (panel) => panel.update(data));
}
