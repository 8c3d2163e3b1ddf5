// The controls of all lanes and the timeline of their disagreement. Text by textContent.
import { copyLink, linkTo, showLink } from "../../js/address.js";
import { Shown, drawn, listenUntil, make, pressOne } from "../../js/dom.js";
import { askPlayer } from "../../js/follow.js";
import { formatShare, formatTime } from "../../js/format.js";
import { keepMounted } from "../../js/mount.js";
import { offerSpeeds } from "../../js/speeds.js";
import { TimeField } from "../../js/time_field.js";
import { LockStep } from "./lockstep.js";

const LOOK_MS = 600;
const SAID_MS = 4000;
const AFTER_S = 0.002; // within the frame that begins at a moment, whatever a time is rounded to

export class Deck {
  constructor(root) {
    this.root = root;
    this.data = null;
    this.find = (selector) => root.querySelector(selector);
    this.area = this.find(".area");
    this.shown = new Shown();
    this.steps = new LockStep((change) => this.onChange(change));
    this.stopped = new AbortController();
    const on = listenUntil(this.stopped.signal);
    offerSpeeds(this.find('[data-set="speed"]'));
    this.field = new TimeField(this.area, on, {
      seek: (time) => this.steps.seek(time),
      hold: (inHand) => this.steps.halt(inHand),
      goTo: (index) => this.jump(this.data.times[index]),
    });
    const acts = {
      play: () => this.steps.toggle(),
      previous: () => this.stepBy(-1),
      next: () => this.stepBy(1),
      copy: () => this.copy(),
    };
    on(root, "click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      if (button.dataset.act) acts[button.dataset.act]();
      else if (button.dataset.view) this.setView(button.dataset.view);
      else if (button.dataset.time) this.jump(Number(button.dataset.time));
    });
    on(this.find('[data-set="speed"]'), "change", (event) => this.steps.setSpeed(Number(event.target.value)));
    on(this.find('[data-set="opacity"]'), "input", (event) => this.steps.slide('[data-set="opacity"]', event.target.value));
    on(root, "keydown", (event) => this.onKey(event));
    this.timer = setInterval(() => this.look(), LOOK_MS);
  }

  update(data) {
    if (data.clip !== this.data?.clip) this.steps.forget();
    if (!this.data && data.start !== null) this.steps.time = data.start; // a link's: players that come join there
    this.data = data;
    this.field.update(data.times, data.end);
    this.root.toggleAttribute("data-still", data.still);
    this.steps.hold(data.players);
    this.drawLines();
    this.drawStrips();
    if (this.shown.changes("peaks", [data.peaks, data.times[0], data.end, data.still, data.lines.length])) this.drawPeaks();
    this.draw();
    this.takeOver();
  }

  /** Shows the looks of the lane that the others are read against. */
  takeOver() {
    const { view } = askPlayer(this.data.players[0]);
    if (!view) return;
    pressOne(this.find(".views"), "view", view.view);
    this.find('[data-set="opacity"]').value = String(view.opacity);
  }

  onChange(change) {
    if ("playing" in change) this.root.toggleAttribute("data-playing", change.playing);
    if ("speed" in change) this.find('[data-set="speed"]').value = String(change.speed);
    if (!this.data) return;
    if (change.ready) this.takeOver();
    this.draw();
  }

  // Drawing ----------------------------------------------------------------------------------------------------------

  drawLines() {
    const { lines, times, end } = this.data;
    // The plot's top is the next of these shares, so that small differences can be seen; it is printed.
    const most = Math.max(0, ...lines.flatMap(({ values }) => values)) / this.data.scale;
    const top = [0.1, 0.25, 0.5].find((share) => most <= share) ?? 1;
    const scale = this.data.scale * top;
    this.find(".top").textContent = `${top * 100} %`;
    const svg = this.find(".plot svg");
    const made = [];
    lines.forEach(({ values }, lane) => {
      // A step for each moment: an answer holds until the next one.
      const points = values.flatMap((value, i) => {
        const y = (97 - (value / scale) * 94).toFixed(1);
        return [`${this.x(times[i])},${y}`, `${this.x(times[i + 1] ?? end)},${y}`];
      });
      if (lane === 0) {
        made.push(drawn("polygon", { points: `0,100 ${points.join(" ")} 1000,100` }));
      }
      made.push(drawn("polyline", { points: points.join(" "), "data-lane": lane }));
    });
    svg.replaceChildren(...made);
    svg.setAttribute("aria-label", `How far the answers are from lane A over time, 0 to ${top * 100} %: ${lines.map((line) => line.letter).join(", ")}`);
    const name = this.find(".timeline > .name");
    name.replaceChildren(lines.length ? "differs from A: " : "");
    lines.forEach(({ letter }, lane) => {
      const which = make("span", "", name);
      make("b", "", which, letter);
      make("i", "key", which).dataset.lane = String(lane);
    });
  }

  drawStrips() {
    const timeline = this.find(".timeline");
    timeline.querySelectorAll(".strip, .lane").forEach((old) => old.remove());
    for (const { letter, parts } of this.data.strips) {
      const label = make("span", "name lane");
      make("b", "", label, letter);
      label.append(" says");
      label.title = "The most probable class over time; orange where it is not lane A's";
      const strip = make("div", "strip");
      for (const { from, to, name, differs } of parts) {
        const part = make("i", "", strip, name);
        part.style.left = `${this.x(from) / 10}%`;
        part.style.width = `${(this.x(to) - this.x(from)) / 10}%`;
        part.toggleAttribute("data-differs", differs);
      }
      this.area.before(label, strip);
    }
  }

  drawPeaks() {
    this.area.querySelectorAll(".mark").forEach((old) => old.remove());
    const list = this.find(".peaks");
    const { peaks, lines, still } = this.data;
    list.replaceChildren(peaks.length ? "Most apart:" : "The lanes' answers never differ markedly.");
    list.hidden = still || !lines.length;
    for (const { time, short, words } of peaks) {
      const mark = make("button", "mark", this.area);
      mark.style.left = `${this.x(time) / 10}%`;
      mark.dataset.time = String(time);
      mark.title = words;
      mark.tabIndex = -1;
      mark.setAttribute("aria-hidden", "true");
      const button = make("button", "pill", list, short);
      button.dataset.time = String(time);
      button.title = words;
      button.setAttribute("aria-label", `Go to ${words}`);
    }
  }

  draw() {
    const { data } = this;
    const time = this.time;
    this.field.show(time);
    this.find(".time").textContent = `${formatTime(time)} / ${formatTime(data.end)} s`;
    const { index } = this;
    this.root.dataset.moment = String(index);
    const apart = data.lines.map(({ letter, values }) => `${letter} ${formatShare(values[index] / data.scale)}`);
    this.find(".now").textContent = apart.length ? `moved from A: ${apart.join(", ")}` : "";
  }

  /** Thousandths of the timeline's width. */
  x(time) {
    return this.field.share(time) * 1000;
  }

  get time() {
    return this.steps.time ?? this.data.times[0];
  }

  /** Index of the latest moment that is not later than the playhead. */
  get index() {
    return this.field.indexAt(this.time);
  }

  // What the viewer does -----------------------------------------------------------------------------------------------

  /** Goes to a moment and stays there. */
  jump(time) {
    this.steps.pause();
    this.steps.seek(time + AFTER_S);
  }

  stepBy(count) {
    const { times } = this.data;
    this.jump(times[Math.min(Math.max(this.index + count, 0), times.length - 1)]);
  }

  setView(view) {
    this.steps.press(`.views button[data-view="${view}"]`);
    pressOne(this.find(".views"), "view", view);
  }

  onKey(event) {
    if (this.data.still || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("select, input")) return;
    const { times } = this.data;
    const acts = {
      ArrowLeft: () => this.stepBy(-1),
      ArrowRight: () => this.stepBy(1),
      Home: () => this.jump(times[0]),
      End: () => this.jump(times.at(-1)),
    };
    if (event.key === " " && !event.target.matches("button")) acts[" "] = () => this.steps.toggle();
    if (!acts[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    acts[event.key]();
  }

  // The link ------------------------------------------------------------------------------------------------------------

  get href() {
    const time = Math.round(this.time * 1000) / 1000;
    const moved = !this.data.still && time > this.data.times[0] + AFTER_S;
    return linkTo({ ...this.data.link, ...(moved ? { t: time } : {}) });
  }

  /** Keeps the page's address in step; while the clip plays, the time would change it all the time. */
  look() {
    if (this.data && this.root.isConnected && !this.steps.playing) showLink(this.href);
  }

  async copy() {
    const { href } = this;
    showLink(href);
    const said = this.find(".said");
    said.textContent = (await copyLink(href)) ? "Copied" : "Copy it from the address bar";
    clearTimeout(this.silence);
    this.silence = setTimeout(() => said.replaceChildren(), SAID_MS);
  }

  destroy() {
    clearInterval(this.timer);
    clearTimeout(this.silence);
    this.stopped.abort();
    this.steps.destroy();
  }
}

const mounted = keepMounted(".deck", (root) => new Deck(root));

/** Called by Streamlit with each rerun; the controls of an element live on. */
export default function mount({ data, parentElement }) {
  return mounted(parentElement, (deck) => deck.update(data));
}
