// The controls around the stage: listens to them, and shows the player's state on them. All text by textContent.
import { heatGradient, stepGradient, wear } from "../../js/colors.js";
import { Shown, listenUntil, make, press, pressOne } from "../../js/dom.js";
import { formatTime, formatWeight } from "../../js/format.js";
import { offerSpeeds } from "../../js/speeds.js";
import { handleKey, helpRows } from "./keyboard.js";
import { TRAIL_S } from "./trails.js";

const VIEW_NAMES = { one: "One token", some: "Chosen tokens", owner: "Owner of each place", grid: "All tokens", beside: "Original beside overlay" };

export class Controls {
  constructor(player) {
    this.player = player;
    this.root = player.root;
    this.chips = [];
    this.shown = new Shown();
    this.parts = new Map();
    offerSpeeds(this.find('[data-set="speed"]'));
    this.fillHelp();
    this.listen();
  }

  /** A part of the player's markup, looked for once. */
  find(selector) {
    if (!this.parts.has(selector)) this.parts.set(selector, this.root.querySelector(selector));
    return this.parts.get(selector);
  }

  fillHelp() {
    const list = this.find(".help dl");
    list.replaceChildren();
    for (const [key, does] of helpRows()) {
      const row = make("div", "", list);
      make("dt", "", row, key);
      make("dd", "", row, does);
    }
  }

  listen() {
    const { root, player } = this;
    const on = listenUntil(player.stopped.signal);
    const acts = {
      play: () => player.clock.toggle(),
      previous: () => player.stepBy(-1),
      next: () => player.stepBy(1),
      loop: () => player.clock.setLoop(!player.clock.loops),
      patches: () => player.set({ smooth: !player.state.smooth }),
      trails: () => player.set({ trails: !player.state.trails }),
      hide: () => player.set({ hidden: !player.state.hidden }),
      help: () => player.toggleHelp(),
      full: () => player.toggleFull(),
      unpin: () => player.pinAt(null),
      all: () => player.chooseAll(true),
      none: () => player.chooseAll(false),
    };
    on(root, "click", (event) => {
      const button = event.composedPath().find((node) => node.matches?.("button"));
      if (!button) return;
      if (button.dataset.act) acts[button.dataset.act]();
      else if (button.dataset.view) player.setView(button.dataset.view);
      else if (button.dataset.token) player.pickToken(Number(button.dataset.token));
    });
    on(root, "keydown", (event) => handleKey(player, event));
    on(this.find(".scrub"), "input", (event) => {
      player.hold(true);
      player.seek(Number(event.target.value));
    });
    on(this.find(".scrub"), "change pointerup pointercancel", () => player.hold(false));
    on(this.find('[data-set="opacity"]'), "input", (event) => player.set({ opacity: Number(event.target.value) }));
    on(this.find('[data-set="speed"]'), "change", (event) => player.clock.setSpeed(Number(event.target.value)));
    on(this.find('[data-set="scale"]'), "change", (event) => player.set({ scale: event.target.value }));
    on(document, "fullscreenchange", () => player.header && this.sync());
  }

  /** New maps: other tokens, another colour table, another caption. */
  rebuild() {
    const { header } = this.player;
    this.root.style.setProperty("--aspect", String(this.player.aspect));
    this.root.toggleAttribute("data-still", this.player.isStill);
    this.root.toggleAttribute("data-bare", !this.player.maps);
    const caption = this.find(".caption");
    caption.hidden = !header.caption;
    caption.textContent = header.caption ?? "";
    const looks = header.tokens.map(({ number, color, muted }) => [number, color, muted]);
    if (!this.shown.changes("tokens", looks)) return;
    this.chips = header.tokens.map(makeChip);
    this.find(".chips").replaceChildren(...this.chips.map(({ chip }) => chip));
  }

  /** Lays the tokens out in rows of one length. */
  fitChips(width) {
    const perRow = Math.max(1, Math.floor((width + 6) / 84));
    const rows = Math.ceil(this.chips.length / perRow) || 1;
    this.root.style.setProperty("--columns", String(Math.max(4, Math.ceil(this.chips.length / rows))));
  }

  /** Everything that depends on the display state. */
  sync() {
    const { player, root } = this;
    const { state } = player;
    root.dataset.view = state.view;
    root.dataset.drawn = player.drawnKind;
    press(this.find('[data-act="loop"]'), player.clock.loops);
    press(this.find('[data-act="patches"]'), !state.smooth);
    press(this.find('[data-act="trails"]'), state.trails);
    press(this.find('[data-act="hide"]'), state.hidden);
    press(this.find('[data-act="full"]'), player.isFull);
    pressOne(this.find(".views"), "view", state.view);
    setRange(this.find('[data-set="opacity"]'), state.opacity);
    this.find('[data-set="opacity"]').setAttribute("aria-valuetext", `${Math.round(state.opacity * 100)} %`);
    this.find('[data-set="speed"]').value = String(player.clock.speed);
    this.find('[data-set="scale"]').value = state.scale;
    const several = player.drawnKind === "some" || player.drawnKind === "owner";
    for (const name of ["all", "none"]) this.find(`[data-act="${name}"]`).toggleAttribute("data-off", !several);
    this.find('[data-act="unpin"]').toggleAttribute("data-off", !player.places.pin);
    this.chips.forEach(({ chip }, index) => press(chip, player.isLit(index)));
    this.find(".divider").hidden = state.view !== "beside" || !player.maps;
    this.syncLegend();
    this.find(".overlay").setAttribute("aria-label", this.describe());
  }

  syncDivider() {
    const { state, tiles } = this.player;
    const [{ picture }] = tiles;
    const divider = this.find(".divider");
    divider.style.left = `${picture.x + state.divider * picture.w}px`;
    divider.setAttribute("aria-valuenow", String(Math.round(state.divider * 100)));
  }

  syncLegend() {
    const { player } = this;
    const unit = this.find(".unit");
    if (!player.maps) {
      unit.textContent = "No token maps: the plain network runs without a TokenLearner.";
      return;
    }
    this.root.style.setProperty("--gradient", this.gradient());
    const numbers = this.audible.map((token) => token.number);
    const owners = player.drawnKind === "owner";
    this.find(".ramp .low").textContent = owners ? String(numbers[0] ?? "") : "0";
    this.find(".ramp .high").textContent = owners ? String(numbers.at(-1) ?? "") : this.topText();
    const scales = {
      fixed: `one scale for ${player.isStill ? "all tokens" : "the whole clip"}${this.cutText()}`,
      largest: `up to the largest weight of ${player.isStill ? "all tokens" : "the whole clip"}`,
      token: "each token drawn to its own largest weight",
    };
    const drawn = {
      one: player.header.maps.unit,
      grid: player.header.maps.unit,
      some: `${player.header.maps.unit}, as strength of each token's colour`,
    }[player.drawnKind];
    const words = drawn
      ? [drawn, scales[player.state.scale]]
      : ["Colour of the token with the largest weight at each place"];
    const { current } = player;
    if (player.drawnKind === "one" && current.muted) words.push(`token ${current.number} is muted: the network goes on without it`);
    if (player.state.trails && !player.isStill) words.push(`lines: the last ${TRAIL_S} s`);
    if (player.isPartial) words.push("hatched: not seen by the model");
    unit.textContent = words.join(" · ");
  }

  /** The tokens that take part. */
  get audible() {
    const { header, selection } = this.player;
    return selection.audibleIndices.map((index) => header.tokens[index]);
  }

  gradient() {
    const { drawnKind, heat } = this.player;
    if (drawnKind === "owner") return stepGradient(this.audible.map((token) => token.color));
    return drawnKind === "some" ? "linear-gradient(to right, transparent, var(--text))" : heatGradient(heat);
  }

  /** What the fixed scale leaves out, if anything. */
  cutText() {
    const share = this.player.maps.shareAbove;
    return share > 0 ? `, its top ${(share * 100).toPrecision(1)}\u00a0% drawn alike` : "";
  }

  /** Text at the right end of the legend. */
  topText() {
    const { maps, state, drawnKind, selection, header } = this.player;
    if (state.scale === "token" && drawnKind !== "one") return "own top";
    const top = maps.top(state.scale, selection.index);
    const cut = state.scale === "fixed" && maps.shareAbove > 0;
    return `${cut ? "≥ " : ""}${formatWeight(top * maps.unitTop, header.maps.percent)}`;
  }

  describe() {
    const { player } = this;
    if (!player.maps) return "The clip, without token maps";
    const { view, base } = player.state;
    const kind = view === "beside" ? `${VIEW_NAMES.beside}, ${VIEW_NAMES[base].toLowerCase()}` : VIEW_NAMES[view];
    const { current } = player;
    const token = player.drawnKind === "one" ? `: token ${current.number}${current.muted ? ", muted" : ""}` : "";
    const { unit } = player.header.maps;
    const top = player.drawnKind === "owner" ? "" : ` Scale 0 to ${this.topText()}, ${unit}.`;
    return `${kind}${token}.${top}${player.isPartial ? " Part of the frame was not seen by the model." : ""}`;
  }

  /** Playing or paused, and how long the clip is. */
  syncClock() {
    const { clock, lastTime } = this.player;
    this.root.toggleAttribute("data-playing", clock.playing);
    const play = this.find('[data-act="play"]');
    play.setAttribute("aria-label", clock.playing ? "Pause" : "Play");
    play.disabled = !clock.canPlay;
    this.find(".scrub").max = String(clock.duration || lastTime || 1);
    this.find('[data-set="speed"]').value = String(clock.speed);
    press(this.find('[data-act="loop"]'), clock.loops);
    this.syncTime();
  }

  syncTime() {
    const { player } = this;
    const { clock, startS, lastTime } = player;
    const duration = clock.duration || lastTime;
    const scrub = this.find(".scrub");
    const heading = clock.heading;
    setRange(scrub, heading);
    const [now, end] = [formatTime(heading + startS), formatTime(duration + startS)];
    scrub.setAttribute("aria-valuetext", `${now} of ${end} seconds`);
    this.find(".time").textContent = `${now} / ${end} s`;
    this.find(".step").textContent = `${player.maps ? "map" : "frame"} ${player.step + 1} of ${player.steps.count}`;
  }

  /** Weights on the tokens: at the pointed or pinned place, or the largest in the frame. */
  syncValues() {
    const { player } = this;
    const { maps, step, header } = player;
    if (!maps) return;
    const place = player.places.cell;
    const cell = place ? place.row * maps.cols + place.col : 0;
    this.chips.forEach(({ value, fill }, index) => {
      let weight = null;
      if (step >= 0) weight = place ? maps.weight(step, index, cell) : maps.peak(step, index);
      value.textContent = weight === null ? "–" : formatWeight(weight, header.maps.percent);
      const share = weight === null ? 0 : weight / (maps.unitTop * player.tops[index]);
      fill.style.transform = `scaleX(${Math.min(share, 1).toFixed(3)})`;
    });
    this.find(".where").textContent = place
      ? `Weight at row ${place.row + 1}, column ${place.col + 1}${player.places.probe ? "" : " (pinned)"}`
      : `Largest weight in this ${player.isStill ? "picture" : "frame"}`;
  }

  /** The strongest token beside the pointer. */
  syncReadout(point) {
    const readout = this.find(".readout");
    const { maps, step, header, scene } = this.player;
    const { probe } = this.player.places;
    readout.hidden = !point || !probe || !maps || step < 0;
    if (readout.hidden) return;
    const cell = probe.row * maps.cols + probe.col;
    const [top] = this.ranked(cell);
    readout.textContent = `Token ${header.tokens[top].number} · ${formatWeight(maps.weight(step, top, cell), header.maps.percent)}`;
    const room = scene.size.w - readout.offsetWidth - 4;
    const x = Math.min(Math.max(point.x + 14, 4), Math.max(room, 4));
    const y = point.y > 44 ? point.y - 34 : point.y + 18;
    readout.style.transform = `translate(${x}px, ${y}px)`;
  }

  /** Token indices by their weight at a cell, largest first. */
  ranked(cell) {
    const { maps, step } = this.player;
    return this.chips.map((_, index) => index).sort((a, b) => maps.weight(step, b, cell) - maps.weight(step, a, cell));
  }

  /** Tells a screen reader the largest weights at the pointed or pinned place. */
  announce() {
    const { maps, step, header } = this.player;
    const place = this.player.places.cell;
    if (!maps || !place || step < 0) return;
    const cell = place.row * maps.cols + place.col;
    const parts = this.ranked(cell)
      .slice(0, 4)
      .map((k) => `token ${header.tokens[k].number} ${formatWeight(maps.weight(step, k, cell), header.maps.percent)}`);
    this.find(".live").textContent = `Row ${place.row + 1}, column ${place.col + 1}: ${parts.join(", ")}.`;
  }

  /** Says that the browser cannot show the clip, and what still works. */
  showFailure() {
    const { header, isStill } = this.player;
    const what = `This browser cannot show the ${isStill ? "picture" : "clip"} (${header.media.mime}).`;
    this.showMessage(`${what} Try a current Chrome, Edge, Firefox or Safari; the maps can still be stepped through.`);
  }

  showMessage(text) {
    const message = this.find(".message");
    message.hidden = !text;
    message.textContent = text;
  }
}

/** A token's button: its number in its colour, its weight as a number and as a bar. */
function makeChip({ number, color, muted }, index) {
  const name = `Token ${number}${muted ? ", muted" : ""}`;
  const chip = make("button", "chip");
  chip.dataset.token = index;
  chip.title = muted ? `${name}: the network goes on without it` : name;
  chip.toggleAttribute("data-out", muted);
  wear(chip, color);
  make("b", "number", chip, String(number)).setAttribute("aria-label", name);
  const value = make("span", "", chip);
  const fill = make("i", "", make("i", "", chip));
  return { chip, value, fill };
}

/** Sets a range input and the filled part of its track. */
function setRange(input, value) {
  input.value = String(value);
  const share = (value - Number(input.min)) / (Number(input.max) - Number(input.min) || 1);
  input.style.setProperty("--at", `${Math.min(Math.max(share, 0), 1) * 100}%`);
}
