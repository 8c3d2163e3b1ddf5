// From token maps to small pictures, one sample a patch (or a few, when smooth); the browser scales them up.
// The same formulas as tokenlearner/render.py: heat, blend by the largest weight, owner.
import { Upsampler, decode, oddFactor } from "./maps.js";

const SMOOTH_SAMPLES = 96;
const TILE_SAMPLES = 48;
const OWNER_SAMPLES = 96;
const OWNER_FILL = 0.7;
const BLEND_DIM = 0.4;

/** A canvas of grid size with its pixels, repainted in place. */
class Plate {
  resize(rows, cols) {
    if (this.canvas?.width === cols && this.canvas.height === rows) return;
    this.canvas = document.createElement("canvas");
    this.canvas.width = cols;
    this.canvas.height = rows;
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.image = this.context.createImageData(cols, rows);
    this.pixels = this.image.data;
  }

  flush() {
    this.context.putImageData(this.image, 0, 0);
    return this.canvas;
  }
}

export class Painter {
  /**
   * @param {import("./maps.js").TokenMaps} maps
   * @param {Uint8Array} heat - 256 RGB triples.
   * @param {number[][]} colors - [red, green, blue] of each token.
   */
  constructor(maps, heat, colors) {
    this.maps = maps;
    this.heat = heat;
    this.colors = colors;
    this.plates = new Map();
    this.samplers = new Map();
    this.weights = [];
  }

  /** One token as heat, opaque; `top` is the weight drawn as the hottest. Fewer samples do for a small tile. */
  paintHeat(step, token, top, smooth, isTile = false) {
    const goal = isTile ? TILE_SAMPLES : SMOOTH_SAMPLES;
    const { rows, cols } = this.sampled(smooth, goal);
    const plate = this.plate(`heat${token}`, rows, cols);
    // In the grid view all plates are drawn with every frame of the clip, and maps change less often.
    const content = `${step} ${top} ${rows}`;
    if (plate.content === content) return plate.canvas;
    plate.content = content;
    this.sample(step, [token], smooth, goal);
    const weights = this.weights[token];
    const { pixels } = plate;
    for (let i = 0, p = 0; i < weights.length; i++, p += 4) {
      const at = 3 * Math.min(Math.round((weights[i] * 255) / top), 255);
      pixels[p] = this.heat[at];
      pixels[p + 1] = this.heat[at + 1];
      pixels[p + 2] = this.heat[at + 2];
      pixels[p + 3] = 255;
    }
    return plate.flush();
  }

  /** Several tokens, their colours mixed by squared weight, as strong as the largest; no weight dims a little. */
  paintBlend(step, tokens, tops, smooth) {
    const { rows, cols } = this.sampled(smooth, SMOOTH_SAMPLES);
    this.sample(step, tokens, smooth, SMOOTH_SAMPLES);
    const plate = this.plate("blend", rows, cols);
    const { pixels } = plate;
    for (let i = 0, p = 0; i < rows * cols; i++, p += 4) {
      let red = 0;
      let green = 0;
      let blue = 0;
      let sum = 0;
      let largest = 0;
      for (let n = 0; n < tokens.length; n++) {
        const strength = Math.min(this.weights[tokens[n]][i] / tops[n], 1);
        const color = this.colors[tokens[n]];
        const square = strength * strength;
        red += square * color[0];
        green += square * color[1];
        blue += square * color[2];
        sum += square;
        if (strength > largest) largest = strength;
      }
      const cover = BLEND_DIM + (1 - BLEND_DIM) * largest;
      const share = sum > 0 ? largest / (sum * cover) : 0;
      pixels[p] = red * share;
      pixels[p + 1] = green * share;
      pixels[p + 2] = blue * share;
      pixels[p + 3] = cover * 255;
    }
    return plate.flush();
  }

  /**
   * Which of some tokens holds the largest weight at each place. Regions of those outside `chosen` stay clear.
   * @returns {{canvas: HTMLCanvasElement, edges: Path2D, spots: {token: number, x: number, y: number}[]}}
   *   `edges` in the unit square, `spots` where each owner is strongest, 0..1.
   */
  paintOwner(step, tokens, chosen, smooth) {
    const { rows, cols } = this.sampled(smooth, OWNER_SAMPLES);
    this.sample(step, tokens, smooth, OWNER_SAMPLES);
    const plate = this.plate("owner", rows, cols);
    const { pixels } = plate;
    const owner = new Uint8Array(rows * cols);
    const best = new Map(tokens.map((token) => [token, { weight: -1, cell: 0 }]));
    for (let i = 0, p = 0; i < owner.length; i++, p += 4) {
      let token = tokens[0];
      for (let n = 1; n < tokens.length; n++) if (this.weights[tokens[n]][i] > this.weights[token][i]) token = tokens[n];
      owner[i] = token;
      const top = best.get(token);
      if (this.weights[token][i] > top.weight) Object.assign(top, { weight: this.weights[token][i], cell: i });
      const color = this.colors[token];
      pixels[p] = color[0];
      pixels[p + 1] = color[1];
      pixels[p + 2] = color[2];
      pixels[p + 3] = chosen.has(token) ? 255 * OWNER_FILL : 0;
    }
    const spots = [...best]
      .filter(([, { weight }]) => weight >= 0)
      .map(([token, { cell }]) => ({
        token,
        x: ((cell % cols) + 0.5) / cols,
        y: (Math.floor(cell / cols) + 0.5) / rows,
      }));
    const path = smooth ? contours(owner, this.weights, rows, cols) : cellBorders(owner, rows, cols);
    const edges = new Path2D();
    edges.addPath(path, new DOMMatrix([1 / cols, 0, 0, 1 / rows, 0, 0]));
    return { canvas: plate.flush(), edges, spots };
  }

  plate(name, rows, cols) {
    if (!this.plates.has(name)) this.plates.set(name, new Plate());
    const plate = this.plates.get(name);
    plate.resize(rows, cols);
    return plate;
  }

  /** Samples across and down: patches, or a whole multiple of them near `goal` if smooth. */
  sampled(smooth, goal) {
    return smooth ? this.sampler(goal) : this.maps;
  }

  sampler(goal) {
    if (!this.samplers.has(goal)) {
      const { rows, cols } = this.maps;
      this.samplers.set(goal, new Upsampler(rows, cols, oddFactor(rows, cols, goal)));
    }
    return this.samplers.get(goal);
  }

  /** Fills `this.weights[token]` for the tokens at one step. */
  sample(step, tokens, smooth, goal) {
    const sampler = smooth ? this.sampler(goal) : null;
    const size = sampler ? sampler.rows * sampler.cols : this.maps.cells;
    for (const token of tokens) {
      const plane = this.maps.plane(step, token);
      if (this.weights[token]?.length !== size) this.weights[token] = new Float32Array(size);
      if (sampler) sampler.apply(plane, this.weights[token]);
      else decode(plane, this.weights[token]);
    }
  }
}

/** Borders between cells of different owners, along the cells' sides. */
function cellBorders(owner, rows, cols) {
  const path = new Path2D();
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < cols; x++) {
      const here = owner[y * cols + x];
      if (x + 1 < cols && owner[y * cols + x + 1] !== here) {
        path.moveTo(x + 1, y);
        path.lineTo(x + 1, y + 1);
      }
      if (y + 1 < rows && owner[(y + 1) * cols + x] !== here) {
        path.moveTo(x, y + 1);
        path.lineTo(x + 1, y + 1);
      }
    }
  }
  return path;
}

/** Borders between samples of different owners, crossing where the two weights are equal (marching squares). */
function contours(owner, weights, rows, cols) {
  const path = new Path2D();
  const px = (x) => (x === 0 ? 0 : x === cols - 1 ? cols : x + 0.5);
  const py = (y) => (y === 0 ? 0 : y === rows - 1 ? rows : y + 0.5);
  const cross = (x0, y0, x1, y1, out) => {
    const i = y0 * cols + x0;
    const j = y1 * cols + x1;
    const [a, b] = [owner[i], owner[j]];
    if (a === b) return;
    const before = weights[a][i] - weights[b][i];
    const after = weights[b][j] - weights[a][j];
    const share = before + after > 0 ? before / (before + after) : 0.5;
    out.push([px(x0) + (px(x1) - px(x0)) * share, py(y0) + (py(y1) - py(y0)) * share]);
  };
  for (let y = 0; y + 1 < rows; y++) {
    for (let x = 0; x + 1 < cols; x++) {
      const i = y * cols + x;
      const here = owner[i];
      if (here === owner[i + 1] && here === owner[i + cols] && here === owner[i + cols + 1]) continue;
      const points = [];
      cross(x, y, x + 1, y, points);
      cross(x, y + 1, x + 1, y + 1, points);
      cross(x, y, x, y + 1, points);
      cross(x + 1, y, x + 1, y + 1, points);
      const middle = points.length === 2 ? points[1] : average(points);
      for (const point of points.length === 2 ? [points[0]] : points) {
        path.moveTo(...point);
        path.lineTo(...middle);
      }
    }
  }
  return path;
}

function average(points) {
  const sum = points.reduce((total, point) => [total[0] + point[0], total[1] + point[1]], [0, 0]);
  return [sum[0] / points.length, sum[1] / points.length];
}
