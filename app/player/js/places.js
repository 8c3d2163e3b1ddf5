// Places in the picture whose weights are read: the probe under the pointer or the arrow keys, and the pinned one.

export class Places {
  /** @param {import("./token_player.js").TokenPlayer} player */
  constructor(player) {
    this.player = player;
    this.probe = null;
    this.pin = null;
    this.pointing = false;
    this.held = { of: "", course: null };
    this.told = "";
  }

  /** Other maps: what was pointed at is over, the pin stays. */
  reset() {
    this.probe = null;
    this.pointing = false;
  }

  /** Cell whose weights are read: under the pointer, else pinned. */
  get cell() {
    return this.probe ?? this.pinCell;
  }

  get pinCell() {
    const { maps } = this.player;
    if (!this.pin || !maps) return null;
    const { rows, cols } = maps;
    return { row: Math.min(Math.floor(this.pin[1] * rows), rows - 1), col: Math.min(Math.floor(this.pin[0] * cols), cols - 1) };
  }

  hover(cell) {
    if (this.pointing && !cell) return false;
    this.pointing = false;
    this.probe = cell;
    return true;
  }

  /** Starts reading with the arrow keys, from the pin or the middle. */
  startPointing() {
    const { rows, cols } = this.player.maps;
    this.pointing = true;
    this.probe ??= this.pinCell ?? { row: rows >> 1, col: cols >> 1 };
  }

  stopPointing() {
    this.pointing = false;
    this.probe = null;
  }

  move(down, right) {
    const { rows, cols } = this.player.maps;
    this.probe = {
      row: Math.min(Math.max(this.probe.row + down, 0), rows - 1),
      col: Math.min(Math.max(this.probe.col + right, 0), cols - 1),
    };
  }

  /** Pins a cell; the pinned cell itself, or null, removes the pin. */
  pinAt(cell) {
    const { maps } = this.player;
    const old = this.pinCell;
    const same = cell && old && cell.row === old.row && cell.col === old.col;
    this.pin = cell && !same ? [(cell.col + 0.5) / maps.cols, (cell.row + 0.5) / maps.rows] : null;
  }

  /**
   * The pinned place and what every token weighs there at every step; null without a pin or maps.
   * @returns {{x: number, y: number, times: Float64Array, unit: string, percent: boolean, even: number,
   *   tokens: {number: number, color: string, muted: boolean, shown: boolean, weights: Float64Array}[]} | null} `x` and `y` are 0..1
   *   of the whole frame, `times` is on the source's clock, weights are in the maps' own unit and the very ones that
   *   pointing reads; `even` is the weight of each patch if all had the same share, 0 where weights are no shares.
   */
  course() {
    const { header } = this.player;
    const cell = this.pinCell;
    if (!cell) return null;
    const of = `${header.id} ${cell.row} ${cell.col}`;
    if (this.held.of !== of) this.held = { of, course: readCourse(this.player, cell) };
    const { course } = this.held;
    return { ...course, tokens: course.tokens.map((token, k) => ({ ...token, shown: this.player.isLit(k) })) };
  }

  /** Tells the page of another pin, of other weights there, or of other tokens on show; of nothing else. */
  tell() {
    const { header } = this.player;
    const place = this.course();
    const now = place ? `${this.held.of} ${place.tokens.map((token) => Number(token.shown)).join("")}` : header.key;
    if (now === this.told) return;
    this.told = now;
    this.player.say("token-player-pin", { place, step: this.player.step });
  }
}

function readCourse({ header, maps, steps }, { row, col }) {
  const [x, y, w, h] = header.box;
  return {
    x: x + (w * (col + 0.5)) / maps.cols,
    y: y + (h * (row + 0.5)) / maps.rows,
    times: steps.times,
    unit: header.maps.unit,
    percent: header.maps.percent,
    even: header.maps.percent ? 1 / maps.cells : 0,
    tokens: header.tokens.map(({ number, color, muted }, k) => ({ number, color, muted, weights: maps.course(k, row * maps.cols + col) })),
  };
}
