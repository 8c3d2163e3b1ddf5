// The most probable classes of each question at the playhead or over the clip, as bars, and the first three over time,
// as lines. Follows the player by its "token-player-time" events and moves it by "token-player-seek". Text by
// textContent. Where tokens are left out, a mark on each bar and a difference say what all of them had said.
import { drawn, listenUntil, make, plot, pressOne } from "../js/dom.js";
import { askPlayer, holdPlayer, seekPlayer } from "../js/follow.js";
import { formatPoints, formatShare } from "../js/format.js";
import { keepMounted } from "../js/mount.js";
import { TimeField } from "../js/time_field.js";

const LINES = 3;
const AFTER_S = 0.001; // within the frame that begins at a moment, whatever a time is rounded to

/** One question: its bars, and its lines over time. */
class Group {
  constructor(place, on, { seek, hold }) {
    this.root = make("div", "group", place);
    this.title = make("h4", "", this.root);
    this.list = make("ol", "bars", this.root);
    this.time = make("div", "time", this.root);
    this.time.tabIndex = 0;
    this.time.setAttribute("role", "slider");
    this.svg = plot("");
    this.time.append(this.svg);
    make("i", "cursor", this.time);
    const goTo = (index) => seek(this.field.times[index] + AFTER_S);
    this.field = new TimeField(this.time, on, { seek, hold, goTo });
    this.rows = [];
  }

  /** Takes what the server says of one question; `all` holds what is said of all of them. */
  update(data, all) {
    this.data = data;
    this.scale = all.scale;
    this.title.textContent = data.title;
    this.title.title = data.help;
    this.time.hidden = all.still;
    this.time.setAttribute("aria-label", `Time in the clip: ${data.title}`);
    this.list.setAttribute("aria-label", data.title);
    this.root.toggleAttribute("data-compared", Boolean(data.before));
    this.field.update(all.times, all.end);
    this.makeRows(Math.min(data.top, data.names.length));
    if (!all.still) this.drawLines();
  }

  makeRows(count) {
    if (this.rows.length === count) return;
    this.list.replaceChildren();
    this.rows = Array.from({ length: count }, () => {
      const item = make("li", "", this.list);
      const label = make("span", "", item);
      const mark = make("i", "mark", label);
      const name = make("span", "", label);
      const track = make("span", "track", item);
      const bar = make("b", "", track);
      const ghost = make("i", "ghost", track);
      const value = make("span", "value", item);
      const change = make("span", "change", item);
      return { mark, name, bar, ghost, value, change };
    });
  }

  /** Draws the bars of one moment; `index` is null for the mean. */
  drawBars(index) {
    const { data, scale } = this;
    const values = index === null ? data.mean : data.probs[index];
    const before = data.before && (index === null ? data.before.mean : data.before.probs[index]);
    const order = values.map((_, i) => i).sort((a, b) => values[b] - values[a] || a - b);
    this.rows.forEach(({ name, mark, bar, ghost, value, change }, place) => {
      const which = order[place];
      name.textContent = data.names[which];
      name.title = data.names[which];
      mark.dataset.line = which < LINES ? which : "none";
      bar.style.setProperty("--share", String(values[which] / scale));
      value.textContent = formatShare(values[which] / scale);
      ghost.hidden = !before;
      change.textContent = before ? formatPoints((values[which] - before[which]) / scale) : "";
      if (before) {
        ghost.style.left = `${(before[which] / scale) * 100}%`;
        change.title = `With all tokens: ${formatShare(before[which] / scale)}; the difference is in percentage points`;
      }
    });
  }

  drawLines() {
    const { data, field, scale } = this;
    const { times, end } = field;
    const lines = data.names.slice(0, LINES).map((_, which) => {
      const places = [...times.map((time, i) => [time, data.probs[i][which]]), [end, data.probs.at(-1)[which]]];
      const points = places.map(([time, p]) => `${(field.share(time) * 1000).toFixed(1)},${(100 - (p / scale) * 100).toFixed(1)}`);
      return drawn("polyline", { points: points.join(" ") });
    });
    this.svg.replaceChildren(...lines);
    this.svg.setAttribute("aria-label", `Probability over time, 0 to 100 %, of ${data.names.slice(0, LINES).join(", ")}`);
  }
}

export class Panel {
  constructor(root) {
    this.root = root;
    this.mode = "now";
    this.time = null;
    this.data = null;
    this.groups = [];
    this.place = root.querySelector(".groups");
    this.place.replaceChildren();
    this.stopped = new AbortController();
    this.on = listenUntil(this.stopped.signal);
    this.on(window, "token-player-time", ({ detail }) => this.isMine(detail) && this.follow(detail.time_s));
    this.on(window, "token-player-ready", ({ detail }) => this.isMine(detail) && this.ask());
    this.on(root.querySelector(".mode"), "click", (event) => this.setMode(event.target.dataset.mode));
  }

  update(data) {
    this.data = data;
    this.root.querySelector("h3").title = data.help;
    this.root.toggleAttribute("data-still", data.still);
    this.root.querySelector(".mode").hidden = data.still;
    const acts = {
      seek: (time) => seekPlayer(this.data.player, time),
      hold: (inHand) => holdPlayer(this.data.player, inHand),
    };
    while (this.groups.length > data.groups.length) this.groups.pop().root.remove();
    while (this.groups.length < data.groups.length) this.groups.push(new Group(this.place, this.on, acts));
    data.groups.forEach((group, i) => this.groups[i].update(group, data));
    this.drawn = undefined;
    this.draw();
    this.ask();
  }

  setMode(mode) {
    if (!mode) return;
    this.mode = mode;
    pressOne(this.root.querySelector(".mode"), "mode", mode);
    this.draw();
  }

  isMine({ key }) {
    return key === this.data?.player;
  }

  /** Where the player, if it is there, stood before this panel was. */
  ask() {
    const said = askPlayer(this.data.player);
    if (said.view) this.follow(said.time_s);
  }

  follow(time) {
    if (time === this.time) return;
    this.time = time;
    this.draw();
  }

  /** Follows the playhead. Bars change with the answers, which come less often than frames. */
  draw() {
    const { times, still } = this.data;
    const time = this.time ?? times[0];
    for (const { field } of this.groups) field.show(time);
    const index = this.mode === "mean" || still ? null : this.groups[0].field.indexAt(time);
    if (index === this.drawn) return;
    this.drawn = index;
    for (const group of this.groups) group.drawBars(index);
  }

  destroy() {
    this.stopped.abort();
  }
}

const mounted = keepMounted(".panel", (root) => new Panel(root));

/** Called by Streamlit with each rerun; the panel of an element lives on. */
export default function mount({ data, parentElement }) {
  return mounted(parentElement, (panel) => panel.update(data));
}
