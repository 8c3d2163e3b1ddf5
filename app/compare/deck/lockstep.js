// Keeps the players of a page in step. Whichever player the viewer moves leads, the others follow: paused to the very
// time, playing by small changes of speed, so that no follower stands still while it catches up.

import { listenUntil } from "../../js/dom.js";
import { askPlayer, holdPlayer, seekPlayer } from "../../js/follow.js";
import { setSpeed } from "../../js/speeds.js";

const SAME_S = 0.004;
const CLOSE_S = 0.02;
const LATE_S = 0.1;
const FAR_S = 0.6;
const MOST_CHANGE = 0.2;
const MOST_WAIT = 0.5;
const SEEK_PAUSE_MS = 1500;
const FINEST = 0.02; // a speed changes by whole steps of this share

export class LockStep {
  /** @param {(change: {time?: number, playing?: boolean, speed?: number, ready?: boolean}) => void} told - Called after each change. */
  constructor(told) {
    this.told = told;
    this.keys = [];
    this.players = new Map();
    this.tokens = new Map();
    this.time = null;
    this.playing = false;
    this.leader = null;
    this.speed = 1;
    this.stopped = new AbortController();
    const on = listenUntil(this.stopped.signal);
    on(window, "token-player-time", (event) => this.onTime(event.detail));
    on(window, "token-player-ready", (event) => this.onReady(event.detail));
  }

  /** Which players are kept in step; the first one leads until another is touched. */
  hold(keys) {
    this.keys = keys;
    for (const [key, player] of this.players) if (!keys.includes(key)) this.release(key, player);
    this.gather();
  }

  /** Another clip begins at its start. */
  forget() {
    this.time = null;
    this.playing = false;
    this.leader = null;
    this.told({ playing: false });
  }

  /** Finds the players that are on the page by now. */
  gather() {
    for (const key of this.keys) {
      const root = playerOf(key);
      const held = this.players.get(key);
      if (!root || held?.root === root) continue;
      if (held) this.release(key, held);
      this.adopt(key, root);
    }
  }

  adopt(key, root) {
    const video = root.querySelector("video");
    const stopped = new AbortController();
    const player = { key, root, video, stopped, soughtAt: 0, ready: false };
    this.players.set(key, player);
    this.showAll(player);
    root.dataset.inStep = "";
    const on = listenUntil(stopped.signal);
    on(video, "play", () => this.onPlay(player));
    on(video, "pause", () => this.onPause(player));
    on(video, "ratechange", () => this.onRate(player));
    on(video, "loadeddata", () => this.join(player));
    if (video.readyState >= 2) this.join(player);
  }

  /** A player whose clip is there goes to where the others are, at their speed; the first one brings its own. */
  join(player) {
    player.ready = true;
    const others = [...this.players.values()].filter((other) => other !== player && other.ready);
    if (others.length) setSpeed(player.video, this.speed);
    else this.setSpeed(player.video.defaultPlaybackRate);
    if (this.time !== null) this.send(player, this.time);
    if (!others.length) {
      if (!player.video.paused) this.onPlay(player);
      return;
    }
    const moving = others.find((other) => !other.video.paused);
    if (moving) {
      this.onPlay(moving);
      this.start(player);
    } else player.video.pause();
  }

  release(key, player) {
    player.stopped.abort();
    delete player.root.dataset.inStep;
    playAt(player, 1);
    this.players.delete(key);
    if (this.leader !== player) return;
    this.leader = null;
    this.playing = false;
    this.told({ playing: false });
  }

  /** Another number of tokens is shown whole: what was chosen among fewer says nothing about the new ones. */
  showAll({ key, root }) {
    const tokens = root.querySelectorAll(".chip").length;
    if (!tokens) return;
    if (this.tokens.has(key) && this.tokens.get(key) !== tokens) root.querySelector('[data-act="all"]').click();
    this.tokens.set(key, tokens);
  }

  get followers() {
    return [...this.players.values()].filter((player) => player !== this.leader);
  }

  // What a player tells ---------------------------------------------------------------------------------------------

  onReady({ key }) {
    this.gather();
    if (!this.players.has(key)) return;
    this.showAll(this.players.get(key));
    this.told({ ready: true });
  }

  onTime({ key, time_s: time }) {
    const player = this.players.get(key);
    if (!player?.ready) return; // before it has joined the others, its time says nothing
    if (this.playing) {
      if (player !== this.leader) return;
      this.time = time;
      this.steer();
    } else if (this.time === null) this.time = time;
    else if (Math.abs(time - this.time) > SAME_S) this.lead(player, time);
    else return;
    this.told({ time: this.time });
  }

  onPlay(player) {
    if (this.playing) return;
    this.playing = true;
    this.leader = player;
    for (const follower of this.followers) this.start(follower);
    this.told({ playing: true });
  }

  onPause(player) {
    if (!this.playing) return;
    this.playing = false;
    for (const other of this.players.values()) other.video.pause();
    for (const other of this.players.values()) playAt(other, 1);
    const time = headingOf(player) ?? this.time;
    if (time !== null) this.lead(player, time);
    this.told({ playing: false, time: this.time });
  }

  /** Another speed was chosen in one player. */
  onRate({ ready, video }) {
    if (ready && video.defaultPlaybackRate !== this.speed) this.setSpeed(video.defaultPlaybackRate);
  }

  // What moves players ----------------------------------------------------------------------------------------------

  lead(player, time) {
    this.leader = player;
    this.time = time;
    for (const follower of this.followers) this.send(follower, time);
  }

  send({ key }, time) {
    seekPlayer(key, time);
  }

  start(follower) {
    follower.video.play().catch(() => {});
  }

  /** Brings players that play nearer to one another: by their speed, or by a jump where one is far off. */
  steer() {
    const { leader } = this;
    let behind = 0;
    for (const follower of this.followers) {
      if (!follower.ready) continue;
      const { video } = follower;
      const drift = this.drift(follower);
      behind = Math.max(behind, -drift);
      if (video.paused) this.start(follower);
      if (Math.abs(drift) > FAR_S && !video.seeking && performance.now() - follower.soughtAt > SEEK_PAUSE_MS) {
        follower.soughtAt = performance.now();
        this.send(follower, this.time);
      }
      playAt(follower, 1 - limited(drift, MOST_CHANGE));
    }
    // A machine that cannot play all of them at full speed plays all of them slower.
    playAt(leader, 1 - limited(behind > LATE_S ? behind : 0, MOST_WAIT));
  }

  /** Seconds by which a follower is ahead; where a looping clip begins again, across its end. */
  drift({ video }) {
    const { duration } = video;
    const plain = video.currentTime - this.leader.video.currentTime;
    return plain - Math.round(plain / duration) * duration || 0;
  }

  /** Moves all players, playing or not. */
  seek(time) {
    this.time = time;
    for (const player of this.players.values()) this.send(player, time);
    this.told({ time });
  }

  toggle() {
    const first = this.leader ?? this.players.values().next().value;
    if (this.playing) first?.video.pause();
    else first?.video.play().catch(() => {});
  }

  pause() {
    if (this.playing) this.toggle();
  }

  /** Halts playing lanes as long as their playhead is in a hand, and lets them go on. */
  halt(inHand) {
    const { leader } = this;
    if (leader) holdPlayer(leader.key, inHand);
  }

  setSpeed(speed) {
    this.speed = speed;
    for (const { video } of this.players.values()) setSpeed(video, speed);
    this.told({ speed });
  }

  /** Presses a control of every player. */
  press(selector) {
    for (const { root } of this.players.values()) root.querySelector(selector)?.click();
  }

  /** Sets a slider of every player. */
  slide(selector, value) {
    for (const { root } of this.players.values()) {
      const input = root.querySelector(selector);
      if (!input) continue;
      input.value = String(value);
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }

  destroy() {
    for (const [key, player] of [...this.players]) this.release(key, player);
    this.stopped.abort();
  }
}

/** Plays at a share of the chosen speed. */
function playAt({ video }, share) {
  const rate = video.defaultPlaybackRate * Math.round(share / FINEST) * FINEST;
  if (Math.abs(video.playbackRate - rate) > 0.001) video.playbackRate = rate;
}

/** A share by which a speed changes for so many seconds of distance. */
function limited(seconds, most) {
  return Math.abs(seconds) < CLOSE_S ? 0 : Math.max(-most, Math.min(most, seconds));
}

/** Where a player is or is heading to. */
function headingOf({ key }) {
  return askPlayer(key).time_s ?? null;
}

/** The element of a player: Streamlit names its container by its key, and keeps it in a tree of its own. */
function playerOf(key) {
  const place = document.querySelector(`.st-key-${CSS.escape(key.replaceAll(/[^a-zA-Z0-9_-]/g, "-"))}`);
  if (!place) return null;
  for (const element of [place, ...place.querySelectorAll("*")]) {
    const root = element.shadowRoot?.querySelector(".player");
    if (root) return root;
  }
  return place.querySelector(".player");
}
