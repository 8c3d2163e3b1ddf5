// The pinned place's own lane: what every token weighs there over the clip, and which one is strongest now. All of it
// comes from the player ("token-player-pin", see places.js), so that a curve is made of the numbers that pointing reads.
import { wear } from "../js/colors.js";
import { drawn, make } from "../js/dom.js";
import { formatMoment, formatWeight } from "../js/format.js";

const TAG_PX = { width: 21, height: 18 };
const STOPS = 24; // where along its curve a token's number may stand
const QUIET_MS = 700; // a moving playhead is not read aloud

export class PinnedPlace {
  /**
   * @param {HTMLElement} root - The `.place` element of timeline.html.
   * @param {{share: (time: number) => number, unpin: () => void}} timeline
   */
  constructor(root, timeline) {
    this.root = root;
    this.timeline = timeline;
    this.find = (selector) => root.querySelector(selector);
    this.plot = this.find(".plot");
    this.place = null;
    this.step = -1;
    this.playing = false;
    this.curves = [];
    this.find(".spot button").addEventListener("click", () => timeline.unpin());
    this.observer = new ResizeObserver(() => this.place && this.placeTags());
    this.observer.observe(this.plot);
  }

  /** Shows what the player tells of its pin; null for no pin. */
  show(place) {
    this.place = place?.times.length ? place : null;
    this.find(".hint").hidden = Boolean(this.place);
    this.find(".pinned").hidden = !this.place;
    if (!this.place) {
      this.find(".live").textContent = "";
      return;
    }
    this.top = Math.max(...this.place.tokens.map(({ weights }) => largest(weights)));
    this.find(".spot b").textContent = this.spot;
    this.find(".ends .top").textContent = this.words(this.top);
    this.find(".reading").textContent = this.scaleWords();
    this.drawCurves();
    this.placeTags();
    this.draw(this.step, this.playing);
  }

  /** Place in the whole frame as people read it. */
  get spot() {
    return `x ${Math.round(this.place.x * 100)} %, y ${Math.round(this.place.y * 100)} %`;
  }

  words(weight) {
    return formatWeight(weight, this.place.percent);
  }

  scaleWords() {
    const { unit, even, tokens } = this.place;
    const words = [`Weight of each token at this place, ${unit}: from 0 to ${this.words(this.top)}, its largest here in the clip.`];
    if (even > 0 && even < this.top) words.push(`Dotted: ${this.words(even)}, if all places had the same.`);
    if (tokens.some(({ shown }) => !shown)) words.push("Pale: tokens that are not on show.");
    return words.join(" ");
  }

  height(weight) {
    return this.top > 0 ? 96 - (weight / this.top) * 92 : 96;
  }

  drawCurves() {
    const { times, tokens, even } = this.place;
    const across = Array.from(times, (time) => (this.timeline.share(time) * 1000).toFixed(1));
    this.curves = tokens.map(({ color, weights, shown }) => {
      const points = across.map((x, i) => `${x},${this.height(weights[i]).toFixed(1)}`).join(" ");
      const group = drawn("g");
      group.style.setProperty("--token", color);
      group.toggleAttribute("data-faint", !shown);
      group.append(drawn("polyline", { points, class: "halo" }), drawn("polyline", { points }));
      return group;
    });
    const svg = this.find("svg");
    const y = this.height(even);
    const line = even > 0 && even < this.top ? [drawn("line", { x1: 0, x2: 1000, y1: y, y2: y })] : [];
    svg.replaceChildren(...line, ...this.curves);
    svg.setAttribute("aria-label", this.summary());
  }

  /** Numbers on the curves, each as near to its token's largest weight as the others leave room. */
  placeTags() {
    const { tokens, times } = this.place;
    const { clientWidth: width, clientHeight: height } = this.plot;
    const taken = [];
    const tags = [];
    const order = tokens.map((_, k) => k).sort((a, b) => largest(tokens[b].weights) - largest(tokens[a].weights));
    for (const k of order) {
      const { weights, number, color, shown } = tokens[k];
      const spots = stops(weights).map((i) => ({
        x: Math.min(Math.max(this.timeline.share(times[i]) * width, 10), width - 10),
        y: Math.min(Math.max((this.height(weights[i]) / 100) * height, 9), height - 9),
      }));
      const free = ({ x, y }) =>
        taken.every((other) => Math.abs(other.x - x) > TAG_PX.width || Math.abs(other.y - y) > TAG_PX.height);
      const spot = spots.find(free);
      if (!spot) continue;
      taken.push(spot);
      const tag = make("b", "number", null, String(number));
      tag.style.left = `${spot.x}px`;
      tag.style.top = `${spot.y}px`;
      wear(tag, color);
      tag.toggleAttribute("data-faint", !shown);
      tags.push(tag);
    }
    this.find(".tags").replaceChildren(...tags);
  }

  /** Indices of the tokens, largest weight first, at a step. */
  ranked(step) {
    const { tokens } = this.place;
    return tokens.map((_, k) => k).sort((a, b) => tokens[b].weights[step] - tokens[a].weights[step]);
  }

  /** Follows the playhead; `step` is that of the map on show, -1 before the first. Nothing is read aloud while it plays. */
  draw(step, playing) {
    this.step = step;
    this.playing = playing;
    if (!this.place) return;
    const known = step >= 0 && step < this.place.times.length;
    const order = known ? this.ranked(step) : [];
    this.curves.forEach((curve, k) => curve.toggleAttribute("data-strongest", k === order[0]));
    this.find(".strongest").textContent = known ? this.sentence(step, order) : "No map yet at this moment.";
    this.root.dataset.step = String(step);
    clearTimeout(this.aloud);
    if (playing) return;
    this.aloud = setTimeout(() => {
      if (this.place) this.find(".live").textContent = `${this.spot}. ${this.find(".strongest").textContent}`;
    }, QUIET_MS);
  }

  sentence(step, order) {
    const { tokens, times } = this.place;
    const at = (k) => `token ${tokens[k].number}${tokens[k].muted ? ", muted," : ""} with ${this.words(tokens[k].weights[step])}`;
    const first = tokens[order[0]];
    const next = order.slice(1, 3).map(at).join(" and ");
    const lead = first.weights[step] > 0 ? `strongest here is ${at(order[0])}` : "no token looks here";
    return `At ${formatMoment(times[step])} ${lead}${next && first.weights[step] > 0 ? `; then ${next}` : ""}.`;
  }

  /** The whole lane in words. */
  summary() {
    const { tokens, times } = this.place;
    const peaks = tokens.map(({ number, weights }) => {
      const step = weights.indexOf(largest(weights));
      return `token ${number} up to ${this.words(weights[step])} at ${formatMoment(times[step])}`;
    });
    return `Weights at ${this.spot} over the clip: ${peaks.join(", ")}.`;
  }

  destroy() {
    this.observer.disconnect();
    clearTimeout(this.aloud);
  }
}

function largest(weights) {
  return weights.reduce((top, weight) => Math.max(top, weight), 0);
}

/** Steps to put a number at: the largest weight first, then evenly spread ones from high to low. */
function stops(weights) {
  const spread = Array.from({ length: STOPS }, (_, i) => Math.round((i * (weights.length - 1)) / (STOPS - 1)));
  return [weights.indexOf(largest(weights)), ...spread.sort((a, b) => weights[b] - weights[a])];
}
