// Where things lie on the stage. Rectangles are {x, y, w, h}; pure functions, any unit.

/** Largest rectangle of an aspect ratio (width / height) inside `outer`, centred. */
export function fit(aspect, outer) {
  const w = Math.min(outer.w, outer.h * aspect);
  const h = w / aspect;
  return { x: outer.x + (outer.w - w) / 2, y: outer.y + (outer.h - h) / 2, w, h };
}

/** The part of a picture's rectangle that a normalised box [x, y, w, h] covers. */
export function inner(picture, [x, y, w, h]) {
  return { x: picture.x + x * picture.w, y: picture.y + y * picture.h, w: w * picture.w, h: h * picture.h };
}

/** Rectangles for `count` pictures of one aspect ratio, in rows, as large as the stage allows. */
export function tile(count, aspect, stage, gap) {
  let best = null;
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const room = { w: (stage.w - gap * (columns - 1)) / columns, h: (stage.h - gap * (rows - 1)) / rows };
    const width = Math.min(room.w, room.h * aspect);
    if (!best || width > best.w) best = { w: width, h: width / aspect, columns, rows };
  }
  if (!best) return [];
  const { w, h, columns, rows } = best;
  const left = stage.x + (stage.w - columns * w - (columns - 1) * gap) / 2;
  const top = stage.y + (stage.h - rows * h - (rows - 1) * gap) / 2;
  return Array.from({ length: count }, (_, i) => ({
    x: left + (i % columns) * (w + gap),
    y: top + Math.floor(i / columns) * (h + gap),
    w,
    h,
  }));
}

/** Grid cell {row, col} under a point, or null outside `area`. */
export function cellAt(point, area, rows, cols) {
  const col = Math.floor(((point.x - area.x) / area.w) * cols);
  const row = Math.floor(((point.y - area.y) / area.h) * rows);
  return col >= 0 && col < cols && row >= 0 && row < rows ? { row, col } : null;
}
