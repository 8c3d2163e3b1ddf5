// Where tokens came from: the centres of mass of their maps over the last moments, as tokenlearner/tracks.py finds them.
import { WEIGHTS } from "./maps.js";

/** How far back a trail reaches, in seconds. */
export const TRAIL_S = 2;
const MOST_POINTS = 40;

export class Trails {
  /**
   * @param {import("./maps.js").TokenMaps} maps
   * @param {Float64Array} times - Of its steps.
   * @param {number[][]} switches - For each token the times at which it turns to another subject, ascending.
   */
  constructor(maps, times, switches) {
    this.maps = maps;
    this.times = times;
    this.switches = switches;
    this.centres = new Float32Array(2 * maps.time * maps.tokens);
    this.known = new Uint8Array(maps.time * maps.tokens);
  }

  /** Centre of mass of a token's map as [x, y], 0..1; null where it has no weight. */
  centre(step, token) {
    const { maps, centres, known } = this;
    const at = step * maps.tokens + token;
    if (!known[at]) known[at] = this.find(step, token, 2 * at) ? 1 : 2;
    return known[at] === 1 ? [centres[2 * at], centres[2 * at + 1]] : null;
  }

  find(step, token, at) {
    const { rows, cols } = this.maps;
    const plane = this.maps.plane(step, token);
    let [sum, across, down] = [0, 0, 0];
    for (let row = 0, i = 0; row < rows; row++) {
      for (let col = 0; col < cols; col++, i++) {
        const weight = WEIGHTS[plane[i]];
        sum += weight;
        across += weight * (col + 0.5);
        down += weight * (row + 0.5);
      }
    }
    if (sum === 0) return false;
    this.centres[at] = across / (sum * cols);
    this.centres[at + 1] = down / (sum * rows);
    return true;
  }

  /**
   * The trail of a token up to a step, oldest first: places 0..1 with their freshness, 0 gone .. 1 now. It does not reach
   * back over a switch of the token: that was no movement.
   */
  path(step, token) {
    const { times } = this;
    const since = Math.max(times[step] - TRAIL_S, ...this.switches[token].filter((time) => time <= times[step]));
    let first = step;
    while (first > 0 && times[first - 1] >= since) first--;
    const stride = Math.ceil((step - first + 1) / MOST_POINTS);
    const points = [];
    for (let i = step; i >= first; i--) {
      // Always the same steps of a clip, or a trail would tremble while it moves on.
      if (i !== step && i % stride) continue;
      const centre = this.centre(i, token);
      if (!centre) break;
      points.unshift({ x: centre[0], y: centre[1], fresh: 1 - (times[step] - times[i]) / TRAIL_S });
    }
    return points;
  }
}
