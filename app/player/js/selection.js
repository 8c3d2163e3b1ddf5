// Which tokens are on show: one current token, and a set of chosen ones for the views that show several. Those show no
// token that is muted.

export class Selection {
  constructor() {
    this.tokens = [];
    this.known = [];
    this.current = null;
    this.chosen = new Set();
  }

  /**
   * Takes over another list of tokens ({id, number, muted}); what was chosen stays chosen as far as it is still there.
   * While there are none, the choice waits for some.
   */
  adopt(tokens) {
    this.tokens = tokens;
    if (!tokens.length) return;
    const ids = tokens.map((token) => token.id);
    const hadAll = this.known.every((id) => this.chosen.has(id));
    const kept = ids.filter((id) => this.chosen.has(id));
    this.known = ids;
    this.chosen = new Set(hadAll || !kept.length ? ids : kept);
    if (!ids.includes(this.current)) this.current = ids[0];
  }

  /** Chooses the tokens with these ids, as far as any exist, or none; makes the first of them the current one. */
  choose(ids) {
    const known = ids.filter((id) => this.tokens.some((token) => token.id === id));
    if (ids.length && !known.length) return;
    this.chosen = new Set(known);
    if (known.includes(ids[0])) this.current = ids[0];
  }

  /** Position of the current token in the list, -1 without tokens. */
  get index() {
    return this.tokens.findIndex((token) => token.id === this.current);
  }

  /** Positions of the tokens that take part, ascending. */
  get audibleIndices() {
    return this.tokens.flatMap((token, index) => (token.muted ? [] : [index]));
  }

  /** Positions of those of them that are chosen, ascending. */
  get chosenIndices() {
    return this.audibleIndices.filter((index) => this.chosen.has(this.tokens[index].id));
  }

  /** Whether a token is on show where several are. */
  has(index) {
    return !this.tokens[index].muted && this.chosen.has(this.tokens[index].id);
  }

  toggle(index) {
    const { id } = this.tokens[index];
    if (!this.chosen.delete(id)) this.chosen.add(id);
  }

  /** Chooses all tokens, or none. */
  chooseAll(all) {
    this.chosen = new Set(all ? this.tokens.map((token) => token.id) : []);
  }

  get hasAll() {
    return this.chosen.size === this.tokens.length;
  }

  /** Makes the token `by` places on the current one. */
  move(by) {
    const count = this.tokens.length;
    this.current = this.tokens[(this.index + by + count) % count].id;
  }
}
