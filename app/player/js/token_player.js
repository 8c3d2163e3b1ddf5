// The token player: one clip, its token maps, and what the viewer chose to see. Python hands it one payload (payload.py);
// everything on display is decided here, in the browser, by the time of the frame on screen.
import { parsePayload } from "./payload.js";
import { TokenMaps } from "./maps.js";
import { Painter } from "./painter.js";
import { Scene, drawnKind, layOut } from "./scene.js";
import { Clock } from "./clock.js";
import { Controls } from "./controls.js";
import { parseColor } from "../../js/colors.js";
import { tellPage } from "../../js/follow.js";
import { isFull, toggleFullScreen } from "./full_screen.js";
import { Selection } from "./selection.js";
import { Steps } from "./steps.js";
import { Trails } from "./trails.js";
import { SCALES, isSameClip, recall, remember, restore } from "./memory.js";
import { answerThePage } from "./page.js";
import { Places } from "./places.js";
import { listenToPointer, placeAt } from "./pointer.js";

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
    this.steps = new Steps([]);
    this.maps = null;
    this.painter = null;
    this.trails = null;
    this.step = -1;
    this.tiles = [];
    this.tops = [];
    this.colors = [];
    this.selection = new Selection();
    this.places = new Places(this);
    this.scheduled = 0;
    this.valuesAt = 0;
    this.halted = false;
    this.scene = new Scene(root.querySelector(".overlay"));
    this.clock = new Clock(
      { video: root.querySelector("video"), image: root.querySelector("img") },
      {
        onTime: () => this.onTime(),
        onState: () => this.header && this.controls.syncClock(),
        onPause: () => this.onPause(),
        onFail: () => this.onFail(),
      },
    );
    this.controls = new Controls(this);
    listenToPointer(this);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.stage);
    this.watchPixelRatio();
    answerThePage(this);
  }

  /** Another screen, or another zoom, has other pixels in a stage of the same size. */
  watchPixelRatio() {
    const query = window.matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`);
    const changed = () => {
      this.resize();
      this.watchPixelRatio();
    };
    query.addEventListener("change", changed, { once: true, signal: this.stopped.signal });
  }

  /** Tells other parts of the page. */
  say(type, detail = {}) {
    tellPage(type, { key: this.header.key, ...detail });
  }

  // What is shown ------------------------------------------------------------------------------------------------

  /**
   * Shows a payload. The same clip with other maps, or grown longer, keeps the playhead, the view and the choice of
   * tokens.
   */
  update(bytes) {
    const payload = parsePayload(bytes);
    if (payload.header.id === this.header?.id) return;
    const before = this.header;
    this.header = payload.header;
    this.adoptMaps(payload);
    this.controls.rebuild();
    if (isSameClip(before?.media, this.header.media)) {
      this.controls.showMessage("");
      this.clock.grow(payload.media());
    } else if (before?.media.sha256 !== this.header.media.sha256) this.begin(payload, !before);
    this.step = this.steps.indexAt(this.sourceTime);
    this.resize();
    this.refresh();
    this.controls.syncClock();
    this.say("token-player-ready");
  }

  /** Another clip or still, from its start. */
  begin(payload, first) {
    const { header } = payload;
    this.controls.showMessage("");
    this.clock.load(payload.media(), header.media.kind);
    if (!first) this.places.pin = null;
    const returned = first && recall(this);
    if (first && !returned) restore(this, header.start);
    const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (header.autoplay && !returned && !calm) this.clock.play();
  }

  adoptMaps(payload) {
    const { header } = payload;
    this.selection.adopt(header.tokens);
    this.heat = payload.heat;
    this.colors = header.tokens.map((token) => parseColor(token.color));
    this.steps = new Steps(payload.timestamps);
    this.maps = header.maps ? new TokenMaps(payload.maps, header.maps) : null;
    this.painter = this.maps ? new Painter(this.maps, this.heat, this.colors) : null;
    const switches = header.tokens.map((token) => token.switches);
    this.trails = this.maps ? new Trails(this.maps, this.steps.times, switches) : null;
    this.places.reset();
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
    return Math.max(this.steps.last - this.startS, 0);
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

  /** The token that the view of one shows; undefined without any. */
  get current() {
    return this.header.tokens[this.selection.index];
  }

  get drawnKind() {
    return drawnKind(this.state);
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
    this.controls.syncDivider();
  }

  /** After any change of the display state. */
  refresh() {
    if (!this.header) return;
    this.tops = this.colors.map((_, k) => this.maps.top(this.state.scale, k));
    this.layOut();
    this.controls.sync();
    this.controls.syncValues();
    this.places.tell();
    this.invalidate();
  }

  invalidate() {
    this.scheduled ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.scheduled);
    this.scheduled = 0;
    if (!this.scene.size || this.stopped.signal.aborted) return;
    this.scene.draw({
      state: this.state,
      tiles: this.tiles,
      painter: this.painter,
      step: this.step,
      media: this.clock.frame,
      colors: this.colors,
      tokens: this.header.tokens,
      current: this.selection.index,
      audible: this.selection.audibleIndices,
      chosen: this.selection.chosenIndices,
      tops: this.tops,
      trails: this.trails,
      probe: this.places.probe,
      pin: this.places.pinCell,
    });
  }

  /** A frame came on screen. Draws at once, so that the maps change together with it. */
  onTime() {
    if (!this.header) return;
    const step = this.steps.indexAt(this.sourceTime);
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
    this.sayTime();
  }

  sayTime() {
    const { clock, step } = this;
    this.say("token-player-time", { time_s: clock.heading + this.startS, step, playing: clock.playing });
  }

  onPause() {
    this.controls.syncValues();
    this.sayTime();
  }

  onFail() {
    this.controls.showFailure();
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

  /**
   * A token's button or number: shows it alone, or adds or removes it where several are shown; those views have no place
   * for a muted one.
   */
  pickToken(index) {
    const token = this.header.tokens[index];
    this.selection.current = token.id;
    const several = this.drawnKind !== "one";
    if (this.state.view === "grid" || (several && token.muted)) this.setView("one");
    else {
      if (several) this.selection.toggle(index);
      this.refresh();
    }
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
    this.state.divider = Math.min(Math.max(share, 0), 1);
    this.controls.syncDivider();
    this.invalidate();
  }

  moveDivider(by) {
    this.setDivider(this.state.divider + by);
  }

  /** Halts a playing clip as long as its playhead is in a hand: at its end it would begin again under the hand. */
  hold(inHand) {
    if (inHand && this.clock.playing) {
      this.halted = true;
      this.clock.pause();
    } else if (!inHand && this.halted) {
      this.halted = false;
      this.clock.play();
    }
  }

  seek(time) {
    this.clock.seek(time);
    this.controls.syncTime();
  }

  /** Goes to the analysed frame `count` steps on, and stays there. */
  stepBy(count) {
    if (!this.steps.count || this.isStill) return;
    const here = this.steps.indexAt(this.clock.heading + this.startS);
    const step = Math.min(Math.max(here + count, 0), this.steps.count - 1);
    this.clock.pause();
    this.seek(this.steps.within(step) - this.startS);
  }

  skip(seconds) {
    this.seek(Math.min(Math.max(this.clock.heading + seconds, 0), Math.max(this.clock.duration, this.lastTime)));
  }

  goToEnd(last) {
    this.clock.pause();
    this.seek(last ? this.lastTime + this.steps.slack : 0);
  }

  hover(point) {
    if (this.places.hover(point && placeAt(this, point))) this.refreshPlace(point);
  }

  /** Starts reading with the arrow keys. */
  point() {
    if (!this.maps) return;
    this.places.startPointing();
    this.refreshPlace(null);
    this.controls.announce();
  }

  moveProbe(down, right) {
    this.places.move(down, right);
    this.refreshPlace(null);
    this.controls.announce();
  }

  refreshPlace(point) {
    this.controls.syncValues();
    this.controls.syncReadout(point);
    this.invalidate();
  }

  /** Pins the pointed place, if there is one. */
  pinProbe() {
    if (this.places.probe) this.pinAt(this.places.probe);
  }

  /** Pins a cell; the pinned cell itself, or null, removes the pin. */
  pinAt(cell) {
    this.places.pinAt(cell);
    this.refresh();
    if (this.places.pin) this.controls.announce();
  }

  escape() {
    const help = this.root.querySelector(".help");
    if (!help.hidden) this.toggleHelp();
    else if (this.places.pointing) {
      this.places.stopPointing();
      this.refreshPlace(null);
    } else if (this.places.pin) this.pinAt(null);
    else if (this.isFull) this.toggleFull();
  }

  toggleHelp() {
    const help = this.root.querySelector(".help");
    help.hidden = !help.hidden;
    if (help.hidden) this.root.focus({ preventScroll: true });
    else help.querySelector("button").focus({ preventScroll: true });
  }

  get isFull() {
    return isFull(this.root);
  }

  async toggleFull() {
    await toggleFullScreen(this.root);
    this.controls.sync();
  }

  destroy() {
    remember(this);
    this.stopped.abort();
    this.observer.disconnect();
    cancelAnimationFrame(this.scheduled);
    this.clock.destroy();
  }
}
