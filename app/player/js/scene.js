// One picture of the stage: overlay, unseen parts, number tags, probe. Draws in CSS pixels, crisp on any screen.
import { inkOn } from "../../js/colors.js";
import { fit, inner, tile } from "./geometry.js";

const GAP = 4;
const NOT_SEEN = "not seen by the model";
const MUTED = "muted";
const PLATE = "rgb(14 16 20 / 0.75)";
const INK = "#eceef0";
const FONT = "system-ui, 'Source Sans', sans-serif";

/** Where pictures lie on a stage of `size`: one, or one a token in the grid view. */
export function layOut(view, tokens, aspect, box, size) {
  const stage = { x: 0, y: 0, w: size.w, h: size.h };
  const rects = view === "grid" && tokens > 0 ? tile(tokens, aspect, stage, GAP) : [fit(aspect, stage)];
  return rects.map((picture) => ({ picture, area: inner(picture, box) }));
}

/** Kind of overlay of a display state: of a divided picture, that on its right. */
export function drawnKind({ view, base }) {
  return view === "beside" ? base : view;
}

export class Scene {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.scratch = document.createElement("canvas");
    this.hatch = null;
  }

  resize(size, pixelRatio) {
    resizeCanvas(this.canvas, size.w * pixelRatio, size.h * pixelRatio);
    this.size = size;
    this.pixelRatio = pixelRatio;
  }

  /**
   * @param {object} shot - state, tiles, painter (null without maps), step (-1 before the first map), media (element
   *   that holds the frame, or null), tokens ([{number, muted}]), colors, audible and chosen (positions of tokens that
   *   take part, and of those on show), probe and pin (cells or null), tops (weight per token).
   */
  draw(shot) {
    const { context, size, pixelRatio } = this;
    context.setTransform(pixelRatio, 0, 0, pixelRatio, 0, 0);
    context.clearRect(0, 0, size.w, size.h);
    const drawable = shot.painter && shot.step >= 0 && !shot.state.hidden;
    if (shot.state.view === "grid" && shot.painter) this.drawGrid(shot, drawable);
    else if (!shot.state.hidden) this.drawSingle(shot, drawable);
  }

  drawSingle(shot, drawable) {
    const { context } = this;
    const { picture, area } = shot.tiles[0];
    context.save();
    if (shot.state.view === "beside") {
      const left = picture.x + shot.state.divider * picture.w;
      context.beginPath();
      context.rect(left, picture.y, picture.x + picture.w - left, picture.h);
      context.clip();
    }
    if (drawable) {
      this.overlay(shot, area);
      if (shot.state.trails) this.trails(shot, this.tokensOf(shot), area);
    }
    this.unseen(picture, area, true);
    context.restore();
    if (drawable) this.probes(shot, area);
  }

  drawGrid(shot, drawable) {
    const { context, pixelRatio } = this;
    const first = shot.tiles[0].picture;
    if (shot.media) {
      const { scratch } = this;
      resizeCanvas(scratch, first.w * pixelRatio, first.h * pixelRatio);
      scratch.getContext("2d").drawImage(shot.media, 0, 0, scratch.width, scratch.height);
    }
    shot.tiles.forEach(({ picture, area }, token) => {
      if (shot.media) context.drawImage(this.scratch, picture.x, picture.y, picture.w, picture.h);
      if (drawable) {
        const plate = shot.painter.paintHeat(shot.step, token, shot.tops[token], shot.state.smooth, true);
        this.put(plate, area, shot.state.opacity, shot.state.smooth);
        if (shot.state.trails) this.trails(shot, [token], area);
        this.probes(shot, area);
      }
      this.unseen(picture, area, false);
      this.tag(shot, token, picture.x + 14, picture.y + 14);
      if (shot.tokens[token].muted) this.note(MUTED, picture.x + 28, picture.y + 3);
    });
  }

  overlay(shot, area) {
    const { painter, step, state, tops } = shot;
    const kind = drawnKind(state);
    if (kind === "one") {
      const plate = painter.paintHeat(step, shot.current, tops[shot.current], state.smooth);
      this.put(plate, area, state.opacity, state.smooth);
      return;
    }
    if (kind === "owner") {
      if (!shot.audible.length) return;
      const { canvas, edges, spots } = painter.paintOwner(step, shot.audible, new Set(shot.chosen), state.smooth);
      this.put(canvas, area, state.opacity, state.smooth);
      this.strokeEdges(edges, area);
      for (const spot of spots) this.tagAt(shot, spot.token, area, spot.x, spot.y);
      return;
    }
    const tokens = this.tokensOf(shot);
    if (!tokens.length) return;
    const plate = painter.paintBlend(
      step,
      tokens,
      tokens.map((token) => tops[token]),
      state.smooth,
    );
    this.put(plate, area, state.opacity, state.smooth);
    const { rows, cols } = painter.maps;
    for (const token of tokens) {
      const cell = painter.maps.peakCell(step, token);
      this.tagAt(shot, token, area, ((cell % cols) + 0.5) / cols, (Math.floor(cell / cols) + 0.5) / rows);
    }
  }

  /** Tokens that a single picture is about, ascending. */
  tokensOf(shot) {
    return drawnKind(shot.state) === "one" ? [shot.current] : shot.chosen;
  }

  /** Where the tokens' centres of mass came from: lines that fade with age, and rings where they are now. */
  trails(shot, tokens, area) {
    const onStage = ({ x, y, fresh }) => ({ x: area.x + x * area.w, y: area.y + y * area.h, fresh });
    const drawn = tokens
      .map((token) => ({ color: `rgb(${shot.colors[token]})`, points: shot.trails.path(shot.step, token).map(onStage) }))
      .filter(({ points }) => points.length);
    for (const { color, points } of drawn) this.fadingLine(points, color);
    for (const { color, points } of drawn) this.ring(points.at(-1), color);
  }

  fadingLine(points, color) {
    const { context } = this;
    context.lineCap = "round";
    for (const [stroke, width] of [
      ["rgb(0 0 0 / 0.7)", 5.5],
      [color, 3],
    ]) {
      context.strokeStyle = stroke;
      for (let i = 1; i < points.length; i++) {
        context.globalAlpha = points[i].fresh;
        context.lineWidth = width * (0.4 + 0.6 * points[i].fresh);
        context.beginPath();
        context.moveTo(points[i - 1].x, points[i - 1].y);
        context.lineTo(points[i].x, points[i].y);
        context.stroke();
      }
    }
    context.globalAlpha = 1;
  }

  ring({ x, y }, color) {
    const { context } = this;
    context.beginPath();
    context.arc(x, y, 4.5, 0, 2 * Math.PI);
    context.fillStyle = color;
    context.fill();
    this.twoStrokes(() => context.stroke(), 3.5, 1.5);
  }

  put(plate, area, opacity, smooth) {
    const { context } = this;
    context.imageSmoothingEnabled = smooth;
    context.globalAlpha = opacity;
    context.drawImage(plate, area.x, area.y, area.w, area.h);
    context.globalAlpha = 1;
    context.imageSmoothingEnabled = true;
  }

  strokeEdges(edges, area) {
    const { context } = this;
    const path = new Path2D();
    path.addPath(edges, new DOMMatrix([area.w, 0, 0, area.h, area.x, area.y]));
    context.lineJoin = "bevel";
    context.lineCap = "butt";
    this.twoStrokes(() => context.stroke(path), 3, 1.25);
  }

  /** A dark line with a light one on it: visible on any picture. */
  twoStrokes(stroke, outer, core) {
    const { context } = this;
    context.strokeStyle = "rgb(0 0 0 / 0.55)";
    context.lineWidth = outer;
    stroke();
    context.strokeStyle = "#fff";
    context.lineWidth = core;
    stroke();
  }

  tagAt(shot, token, area, x, y) {
    this.tag(shot, token, area.x + x * area.w, area.y + y * area.h);
  }

  /** A token's number in its colour. */
  tag({ tokens, colors }, token, x, y) {
    const { context } = this;
    const color = colors[token];
    context.beginPath();
    context.arc(x, y, 9.5, 0, 2 * Math.PI);
    context.fillStyle = `rgb(${color})`;
    context.fill();
    context.strokeStyle = "rgb(255 255 255 / 0.9)";
    context.lineWidth = 1;
    context.stroke();
    context.fillStyle = inkOn(color);
    context.font = `600 12px ${FONT}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(String(tokens[token].number), x, y + 0.5);
  }

  probes(shot, area) {
    const { rows, cols } = shot.painter.maps;
    for (const [cell, core] of [
      [shot.pin, 2],
      [shot.probe, 1],
    ]) {
      if (!cell) continue;
      const w = area.w / cols;
      const h = area.h / rows;
      this.context.lineJoin = "miter";
      this.twoStrokes(
        () => this.context.strokeRect(area.x + cell.col * w, area.y + cell.row * h, w, h),
        core + 2,
        core,
      );
    }
  }

  /** Dims and hatches what lies outside `area`. */
  unseen(picture, area, caption) {
    const strips = {
      right: (picture.x + picture.w - area.x - area.w) * picture.h,
      left: (area.x - picture.x) * picture.h,
      below: (picture.y + picture.h - area.y - area.h) * picture.w,
      above: (area.y - picture.y) * picture.w,
    };
    const widest = Object.keys(strips).reduce((a, b) => (strips[b] > strips[a] + 1 ? b : a));
    if (strips[widest] < 1) return;
    const { context } = this;
    context.beginPath();
    context.rect(picture.x, picture.y, picture.w, picture.h);
    context.rect(area.x, area.y, area.w, area.h);
    context.fillStyle = "rgb(14 16 20 / 0.62)";
    context.fill("evenodd");
    context.fillStyle = this.hatch ??= hatchPattern(context);
    context.fill("evenodd");
    if (!caption) return;
    const y = widest === "above" ? picture.y + 6 : picture.y + picture.h - 28;
    if (widest === "left") this.note(NOT_SEEN, picture.x + 6, y);
    else this.note(NOT_SEEN, picture.x + picture.w - 6, y, true);
  }

  /** A few words on a dark plate whose top left, or top right, is at a place. */
  note(text, x, y, endsThere = false) {
    const { context } = this;
    context.font = `12px ${FONT}`;
    const width = context.measureText(text).width + 12;
    const left = endsThere ? x - width : x;
    context.fillStyle = PLATE;
    context.fillRect(left, y, width, 22);
    context.fillStyle = INK;
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillText(text, left + 6, y + 11.5);
  }
}

/** Sets a canvas's size in its own pixels; nothing happens if it has it. */
function resizeCanvas(canvas, w, h) {
  const [width, height] = [w, h].map((length) => Math.max(1, Math.round(length)));
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

function hatchPattern(context) {
  const period = 9;
  const plate = document.createElement("canvas");
  plate.width = plate.height = period;
  const pen = plate.getContext("2d");
  pen.strokeStyle = "rgb(255 255 255 / 0.22)";
  pen.lineWidth = 1.2;
  for (const shift of [-period, 0, period]) {
    pen.moveTo(shift, period);
    pen.lineTo(shift + period, 0);
  }
  pen.stroke();
  return context.createPattern(plate, "repeat");
}
