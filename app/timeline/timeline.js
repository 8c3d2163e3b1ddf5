// Tokens over time, a lane each. Follows the player by its "token-player-time" events and moves it by
// "token-player-seek", so a click here jumps the clip and playing there runs the cursor, without the server.
import { readable } from "../js/ink.js";
import { keepMounted } from "../js/mount.js";
import { PinnedPlace } from "./pinned_place.js";

const SVG = "http://www.w3.org/2000/svg";
const LEGENDS = {
  path: "Centre of each token's attention: solid, how far to the right; dashed, how far up.",
  spread: "Spread of each token's attention: 0 all on one patch (bottom), 1 everywhere alike (top).",
  peak: "Largest weight of each map; the lane's top is ",
  stability: "How like the map of the step before: 1 the same (top), 0 disjoint (bottom).",
};

function make(tag, className = "", parent = null) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  parent?.append(made);
  return made;
}

export class Timeline {
  constructor(root) {
    this.root = root;
    this.measure = "path";
    this.time = null;
    this.data = null;
    this.area = root.querySelector(".area");
    this.cursor = root.querySelector(".cursor");
    this.needle = root.querySelector(".needle");
    this.stopped = new AbortController();
    const on = (target, type, act) => target.addEventListener(type, act, { signal: this.stopped.signal });
    this.pinned = new PinnedPlace(root.querySelector(".place"), {
      share: (time) => this.share(time),
      unpin: () => this.say("token-player-unpin"),
      ink: readable,
    });
    on(window, "token-player-time", (event) => this.follow(event.detail));
    on(window, "token-player-pin", (event) => this.isMine(event.detail) && this.pin(event.detail));
    on(window, "token-player-ready", (event) => this.isMine(event.detail) && this.ask());
    on(root.querySelector(".measures"), "click", (event) => this.setMeasure(event.target.dataset?.measure));
    for (const field of [this.area, this.pinned.plot]) {
      on(field, "pointerdown", (event) => {
        if (event.target.dataset.time) return this.seek(Number(event.target.dataset.time));
        field.setPointerCapture(event.pointerId);
        this.seekAt(event);
      });
      on(field, "pointermove", (event) => field.hasPointerCapture(event.pointerId) && this.seekAt(event));
    }
    on(this.area, "keydown", (event) => this.onKey(event));
    on(root.querySelector(".events"), "click", (event) => {
      const { time } = event.target.dataset;
      if (time) this.seek(Number(time));
    });
  }

  update(data) {
    this.data = data;
    this.root.style.setProperty("--lane", `${data.tokens.length > 8 ? 20 : 26}px`);
    this.lanes?.forEach(({ root }) => root.remove());
    this.lanes = data.tokens.map((token, row) => this.lane(token, row));
    this.area.style.gridRow = `1 / ${data.tokens.length + 1}`;
    this.area.setAttribute("aria-valuemin", String(data.times[0]));
    this.area.setAttribute("aria-valuemax", String(data.end));
    this.area.querySelectorAll(".switch").forEach((mark) => mark.remove());
    for (const { token, time, words } of data.switches) {
      const mark = make("button", "switch", this.area);
      mark.style.left = `${this.share(time) * 100}%`;
      mark.style.top = `${((token + 0.5) / data.tokens.length) * 100}%`;
      mark.dataset.time = String(time);
      mark.title = words;
      mark.tabIndex = -1;
      mark.setAttribute("aria-label", words);
    }
    this.listEvents();
    this.drawLanes();
    this.draw();
    this.ask();
  }

  lane(token, row) {
    const root = make("div", "lane");
    root.style.setProperty("--token", token.color);
    root.toggleAttribute("data-muted", token.muted);
    const chip = make("b", "number", root);
    chip.textContent = String(token.number);
    chip.style.background = token.color;
    chip.style.color = readable(token.color);
    chip.title = token.words;
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 1000 100");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", token.words);
    root.append(svg);
    const value = make("span", "value", root);
    for (const [column, element] of [chip, svg, value].entries()) {
      element.style.gridColumn = String(column + 1);
      element.style.gridRow = String(row + 1);
    }
    this.root.querySelector(".lanes").append(root);
    return { root, svg, value };
  }

  setMeasure(measure) {
    if (!(measure in LEGENDS)) return;
    this.measure = measure;
    for (const button of this.root.querySelectorAll(".measures button")) {
      button.setAttribute("aria-pressed", String(button.dataset.measure === measure));
    }
    this.drawLanes();
    this.draw();
  }

  drawLanes() {
    const { data, measure } = this;
    this.root.querySelector(".legend").textContent = LEGENDS[measure] + (measure === "peak" ? `${data.peak_words}.` : "");
    this.lanes.forEach(({ svg }, token) => {
      const lines =
        measure === "path"
          ? [this.line(data.x[token], "first", false), this.line(data.y[token], "second", true)]
          : [this.line(data[measure][token], "halo", false), this.line(data[measure][token], "first", false)];
      svg.replaceChildren(...lines);
    });
  }

  /** A polyline over time; the scale's top is the lane's top unless it hangs down. */
  line(values, className, down) {
    const { times, scale } = this.data;
    const line = document.createElementNS(SVG, "polyline");
    const points = [];
    values.forEach((value, i) => {
      if (value === null) return;
      const share = Math.min(Math.max(value / scale, 0), 1);
      points.push(`${(this.share(times[i]) * 1000).toFixed(1)},${(down ? 4 + share * 92 : 96 - share * 92).toFixed(1)}`);
    });
    line.setAttribute("points", points.join(" "));
    line.setAttribute("class", className);
    return line;
  }

  listEvents() {
    const { switches, moments, heuristic } = this.data;
    const rows = [];
    const row = (title, help, events, none) => {
      const made = make("div");
      const name = make("b", "", made);
      name.textContent = title;
      name.title = help;
      for (const { time, words } of events) {
        const button = make("button", "", made);
        button.dataset.time = String(time);
        button.textContent = words;
      }
      if (!events.length) make("span", "", made).textContent = none;
      rows.push(made);
    };
    row("Switches", heuristic, switches.slice(0, 8), "No token turns to another subject.");
    row("Frames that matter", "Where the maps or the predictions change most from one step to the next.", moments, "Nothing changes much.");
    this.root.querySelector(".events").replaceChildren(...rows);
  }

  share(time) {
    const { times, end } = this.data;
    return Math.min(Math.max((time - times[0]) / (end - times[0] || 1), 0), 1);
  }

  /** Index of the latest step that is not later than the playhead. */
  get index() {
    const { times } = this.data;
    const now = (this.time ?? times[0]) + 0.005;
    let low = 0;
    let high = times.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (times[middle] <= now) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  isMine({ key }) {
    return key === this.data?.player;
  }

  follow(detail) {
    if (!this.isMine(detail)) return;
    if (detail.step !== this.pinned.step) this.pinned.draw(detail.step);
    if (detail.time_s === this.time) return;
    this.time = detail.time_s;
    this.draw();
  }

  pin({ place, step }) {
    this.pinned.step = step;
    this.pinned.show(place);
  }

  /** What the player, if it is there, said before this timeline was: where it stands, and what is pinned. */
  ask() {
    const said = this.say("token-player-ask");
    if (!said.view) return;
    this.pin(said);
    this.follow({ ...said, time_s: said.view.time_s });
  }

  say(type, detail = {}) {
    const said = { key: this.data.player, ...detail };
    window.dispatchEvent(new CustomEvent(type, { detail: said }));
    return said;
  }

  draw() {
    const { data } = this;
    const time = this.time ?? data.times[0];
    const left = `${this.share(time) * 100}%`;
    this.cursor.style.left = this.needle.style.left = left;
    this.area.setAttribute("aria-valuenow", time.toFixed(2));
    this.area.setAttribute("aria-valuetext", `${time.toFixed(2)} seconds`);
    const { index } = this;
    this.root.dataset.step = String(index);
    this.lanes.forEach(({ value }, token) => {
      value.textContent = this.words(token, index);
    });
  }

  words(token, index) {
    const { data, measure } = this;
    const at = (name) => data[name][token][index];
    const share = (name) => Math.round((at(name) / data.scale) * 100);
    if (measure === "path") return `${share("x")} · ${100 - share("y")} %`;
    if (at(measure) === null) return "–";
    if (measure === "peak") return `${two((at("peak") / data.scale) * data.peak_top)}${data.peak_unit}`;
    return (at(measure) / data.scale).toFixed(2);
  }

  seekAt(event) {
    const bounds = event.currentTarget.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - bounds.left) / bounds.width, 0), 1);
    const { times, end } = this.data;
    this.seek(times[0] + share * (end - times[0]));
  }

  seek(time) {
    this.say("token-player-seek", { time_s: time });
  }

  onKey(event) {
    const { times } = this.data;
    const last = times.length - 1;
    const far = Math.max(1, Math.round(last / 10));
    const to = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -far, PageUp: far }[event.key];
    const index = event.key === "Home" ? 0 : event.key === "End" ? last : to && this.index + to;
    if (index === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.seek(times[Math.min(Math.max(index, 0), last)] + 0.001);
  }

  destroy() {
    this.stopped.abort();
    this.pinned.destroy();
  }
}

function two(value) {
  return value >= 10 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(2);
}

const mounted = keepMounted(".timeline", (root) => new Timeline(root));

/** Called by Streamlit with each rerun; the timeline of an element lives on. */
export default function mount({ data, parentElement }) {
  return mounted(parentElement, (timeline) => timeline.update(data));
}
