// The controls around the stage: listens to them, and shows the player's state on them. All text by textContent.
import { formatTime, formatWeight, heatGradient, stepGradient } from "./format.js";
import { handleKey, helpRows } from "./keyboard.js";
import { inkOn } from "./scene.js";
import { TRAIL_S } from "./trails.js";

const VIEW_NAMES = { one: "One token", some: "Chosen tokens", owner: "Owner of each place", grid: "All tokens", beside: "Original beside overlay" };

export class Controls {
  constructor(player) {
    this.player = player;
    this.root = player.root;
    this.find = (selector) => this.root.querySelector(selector);
    this.chips = [];
    this.fillHelp();
    this.listen();
  }

  fillHelp() {
    const rows = helpRows().map(([key, does]) => {
      const row = document.createElement("div");
      row.append(element("dt", key), element("dd", does));
      return row;
    });
    this.find(".help dl").replaceChildren(...rows);
  }

  listen() {
    const { root, player } = this;
    const on = (target, type, act) => target.addEventListener(type, act, { signal: player.stopped.signal });
    const acts = {
      play: () => player.clock.toggle(),
      previous: () => player.stepBy(-1),
      next: () => player.stepBy(1),
      loop: () => player.clock.toggleLoop(),
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
    on(this.find(".scrub"), "input", (event) => player.seek(Number(event.target.value)));
    on(this.find('[data-set="opacity"]'), "input", (event) => player.set({ opacity: Number(event.target.value) }));
    on(this.find('[data-set="speed"]'), "change", (event) => player.clock.setSpeed(Number(event.target.value)));
    on(this.find('[data-set="scale"]'), "change", (event) => player.set({ scale: event.target.value }));
    on(document, "fullscreenchange", () => player.header && this.sync());
  }

  /** New maps: other tokens, another colour table, another caption. */
  rebuild() {
    const { header } = this.player;
    this.root.style.setProperty("--aspect", String(this.player.aspect));
    if (header.height) this.root.style.setProperty("--cap", `${header.height}px`);
    else this.root.style.removeProperty("--cap");
    this.root.toggleAttribute("data-still", this.player.isStill);
    this.root.toggleAttribute("data-bare", !this.player.maps);
    const caption = this.find(".caption");
    caption.hidden = !header.caption;
    caption.textContent = header.caption ?? "";
    this.chips = header.tokens.map((token, index) => {
      const chip = element("button", "");
      chip.className = "chip";
      chip.dataset.token = index;
      chip.title = `Token ${token.number}`;
      chip.style.setProperty("--color", token.color);
      chip.style.setProperty("--ink", inkOn(this.player.colors[index]));
      const value = element("span", "");
      const number = element("b", String(token.number));
      number.setAttribute("aria-label", `Token ${token.number}`);
      const bar = document.createElement("i");
      bar.append(document.createElement("i"));
      chip.append(number, value, bar);
      return { chip, value, fill: bar.firstChild };
    });
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
    press(this.find('[data-act="loop"]'), player.clock.video.loop);
    press(this.find('[data-act="patches"]'), !state.smooth);
    press(this.find('[data-act="trails"]'), state.trails);
    press(this.find('[data-act="hide"]'), state.hidden);
    press(this.find('[data-act="full"]'), player.isFull);
    for (const button of root.querySelectorAll(".views button")) press(button, button.dataset.view === state.view);
    setRange(this.find('[data-set="opacity"]'), state.opacity);
    this.find('[data-set="opacity"]').setAttribute("aria-valuetext", `${Math.round(state.opacity * 100)} %`);
    this.find('[data-set="speed"]').value = String(player.clock.video.playbackRate);
    this.find('[data-set="scale"]').value = state.scale;
    const several = player.drawnKind === "some" || player.drawnKind === "owner";
    for (const name of ["all", "none"]) this.find(`[data-act="${name}"]`).toggleAttribute("data-off", !several);
    this.find('[data-act="unpin"]').toggleAttribute("data-off", !player.places.pin);
    this.chips.forEach(({ chip }, index) => press(chip, player.isLit(index)));
    const divider = this.find(".divider");
    divider.hidden = state.view !== "beside" || !player.maps;
    divider.setAttribute("aria-valuenow", String(Math.round(state.divider * 100)));
    this.syncLegend();
    this.find("canvas").setAttribute("aria-label", this.describe());
  }

  syncLegend() {
    const { player } = this;
    const unit = this.find(".unit");
    if (!player.maps) {
      unit.textContent = "No token maps: the plain network runs without a TokenLearner.";
      return;
    }
    this.root.style.setProperty("--gradient", this.gradient());
    const { tokens } = player.header;
    const owners = player.drawnKind === "owner";
    this.find(".ramp .low").textContent = owners ? String(tokens[0].number) : "0";
    this.find(".ramp .high").textContent = owners ? String(tokens.at(-1).number) : this.topText();
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
    if (player.state.trails && !player.isStill) words.push(`lines: the last ${TRAIL_S} s`);
    if (player.isPartial) words.push("hatched: not seen by the model");
    unit.textContent = words.join(" · ");
  }

  gradient() {
    const { drawnKind, heat, header } = this.player;
    if (drawnKind === "owner") return stepGradient(header.tokens.map((token) => token.color));
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
    const token = player.drawnKind === "one" ? `: token ${player.header.tokens[player.selection.index].number}` : "";
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
    this.find('[data-set="speed"]').value = String(clock.video.playbackRate);
    press(this.find('[data-act="loop"]'), clock.video.loop);
    this.syncTime();
  }

  syncTime() {
    const { player } = this;
    const { clock, startS, lastTime } = player;
    const duration = clock.duration || lastTime;
    const scrub = this.find(".scrub");
    const heading = clock.heading;
    setRange(scrub, heading);
    const text = `${formatTime(heading + startS)} / ${formatTime(duration + startS)} s`;
    scrub.setAttribute("aria-valuetext", text);
    this.find(".time").textContent = text;
    this.find(".step").textContent = player.maps ? `map ${player.step + 1} of ${player.maps.time}` : "";
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

function element(name, text) {
  const node = document.createElement(name);
  node.textContent = text;
  return node;
}

function press(button, pressed) {
  button.setAttribute("aria-pressed", String(Boolean(pressed)));
}

/** Sets a range input and the filled part of its track. */
function setRange(input, value) {
  input.value = String(value);
  const share = (value - Number(input.min)) / (Number(input.max) - Number(input.min) || 1);
  input.style.setProperty("--at", `${Math.min(Math.max(share, 0), 1) * 100}%`);
}
