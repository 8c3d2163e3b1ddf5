// Tokens over time, a lane each. Follows the player by its "token-player-time" events and moves it by
// "token-player-seek", so a click here jumps the clip and playing there runs the cursor, without the server.
import { wear } from "../js/colors.js";
import { Shown, drawn, listenUntil, make, plot, pressOne } from "../js/dom.js";
import { askPlayer, holdPlayer, seekPlayer, tellPage } from "../js/follow.js";
import { formatWeight } from "../js/format.js";
import { keepMounted } from "../js/mount.js";
import { TimeField, goByPointer } from "../js/time_field.js";
import { PinnedPlace } from "./pinned_place.js";

const LEGENDS = {
  path: "Centre of each token's attention: solid, how far to the right; dashed, how far up.",
  spread: "Spread of each token's attention: 0 all on one patch (bottom), 1 everywhere alike (top).",
  peak: "Largest weight of each map; the lane's top is ",
  stability: "How like the map of the step before: 1 the same (top), 0 disjoint (bottom).",
};
const AFTER_S = 0.001; // within the frame that begins at a moment, whatever a time is rounded to
const FIRST_EVENTS = 8; // of a kind; the rest at a button

export class Timeline {
  constructor(root) {
    this.root = root;
    this.find = (selector) => root.querySelector(selector);
    this.measure = "path";
    this.time = null;
    this.data = null;
    this.lanes = [];
    this.open = new Set();
    this.shown = new Shown();
    this.needle = this.find(".needle");
    this.stopped = new AbortController();
    const on = listenUntil(this.stopped.signal);
    const seek = (time) => seekPlayer(this.data.player, time);
    const hold = (inHand) => holdPlayer(this.data.player, inHand);
    const goTo = (index) => seek(this.data.times[index] + AFTER_S);
    this.field = new TimeField(this.find(".area"), on, { seek, hold, goTo });
    this.pinned = new PinnedPlace(this.find(".place"), {
      share: (time) => this.field.share(time),
      unpin: () => tellPage("token-player-unpin", { key: this.data.player }),
    });
    goByPointer(this.pinned.plot, on, (share) => seek(this.field.timeAt(share)), hold);
    on(window, "token-player-time", (event) => this.isMine(event.detail) && this.follow(event.detail));
    on(window, "token-player-pin", (event) => this.isMine(event.detail) && this.pin(event.detail));
    on(window, "token-player-ready", (event) => this.isMine(event.detail) && this.ask());
    on(root, "click", ({ target }) => {
      const { time, more, measure } = target.dataset;
      if (time) seek(Number(time));
      else if (more) this.showAll(more);
      else if (measure) this.setMeasure(measure);
    });
  }

  update(data) {
    this.data = data;
    this.field.update(data.times, data.end);
    this.root.style.setProperty("--lane", `${data.tokens.length > 8 ? 20 : 26}px`);
    if (this.shown.changes("tokens", data.tokens)) this.makeLanes();
    if (this.shown.changes("marks", [data.switches, data.moments, data.tokens.length, data.times[0], data.end])) this.drawMarks();
    if (this.shown.changes("events", [data.switches, data.moments])) {
      this.open.clear();
      this.listEvents();
    }
    this.drawLanes();
    this.draw();
    this.ask();
  }

  makeLanes() {
    const { tokens } = this.data;
    this.root.querySelectorAll(".lane").forEach((old) => old.remove());
    this.lanes = tokens.map((token, row) => makeLane(token, row));
    this.find(".lanes").append(...this.lanes.map(({ root }) => root));
    this.find(".area").style.gridRow = `2 / ${tokens.length + 2}`;
  }

  /** Marks of what happens when: of switches on their token's lane, of frames that matter above all lanes. */
  drawMarks() {
    const { switches, moments, tokens } = this.data;
    const mark = (className, { time, words }, place) => {
      const made = make("button", className, place);
      made.style.left = `${this.field.share(time) * 100}%`;
      made.dataset.time = String(time);
      made.title = words;
      // The same moments are buttons in the list below, for the keyboard and for screen readers.
      made.tabIndex = -1;
      made.setAttribute("aria-hidden", "true");
      return made;
    };
    this.root.querySelectorAll(".switch, .moment").forEach((old) => old.remove());
    for (const one of switches) {
      mark("switch", one, this.find(".area")).style.top = `${((one.token + 0.5) / tokens.length) * 100}%`;
    }
    const place = this.find(".moments");
    for (const time of new Set(moments.map((one) => one.time))) {
      const there = moments.filter((one) => one.time === time);
      const made = mark("moment", { time, words: there.map((one) => one.words).join("\n") }, place);
      made.toggleAttribute("data-maps", there.some((one) => one.kind === "maps"));
    }
  }

  setMeasure(measure) {
    this.measure = measure;
    pressOne(this.find(".measures"), "measure", measure);
    this.drawLanes();
    this.draw();
  }

  drawLanes() {
    const { data, measure } = this;
    const top = measure === "peak" ? `${formatWeight(data.peak_top, data.percent)}.` : "";
    this.find(".legend").textContent = LEGENDS[measure] + top;
    this.lanes.forEach(({ svg }, token) => {
      const lines =
        measure === "path"
          ? [this.line(data.x[token], "first", false), this.line(data.y[token], "second", true)]
          : [this.line(data[measure][token], "halo", false), this.line(data[measure][token], "first", false)];
      svg.replaceChildren(...lines);
    });
    this.step = null;
  }

  /** A polyline over time; the scale's top is the lane's top unless it hangs down. */
  line(values, className, down) {
    const { times, scale } = this.data;
    const points = [];
    values.forEach((value, i) => {
      if (value === null) return;
      const share = Math.min(Math.max(value / scale, 0), 1);
      points.push(`${(this.field.share(times[i]) * 1000).toFixed(1)},${(down ? 4 + share * 92 : 96 - share * 92).toFixed(1)}`);
    });
    return drawn("polyline", { points: points.join(" "), class: className });
  }

  listEvents() {
    const { switches, moments, heuristic } = this.data;
    const row = (kind, title, help, events, none) => {
      const made = make("div");
      make("b", "", made, title).title = help;
      const listed = this.open.has(kind) ? events : events.slice(0, FIRST_EVENTS);
      for (const { time, words } of listed) make("button", "pill", made, words).dataset.time = String(time);
      if (listed.length < events.length) {
        make("button", "pill", made, `${events.length - listed.length} more`).dataset.more = kind;
      }
      if (!events.length) make("span", "", made, none);
      return made;
    };
    this.find(".events").replaceChildren(
      row("switches", "Switches", heuristic, switches, "No token turns to another subject."),
      row(
        "moments",
        "Frames that matter",
        "Where the maps or the predictions change most from one step to the next.",
        moments,
        "Nothing changes much.",
      ),
    );
  }

  /** Lists all events of a kind, and goes on from where the button was. */
  showAll(kind) {
    this.open.add(kind);
    this.listEvents();
    const at = kind === "switches" ? 0 : 1;
    this.find(".events").children[at].querySelectorAll("button")[FIRST_EVENTS].focus();
  }

  isMine({ key }) {
    return key === this.data?.player;
  }

  follow({ time_s: time, step, playing }) {
    if (step !== this.pinned.step || playing !== this.pinned.playing) this.pinned.draw(step, playing);
    if (time === this.time) return;
    this.time = time;
    this.draw();
  }

  pin({ place, step }) {
    this.pinned.step = step;
    this.pinned.show(place);
  }

  /** What the player, if it is there, said before this timeline was: where it stands, and what is pinned. */
  ask() {
    const said = askPlayer(this.data.player);
    if (!said.view) return;
    this.pin(said);
    this.follow(said);
  }

  /** Follows the playhead. Numbers change with the maps, which come less often than frames. */
  draw() {
    const { field } = this;
    const time = this.time ?? this.data.times[0];
    field.show(time);
    this.needle.style.left = field.cursor.style.left;
    const step = field.indexAt(time);
    if (step === this.step) return;
    this.step = step;
    this.root.dataset.step = String(step);
    this.lanes.forEach(({ value }, token) => {
      value.textContent = this.words(token, step);
    });
  }

  words(token, step) {
    const { data, measure } = this;
    const at = (name) => data[name][token][step];
    const share = (name) => Math.round((at(name) / data.scale) * 100);
    if (measure === "path") return `${share("x")} · ${100 - share("y")} %`;
    if (at(measure) === null) return "–";
    if (measure === "peak") return formatWeight((at("peak") / data.scale) * data.peak_top, data.percent);
    return (at(measure) / data.scale).toFixed(2);
  }

  destroy() {
    this.stopped.abort();
    this.pinned.destroy();
  }
}

function makeLane(token, row) {
  const root = make("div", "lane");
  root.style.setProperty("--token", token.color);
  root.toggleAttribute("data-out", token.muted);
  const chip = make("b", "number", root, String(token.number));
  wear(chip, token.color);
  chip.title = token.words;
  const svg = plot(token.words);
  root.append(svg);
  const value = make("span", "value", root);
  for (const [column, element] of [chip, svg, value].entries()) {
    element.style.gridColumn = String(column + 1);
    element.style.gridRow = String(row + 2);
  }
  return { root, svg, value };
}

const mounted = keepMounted(".timeline", (root) => new Timeline(root));

/** Called by Streamlit with each rerun; the timeline of an element lives on. */
export default function mount({ data, parentElement }) {
  return mounted(parentElement, (timeline) => timeline.update(data));
}
