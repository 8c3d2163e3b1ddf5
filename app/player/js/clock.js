// What time the picture shows. A video tells it by the frame that is on screen, a still has none, and a clip that the
// browser cannot play keeps a hand-moved time so that its maps stay usable.
import { listenUntil, make } from "../../js/dom.js";
import { nextSpeed, setSpeed } from "../../js/speeds.js";

const SAME_PLACE_S = 0.001;
const AHEAD_S = 0.1;
const AWAITED_MS = 2000; // a grown clip that has not come to its place by then plays from wherever it is
const LATE_MS = 400; // a browser that draws nothing tells of no frames

export class Clock {
  /**
   * @param {{video: HTMLVideoElement, image: HTMLImageElement}} elements
   * @param {{onTime: () => void, onState: () => void, onPause: () => void, onFail: () => void}} listeners
   */
  constructor(elements, listeners) {
    this.video = elements.video;
    this.image = elements.image;
    this.listeners = listeners;
    this.kind = "image";
    this.failed = false;
    this.shown = 0;
    this.pending = null;
    this.url = null;
    this.loops = true;
    this.held = null;
    this.awaited = null;
    this.stopped = new AbortController();
    this.listen();
  }

  listen() {
    const { video, image, listeners } = this;
    const on = listenUntil(this.stopped.signal);
    on(video, "play pause ended ratechange loadedmetadata durationchange", () => listeners.onState());
    // Chromium takes some seeks within the last frame for the end, where a looping clip begins again: none while paused.
    on(video, "play", () => (video.loop = this.loops));
    on(video, "pause", () => (video.loop = false));
    on(video, "pause", () => this.frame && listeners.onPause());
    on(video, "loadedmetadata", () => this.goOn());
    on(video, "loadeddata", () => listeners.onTime());
    on(video, "seeked", () => this.afterSeek());
    on(video, "error", () => this.fail("video"));
    on(image, "load", () => this.show(0));
    on(image, "error", () => this.fail("image"));
    this.knowsFrames = "requestVideoFrameCallback" in video;
    if (this.knowsFrames) {
      const presented = (_, frame) => {
        if (this.stopped.signal.aborted) return;
        clearTimeout(this.late);
        if (this.canPlay && !this.isEarly(frame.mediaTime)) this.show(frame.mediaTime);
        video.requestVideoFrameCallback(presented);
      };
      video.requestVideoFrameCallback(presented);
    } else {
      const tick = () => {
        if (this.stopped.signal.aborted) return;
        if (!video.paused && this.kind === "video") this.show(video.currentTime);
        requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
    }
  }

  /** Shows another clip or still from its start. */
  load(blob, kind) {
    const old = this.url;
    this.url = URL.createObjectURL(blob);
    this.kind = kind;
    this.failed = false;
    this.pending = null;
    this.shown = 0;
    this.letGo();
    const isVideo = kind === "video";
    this.video.hidden = !isVideo;
    this.image.hidden = isVideo;
    this.video.pause();
    if (isVideo) {
      this.image.removeAttribute("src");
      this.video.src = this.url;
      this.video.load();
    } else {
      this.video.removeAttribute("src");
      this.video.load();
      this.image.src = this.url;
    }
    if (old) URL.revokeObjectURL(old);
    this.listeners.onState();
  }

  /**
   * Shows the same clip, longer than before, from where the playhead is. Until its first frame is there, the last one
   * of the shorter clip stays on the screen.
   */
  grow(blob) {
    const playing = this.playing;
    // A playing clip has its frame on the screen a little before its time has come: not even that one shows again.
    const ahead = this.pending === null ? this.shown - this.heading : 0;
    const time = ahead > 0 && ahead < AHEAD_S ? this.shown + SAME_PLACE_S : this.heading;
    if (!this.frame) {
      this.load(blob, "video");
      this.seek(time);
    } else {
      const old = this.url;
      this.url = URL.createObjectURL(blob);
      this.hold();
      this.pending = null;
      this.awaited = { from: this.shown - SAME_PLACE_S, until: performance.now() + AWAITED_MS };
      this.video.src = this.url;
      this.video.currentTime = time; // before anything is known of the clip: where it begins
      URL.revokeObjectURL(old);
    }
    if (playing) this.play();
  }

  /** Whether a frame lies before the place where a grown clip goes on: a browser may present its first one first. */
  isEarly(time) {
    const { awaited } = this;
    if (!awaited) return false;
    if (time < awaited.from && performance.now() < awaited.until) return true;
    this.awaited = null;
    return false;
  }

  /** Keeps the frame on show over the video's own, and the clip's length. */
  hold() {
    const { video } = this;
    if (this.held && (this.awaited || video.readyState < 2)) return; // grown again before it was at its place
    this.letGo();
    const picture = make("canvas", "held");
    picture.width = video.videoWidth;
    picture.height = video.videoHeight;
    picture.getContext("2d").drawImage(video, 0, 0);
    this.held = { picture, duration: this.duration };
    video.after(picture);
  }

  letGo() {
    this.held?.picture.remove();
    this.held = this.awaited = null;
  }

  /** Element that holds the frame on show, or null while there is none. */
  get frame() {
    if (this.failed) return null;
    if (this.kind === "image") return this.image.complete && this.image.naturalWidth ? this.image : null;
    if (this.awaited && this.held) return this.held.picture;
    return this.video.readyState >= 2 ? this.video : (this.held?.picture ?? null);
  }

  /** Presentation time of the frame on show, in seconds since the clip's first frame. */
  get time() {
    return this.shown;
  }

  /** Where the playhead is or is heading to; within the time that the frame on show lasts, or on its way there. */
  get heading() {
    if (this.pending !== null) return this.pending;
    return this.canPlay ? this.video.currentTime : this.shown;
  }

  get duration() {
    if (this.kind !== "video") return 0;
    return Number.isFinite(this.video.duration) ? this.video.duration : (this.held?.duration ?? 0);
  }

  get playing() {
    return this.kind === "video" && !this.video.paused && !this.video.ended;
  }

  get canPlay() {
    return this.kind === "video" && !this.failed;
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  play() {
    // A browser may refuse to start a clip by itself; the button then still shows "play".
    if (this.canPlay) this.video.play().catch(() => this.listeners.onState());
  }

  pause() {
    this.video.pause();
  }

  /** The chosen speed; see speeds.js for what else a video may play at. */
  get speed() {
    return this.video.defaultPlaybackRate;
  }

  setSpeed(speed) {
    setSpeed(this.video, speed);
  }

  /** The next speed of the list, up or down. */
  changeSpeed(by) {
    this.setSpeed(nextSpeed(this.speed, by));
  }

  setLoop(loops) {
    this.loops = loops;
    this.video.loop = loops && !this.video.paused;
    this.listeners.onState();
  }

  /** Goes to a time, or will when the clip is known. Only one seek runs at once: of several wishes, the last one wins. */
  seek(time) {
    if (this.kind !== "video") return;
    const target = Math.max(0, this.failed ? time : Math.min(time, this.duration || time));
    if (this.failed) this.show(target);
    else if (this.video.seeking || this.video.readyState < 1) this.pending = target;
    else if (Math.abs(this.video.currentTime - target) > SAME_PLACE_S) this.video.currentTime = target;
  }

  afterSeek() {
    if (this.pending !== null) this.goOn();
    else if (this.knowsFrames) {
      this.listeners.onTime();
      clearTimeout(this.late);
      this.late = setTimeout(() => !this.video.seeking && this.video.paused && this.show(this.video.currentTime), LATE_MS);
    } else this.show(this.video.currentTime);
  }

  /** Takes up the wish that had to wait. */
  goOn() {
    if (this.pending === null) return;
    const next = this.pending;
    this.pending = null;
    this.seek(next);
  }

  show(time) {
    this.shown = time;
    this.awaited = null;
    if (this.held && this.video.readyState >= 2) this.letGo();
    this.listeners.onTime();
  }

  fail(source) {
    if (source !== this.kind || !this.url) return;
    this.failed = true;
    this.listeners.onFail();
  }

  destroy() {
    this.stopped.abort();
    clearTimeout(this.late);
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = null;
  }
}
