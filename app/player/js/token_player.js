// The token player: one clip, its token maps, and what the viewer chose to see. Python talks to it by one payload
// (payload.py); everything on display is decided here, in the browser, by the time of the frame on screen.
import { parsePayload } from "./payload.js";
import { TokenMaps } from "./maps.js";
import { Painter } from "./painter.js";
import { Scene, drawnKind, layOut } from "./scene.js";
import { Clock } from "./clock.js";
import { Controls } from "./controls.js";
import { parseColor } from "./format.js";
import { Selection } from "./selection.js";
import { Trails } from "./trails.js";
import { SCALES, recall, remember, restore } from "./memory.js";
import { listenToPointer, placeAt } from "./pointer.js";

const SPEEDS = [0.25, 0.5, 1, 1.5, 2];
const READING_MS = 90;
const DEFAULTS = { view: "some", base: "some", opacity: 0.7, smooth: true, scale: "fixed", hidden: false, trails: false, divider: 0.5 };

export class TokenPlayer {
  /** @param {HTMLElement} root - The `.player` element of player.html. */
  constructor(root) {
    this.root = root;
    this.stage = root.querySelector(".stage");
    this.stopped = new AbortController();
    this.state = { ...DEFAULTS };
    this.header = null;
    this.maps = null;
    this.painter = null;
    this.trails = null;
    this.step = -1;
    this.tiles = [];
    this.tops = [];
    this.colors = [];
    this.selection = new Selection();
    this.probe = null;
    this.pin = null;
    this.pointing = false;
    this.scheduled = 0;
    this.valuesAt = 0;
    this.report = () => {};
    this.reported = "";
    this.scene = new Scene(root.querySelector("canvas"));
    this.clock = new Clock(
      { video: root.querySelector("video"), image: root.querySelector("img") },
      {
        onTime: () => this.onTime(),
        onState: () => this.header && this.controls.syncClock(),
        onPause: () => this.onPause(),
        onFail: () => this.onFail(),
      },
    );
    this.clock.video.loop = true;
    this.controls = new Controls(this);
    listenToPointer(this);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.stage);
    this.answerThePage();
  }

  /**
   * Another part of the page may follow the playhead ("token-player-time", see `onTime`) and move it, and may ask for
   * the view and bring one back. "token-player-ready" tells that there is something to ask.
   */
  answerThePage() {
    const acts = {
      "token-player-seek": ({ time_s: time }) => this.seek(time - this.startS),
      "token-player-ask": (detail) => Object.assign(detail, { view: this.snapshot(), playing: this.clock.playing }),
      "token-player-restore": ({ view }) => {
        this.clock.pause();
        restore(this, view);
        this.refresh();
      },
    };
    for (const [type, act] of Object.entries(acts)) {
      const heard = (event) => event.detail.key === this.header?.key && act(event.detail);
      window.addEventListener(type, heard, { signal: this.stopped.signal });
    }
  }

  say(type, detail = {}) {
    window.dispatchEvent(new CustomEvent(type, { detail: { key: this.header.key, ...detail } }));
  }

  // What is shown ------------------------------------------------------------------------------------------------

  /** Shows a payload. The same clip with other maps keeps the playhead, the view and the choice of tokens. */
  update(bytes) {
    const payload = parsePayload(bytes);
    if (payload.header.id === this.header?.id) return;
    const before = this.header;
    this.header = payload.header;
    this.adoptMaps(payload);
    this.controls.rebuild();
    if (before?.media.sha256 !== payload.header.media.sha256) {
      this.controls.showMessage("");
      this.clock.load(payload.media(), payload.header.media.kind);
      if (before) this.pin = null;
      const returned = !before && recall(this);
      if (!before && !returned) restore(this, payload.header.start);
      const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
      if (payload.header.autoplay && !returned && !calm) this.clock.play();
    }
    this.step = this.maps ? this.maps.indexAt(this.sourceTime) : -1;
    this.resize();
    this.refresh();
    this.controls.syncClock();
    this.say("token-player-ready");
  }

  adoptMaps(payload) {
    const { header } = payload;
    this.selection.adopt(header.tokens);
    this.heat = payload.heat;
    this.colors = header.tokens.map((token) => parseColor(token.color));
    this.maps = header.maps ? new TokenMaps(payload.maps, header.maps, payload.timestamps) : null;
    this.painter = this.maps ? new Painter(this.maps, this.heat, this.colors) : null;
    this.trails = this.maps ? new Trails(this.maps) : null;
    this.probe = null;
    this.pointing = false;
  }

  get isStill() {
    return this.header.media.kind === "image";
  }

  /** Time of the clip's first frame on the source's clock. */
  get startS() {
    return this.header?.start_s ?? 0;
  }

  get sourceTime() {
    return this.clock.time + this.startS;
  }

  /** Last analysed time, on the clip's own clock. */
  get lastTime() {
    return this.maps?.time ? this.maps.timestamps[this.maps.time - 1] - this.startS : 0;
  }

  get aspect() {
    const { width, height } = this.header.media;
    const { video, image } = this.clock;
    if (width && height) return width / height;
    return (video.videoWidth || image.naturalWidth || 16) / (video.videoHeight || image.naturalHeight || 9);
  }

  get isPartial() {
    const [x, y, w, h] = this.header.box;
    return x > 0.001 || y > 0.001 || x + w < 0.999 || y + h < 0.999;
  }

  get drawnKind() {
    return drawnKind(this.state);
  }

  /** The place whose weights are read: under the pointer, else pinned. */
  get place() {
    return this.probe ?? this.pinCell;
  }

  get pinCell() {
    if (!this.pin || !this.maps) return null;
    const { rows, cols } = this.maps;
    return { row: Math.min(Math.floor(this.pin[1] * rows), rows - 1), col: Math.min(Math.floor(this.pin[0] * cols), cols - 1) };
  }

  isLit(index) {
    if (this.drawnKind === "grid") return true;
    return this.drawnKind === "one" ? index === this.selection.index : this.selection.has(index);
  }

  // Drawing --------------------------------------------------------------------------------------------------------

  resize() {
    if (!this.header) return;
    const size = { w: this.stage.clientWidth, h: this.stage.clientHeight };
    if (!size.w || !size.h) return;
    this.controls.fitChips(size.w);
    this.scene.resize(size, Math.min(window.devicePixelRatio || 1, 2));
    this.layOut();
    this.draw();
  }

  layOut() {
    const { header, state, scene } = this;
    if (!scene.size) return;
    this.tiles = layOut(state.view, this.maps?.tokens ?? 0, this.aspect, header.box, scene.size);
    const { picture } = this.tiles[0];
    this.root.querySelector(".divider").style.left = `${picture.x + state.divider * picture.w}px`;
  }

  /** After any change of the display state. */
  refresh() {
    if (!this.header) return;
    this.tops = this.colors.map((_, k) => this.maps.top(this.state.scale, k));
    this.layOut();
    this.controls.sync();
    this.controls.syncValues();
    this.invalidate();
  }

  invalidate() {
    this.scheduled ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.scheduled);
    this.scheduled = 0;
    if (!this.scene.size || this.stopped.signal.aborted) return;
    const { header } = this;
    this.scene.draw({
      state: this.state,
      tiles: this.tiles,
      painter: this.painter,
      step: this.step,
      media: this.clock.frame,
      colors: this.colors,
      names: header.tokens.map((token) => String(token.number)),
      current: this.selection.index,
      chosen: new Set(this.selection.chosenIndices),
      tops: this.tops,
      trails: this.trails,
      probe: this.probe,
      pin: this.pinCell,
    });
  }

  /** A frame came on screen. Draws at once, so that the maps change together with it. */
  onTime() {
    if (!this.header) return;
    const step = this.maps ? this.maps.indexAt(this.sourceTime) : -1;
    const moved = step !== this.step;
    this.step = step;
    const now = performance.now();
    // While it plays, numbers change no faster than they can be read.
    if (moved && (!this.clock.playing || now - this.valuesAt > READING_MS)) {
      this.valuesAt = now;
      this.controls.syncValues();
    }
    if (moved || this.state.view === "grid") this.draw();
    this.controls.syncTime();
    this.say("token-player-time", { time_s: this.clock.heading + this.startS, step, playing: this.clock.playing });
  }

  onPause() {
    this.controls.syncValues();
    this.tell();
  }

  onFail() {
    const what = this.isStill ? "picture" : "clip";
    this.controls.showMessage(
      `This browser cannot show the ${what} (${this.header.media.mime}). Try a current Chrome, Edge, Firefox or Safari; the maps can still be stepped through.`,
    );
    this.controls.syncClock();
    this.invalidate();
  }

  // What the viewer does -----------------------------------------------------------------------------------------

  set(change) {
    Object.assign(this.state, change);
    this.refresh();
  }

  setView(view) {
    if (!this.maps) return;
    this.set({ view, base: view === "beside" || view === "grid" ? this.state.base : view });
  }

  /** A token's button or number: shows it alone, or adds or removes it where several are shown. */
  pickToken(index) {
    this.selection.current = this.header.tokens[index].id;
    if (this.drawnKind === "some" || this.drawnKind === "owner") this.selection.toggle(index);
    if (this.state.view === "grid") this.setView("one");
    else this.refresh();
  }

  pickNumber(number) {
    const index = this.header.tokens.findIndex((token) => token.number === number);
    if (index >= 0) this.pickToken(index);
  }

  nextToken(direction) {
    this.selection.move(direction);
    if (this.drawnKind === "one") this.refresh();
    else this.setView("one");
  }

  chooseAll(all) {
    this.selection.chooseAll(all);
    this.refresh();
  }

  changeOpacity(by) {
    this.set({ opacity: Math.min(Math.max(Math.round((this.state.opacity + by) * 20) / 20, 0), 1) });
  }

  nextScale() {
    this.set({ scale: SCALES[(SCALES.indexOf(this.state.scale) + 1) % SCALES.length] });
  }

  setDivider(share) {
    this.set({ divider: Math.min(Math.max(share, 0), 1) });
  }

  moveDivider(by) {
    this.setDivider(this.state.divider + by);
  }

  seek(time) {
    this.clock.seek(time);
    this.controls.syncTime();
  }

  /** Goes to the analysed frame `count` steps on, and stays there. */
  stepBy(count) {
    if (!this.maps || this.isStill) return;
    const here = this.maps.indexAt(this.clock.heading + this.startS);
    const step = Math.min(Math.max(here + count, 0), this.maps.time - 1);
    this.clock.pause();
    this.seek(this.maps.timestamps[step] + this.maps.slack - this.startS);
  }

  skip(seconds) {
    this.seek(Math.min(Math.max(this.clock.heading + seconds, 0), Math.max(this.clock.duration, this.lastTime)));
  }

  goToEnd(last) {
    this.clock.pause();
    this.seek(last ? Math.max(this.lastTime, 0) + (this.maps?.slack ?? 0) : 0);
  }

  setSpeed(speed) {
    const { video } = this.clock;
    video.defaultPlaybackRate = video.playbackRate = speed;
  }

  changeSpeed(by) {
    const at = SPEEDS.indexOf(this.clock.video.playbackRate);
    this.setSpeed(SPEEDS[Math.min(Math.max(at + by, 0), SPEEDS.length - 1)]);
  }

  toggleLoop() {
    this.clock.video.loop = !this.clock.video.loop;
    this.controls.syncClock();
  }

  hover(point) {
    if (this.pointing && !point) return;
    this.pointing = false;
    this.probe = point && placeAt(this, point);
    this.refreshPlace(point);
  }

  /** Starts reading with the arrow keys, from the pin or the middle. */
  point() {
    if (!this.maps) return;
    this.pointing = true;
    this.probe ??= this.pinCell ?? { row: this.maps.rows >> 1, col: this.maps.cols >> 1 };
    this.refreshPlace(null);
    this.controls.announce();
  }

  moveProbe(down, right) {
    const { rows, cols } = this.maps;
    this.probe = {
      row: Math.min(Math.max(this.probe.row + down, 0), rows - 1),
      col: Math.min(Math.max(this.probe.col + right, 0), cols - 1),
    };
    this.refreshPlace(null);
    this.controls.announce();
  }

  refreshPlace(point) {
    this.controls.syncValues();
    this.controls.syncReadout(point);
    this.invalidate();
  }

  pinProbe() {
    if (this.probe) this.pinAt(this.probe);
  }

  /** Pins a cell; the pinned cell itself, or null, removes the pin. */
  pinAt(cell) {
    const old = this.pinCell;
    const same = cell && old && cell.row === old.row && cell.col === old.col;
    this.pin = cell && !same ? [(cell.col + 0.5) / this.maps.cols, (cell.row + 0.5) / this.maps.rows] : null;
    this.refresh();
    if (this.pin) this.controls.announce();
    this.tell();
  }

  escape() {
    const help = this.root.querySelector(".help");
    if (!help.hidden) this.toggleHelp();
    else if (this.pointing) {
      this.pointing = false;
      this.probe = null;
      this.refreshPlace(null);
    } else if (this.pin) this.pinAt(null);
    else if (this.isFull) this.toggleFull();
  }

  toggleHelp() {
    const help = this.root.querySelector(".help");
    help.hidden = !help.hidden;
    if (help.hidden) this.root.focus({ preventScroll: true });
    else help.querySelector("button").focus({ preventScroll: true });
  }

  get isFull() {
    return this.root.getRootNode().fullscreenElement === this.root || this.root.classList.contains("full");
  }

  /** Real full screen, or filling the window where the browser refuses it (phones of one make). */
  async toggleFull() {
    const { root } = this;
    if (root.classList.contains("full")) root.classList.remove("full");
    else if (this.isFull) await document.exitFullscreen();
    else {
      try {
        await root.requestFullscreen();
      } catch {
        root.classList.add("full");
      }
    }
    this.controls.sync();
  }

  // Python ---------------------------------------------------------------------------------------------------------

  /** What a link or a rerun needs to find this view again. */
  snapshot() {
    const several = this.drawnKind === "some" || this.drawnKind === "owner";
    const { chosen, current } = this.selection;
    const tokens = several ? [...chosen].sort((a, b) => a - b) : [current].filter((id) => id !== null);
    const { view, base, opacity, smooth, scale, trails, hidden, divider } = this.state;
    const time = Math.round((this.clock.heading + this.startS) * 1e6) / 1e6;
    return { time_s: time, view, base, tokens, pin: this.pin, opacity, smooth, scale, trails, hidden, divider };
  }

  /** Tells Python where the viewer stopped, if it asked to be told. Never while playing. */
  tell() {
    if (!this.header?.report || this.clock.playing) return;
    const snapshot = this.snapshot();
    const text = JSON.stringify(snapshot);
    if (text === this.reported) return;
    this.reported = text;
    this.report(snapshot);
  }

  destroy() {
    remember(this);
    this.stopped.abort();
    this.observer.disconnect();
    cancelAnimationFrame(this.scheduled);
    this.clock.destroy();
  }
}
