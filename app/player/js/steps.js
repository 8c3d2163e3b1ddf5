// The analysed frames of a clip: when each comes, and which one is on show.
import { latestAt } from "../../js/follow.js";

/** Containers round times to their own tick: a frame may come this much before the time that is told for it. */
const MOST_SLACK_S = 0.005;

export class Steps {
  /** @param {Float64Array} times - Presentation time of each on the source's clock in seconds, ascending. */
  constructor(times) {
    this.times = times;
    let gap = 4 * MOST_SLACK_S;
    for (let i = 1; i < times.length; i++) gap = Math.min(gap, times[i] - times[i - 1]);
    this.slack = gap / 4;
  }

  get count() {
    return this.times.length;
  }

  /** Step on show at a time: the latest that is not later; -1 before the first. */
  indexAt(time) {
    return latestAt(this.times, time + this.slack);
  }

  /** A time at which a step is on show for certain. */
  within(step) {
    return this.times[step] + this.slack;
  }

  /** The last of the times, 0 without any. */
  get last() {
    return this.times.at(-1) ?? 0;
  }
}
