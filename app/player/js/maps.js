// The token maps of a clip: uint8 in one scale, [time, tokens, rows, cols]. No drawing here.

/** Containers round times to their own tick: a map may be this much later than the frame it belongs to. */
const MOST_SLACK_S = 0.005;
const ROBUST_SHARE = 0.99;

export class TokenMaps {
  /**
   * @param {Uint8Array} data - Weights as 0..255, where 255 is `scaleMax`.
   * @param {{shape: number[], scale_max: number}} meta
   * @param {Float64Array} timestamps - Presentation time of each step in seconds, ascending.
   */
  constructor(data, meta, timestamps) {
    [this.time, this.tokens, this.rows, this.cols] = meta.shape;
    this.data = data;
    this.timestamps = timestamps;
    this.scaleMax = meta.scale_max;
    this.cells = this.rows * this.cols;
    this.maxima = null;
    this.robust = null;
    let gap = 4 * MOST_SLACK_S;
    for (let i = 1; i < this.time; i++) gap = Math.min(gap, timestamps[i] - timestamps[i - 1]);
    this.slack = gap / 4;
  }

  /** Step on show at a time: the latest whose timestamp is not later; -1 before the first. */
  indexAt(timeS) {
    const limit = timeS + this.slack;
    let low = 0;
    let high = this.time;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.timestamps[middle] <= limit) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Map of one token at one step, without copying. */
  plane(step, token) {
    const start = (step * this.tokens + token) * this.cells;
    return this.data.subarray(start, start + this.cells);
  }

  /** Weight of a token at a cell, in the maps' own unit. */
  weight(step, token, cell) {
    return (this.plane(step, token)[cell] * this.scaleMax) / 255;
  }

  /** Largest weight of a token within one step, in the maps' own unit. */
  peak(step, token) {
    return (maximum(this.plane(step, token)) * this.scaleMax) / 255;
  }

  /** Cell that holds a token's largest weight at one step. */
  peakCell(step, token) {
    const plane = this.plane(step, token);
    let best = 0;
    for (let i = 1; i < plane.length; i++) if (plane[i] > plane[best]) best = i;
    return best;
  }

  /** Level (0..255] of a token's largest weight in the whole clip. */
  tokenTop(token) {
    this.maxima ??= Array.from({ length: this.tokens }, (_, k) => {
      let top = 0;
      for (let step = 0; step < this.time; step++) top = Math.max(top, maximum(this.plane(step, k)));
      return Math.max(top, 1);
    });
    return this.maxima[token];
  }

  /** Level (0..255] below which 99 % of the clip's weights lie. */
  robustTop() {
    if (this.robust === null) {
      const histogram = new Uint32Array(256);
      for (const level of this.data) histogram[level]++;
      let level = 0;
      for (let seen = histogram[0]; seen < ROBUST_SHARE * this.data.length && level < 255; ) seen += histogram[++level];
      this.robust = Math.max(level, 1);
    }
    return this.robust;
  }

  /** Level drawn at full strength for a token under a scale mode. */
  top(mode, token) {
    if (mode === "token") return this.tokenTop(token);
    return mode === "robust" ? this.robustTop() : 255;
  }
}

function maximum(plane) {
  let top = 0;
  for (const level of plane) if (level > top) top = level;
  return top;
}

/**
 * Bilinear upsampling by a whole factor, half-pixel centres, clamped at the border (as OpenCV's INTER_LINEAR).
 * An odd factor keeps the patch centres, so peaks are not cut.
 */
export class Upsampler {
  constructor(rows, cols, factor) {
    this.rows = rows * factor;
    this.cols = cols * factor;
    this.sourceCols = cols;
    this.vertical = taps(rows, factor);
    this.horizontal = taps(cols, factor);
    this.line = new Float32Array(cols);
  }

  /** Writes the upsampled `plane` (uint8 levels) into `out` (Float32Array of rows * cols). */
  apply(plane, out) {
    const { line, sourceCols, horizontal, vertical } = this;
    let o = 0;
    for (let y = 0; y < this.rows; y++) {
      const above = vertical.low[y] * sourceCols;
      const below = vertical.high[y] * sourceCols;
      const down = vertical.share[y];
      for (let x = 0; x < sourceCols; x++) {
        line[x] = plane[above + x] + (plane[below + x] - plane[above + x]) * down;
      }
      for (let x = 0; x < this.cols; x++) {
        const left = line[horizontal.low[x]];
        out[o++] = left + (line[horizontal.high[x]] - left) * horizontal.share[x];
      }
    }
  }
}

function taps(cells, factor) {
  const length = cells * factor;
  const low = new Uint16Array(length);
  const high = new Uint16Array(length);
  const share = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const at = Math.min(Math.max((i + 0.5) / factor - 0.5, 0), cells - 1);
    low[i] = Math.floor(at);
    high[i] = Math.min(low[i] + 1, cells - 1);
    share[i] = at - low[i];
  }
  return { low, high, share };
}

/** Odd factor that brings the longer side of a grid near `goal` samples. */
export function oddFactor(rows, cols, goal) {
  const factor = Math.max(1, Math.round(goal / Math.max(rows, cols)));
  return factor % 2 ? factor : factor + 1;
}
