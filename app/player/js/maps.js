// The token maps of a clip, [time, tokens, rows, cols]. They come as uint8 levels of their cube root (payload.py);
// here a weight is a share of the code's top, 0..1, unless it is said to be in the maps' own unit. No drawing.

/** Weight that each level stands for. */
export const WEIGHTS = Float32Array.from({ length: 256 }, (_, level) => (level / 255) ** 3);

export class TokenMaps {
  /**
   * @param {Uint8Array} data - Levels.
   * @param {{shape: number[], top: number, scale_max: number, above: number, token_tops: number[]}} meta - In the
   *   maps' own unit: the weight of level 255, the fixed scale, and the largest weight of each token in the clip;
   *   `above` is the share of all weights above the fixed scale.
   */
  constructor(data, meta) {
    [this.time, this.tokens, this.rows, this.cols] = meta.shape;
    this.data = data;
    this.unitTop = meta.top;
    this.fixedTop = meta.scale_max / meta.top;
    this.cells = this.rows * this.cols;
    // A token without any weight is drawn as nothing: any top above zero does.
    this.tokenTops = meta.token_tops.map((weight) => weight / meta.top || 1);
    this.shareAbove = meta.above;
  }

  /** Levels of one token at one step, without copying. */
  plane(step, token) {
    const start = (step * this.tokens + token) * this.cells;
    return this.data.subarray(start, start + this.cells);
  }

  /** Weight of a token at a cell, in the maps' own unit. */
  weight(step, token, cell) {
    return WEIGHTS[this.plane(step, token)[cell]] * this.unitTop;
  }

  /** Weight of a token at a cell, at every step, in the maps' own unit. */
  course(token, cell) {
    return Float64Array.from({ length: this.time }, (_, step) => this.weight(step, token, cell));
  }

  /** Largest weight of a token within one step, in the maps' own unit. */
  peak(step, token) {
    return WEIGHTS[maximum(this.plane(step, token))] * this.unitTop;
  }

  /** Cell that holds a token's largest weight at one step. */
  peakCell(step, token) {
    const plane = this.plane(step, token);
    let best = 0;
    for (let i = 1; i < plane.length; i++) if (plane[i] > plane[best]) best = i;
    return best;
  }

  /** Weight drawn at full strength for a token, in a scale mode: "fixed", "largest" or "token". */
  top(mode, token) {
    if (mode === "fixed") return this.fixedTop;
    return mode === "token" ? this.tokenTops[token] : Math.max(...this.tokenTops);
  }
}

/** Writes the weights of `plane` (levels) into `out`. */
export function decode(plane, out) {
  for (let i = 0; i < plane.length; i++) out[i] = WEIGHTS[plane[i]];
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

  /** Writes the upsampled weights of `plane` (levels) into `out` (Float32Array of rows * cols). */
  apply(plane, out) {
    const { line, sourceCols, horizontal, vertical } = this;
    let o = 0;
    for (let y = 0; y < this.rows; y++) {
      const above = vertical.low[y] * sourceCols;
      const below = vertical.high[y] * sourceCols;
      const down = vertical.share[y];
      for (let x = 0; x < sourceCols; x++) {
        const upper = WEIGHTS[plane[above + x]];
        line[x] = upper + (WEIGHTS[plane[below + x]] - upper) * down;
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
