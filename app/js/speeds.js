// How fast a clip can play. The chosen speed is a video's `defaultPlaybackRate`; `playbackRate` is what it plays at now,
// which differs a little while players are kept in step.
import { make } from "./dom.js";

const SPEEDS = [0.25, 0.5, 1, 1.5, 2];

/** Fills a select with all speeds. */
export function offerSpeeds(select) {
  select.replaceChildren();
  for (const speed of SPEEDS) make("option", "", select, `${speed}×`).value = String(speed);
  select.value = "1";
}

/** The next speed of the list, up or down. */
export function nextSpeed(speed, by) {
  return SPEEDS[Math.min(Math.max(SPEEDS.indexOf(speed) + by, 0), SPEEDS.length - 1)];
}

/** Chooses the speed of a video. */
export function setSpeed(video, speed) {
  video.defaultPlaybackRate = video.playbackRate = speed;
}
