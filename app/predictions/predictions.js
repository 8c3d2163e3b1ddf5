// The most probable classes at the playhead or over the clip, as bars, and the first three over time, as lines.
// Follows the player by its "token-player-time" events and moves it by "token-player-seek". Text by textContent.

const LINES = 3;
const SVG = "http://www.w3.org/2000/svg";

export class Panel {
  constructor(root) {
    this.root = root;
    this.mode = "now";
    this.time = null;
    this.data = null;
    this.stopped = new AbortController();
    const on = (target, type, act) => target.addEventListener(type, act, { signal: this.stopped.signal });
    on(window, "token-player-time", (event) => this.follow(event.detail));
    on(root.querySelector(".mode"), "click", (event) => this.setMode(event.target.dataset?.mode));
    const chart = root.querySelector(".time");
    on(chart, "pointerdown", (event) => {
      chart.setPointerCapture(event.pointerId);
      this.seek(event);
    });
    on(chart, "pointermove", (event) => chart.hasPointerCapture(event.pointerId) && this.seek(event));
  }

  update(data) {
    this.data = data;
    this.root.querySelector("h3").title = data.help;
    this.root.toggleAttribute("data-still", data.still);
    this.root.querySelector(".mode").hidden = data.still;
    this.root.querySelector(".time").hidden = data.still;
    if (!data.still) this.drawLines();
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
    const { data } = this;
    const values = this.mode === "mean" || data.still ? data.mean : data.probs[this.index];
    const order = values.map((_, i) => i).sort((a, b) => values[b] - values[a] || a - b).slice(0, data.top);
    const rows = this.rows(order.length);
    order.forEach((which, place) => {
      const { name, mark, bar, value } = rows[place];
      name.textContent = data.names[which];
      name.title = data.names[which];
      mark.dataset.line = which < LINES ? which : "none";
      bar.style.setProperty("--share", String(values[which] / data.scale));
      value.textContent = percent(values[which] / data.scale);
    });
    if (!data.still) {
      const [first] = data.times;
      const at = ((this.time ?? first) - first) / (data.end - first || 1);
      this.root.querySelector(".cursor").style.left = `${Math.min(Math.max(at, 0), 1) * 100}%`;
    }
  }

  /** The rows of the list, made once for a number of them. */
  rows(count) {
    if (this.held?.length === count) return this.held;
    this.held = Array.from({ length: count }, () => {
      const item = document.createElement("li");
      const label = document.createElement("span");
      const mark = document.createElement("i");
      const name = document.createElement("span");
      const track = document.createElement("span");
      const bar = document.createElement("b");
      const value = document.createElement("span");
      mark.className = "mark";
      track.className = "track";
      value.className = "value";
      label.append(mark, name);
      track.append(bar);
      item.append(label, track, value);
      return { item, mark, name, bar, value };
    });
    this.root.querySelector(".bars").replaceChildren(...this.held.map(({ item }) => item));
    return this.held;
  }

  drawLines() {
    const { data } = this;
    const [first] = data.times;
    const span = data.end - first || 1;
    const svg = this.root.querySelector("svg");
    const lines = data.names.slice(0, LINES).map((_, which) => {
      const line = document.createElementNS(SVG, "polyline");
      const points = data.times.map((time, i) => [time, data.probs[i][which]]);
      points.push([data.end, points.at(-1)[1]]);
      line.setAttribute(
        "points",
        points.map(([time, p]) => `${(((time - first) / span) * 1000).toFixed(1)},${(100 - (p / data.scale) * 100).toFixed(1)}`).join(" "),
      );
      return line;
    });
    svg.replaceChildren(...lines);
    svg.setAttribute("aria-label", `Probability over time, 0 to 100 %, of ${data.names.slice(0, LINES).join(", ")}`);
  }

  seek(event) {
    const bounds = this.root.querySelector(".time").getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - bounds.left) / bounds.width, 0), 1);
    const [first] = this.data.times;
    const detail = { key: this.data.player, time_s: first + share * (this.data.end - first) };
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

const panels = new WeakMap();

/** Called by Streamlit with each rerun; the panel of an element lives on. */
export default function mount({ data, parentElement }) {
  const root = parentElement.querySelector(".panel");
  let held = panels.get(root);
  if (!held) panels.set(root, (held = { panel: new Panel(root), calls: 0 }));
  held.panel.update(data);
  const call = ++held.calls;
  return () => {
    if (held.calls !== call) return;
    held.panel.destroy();
    panels.delete(root);
  };
}
