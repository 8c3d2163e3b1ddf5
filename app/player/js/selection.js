// Which tokens are on show: one current token, and a set of chosen ones for the views that show several.

export class Selection {
  constructor() {
    this.tokens = [];
    this.current = null;
    this.chosen = new Set();
  }

  /** Takes over another list of tokens ({id, number}); what was chosen stays chosen as far as it is still there. */
  adopt(tokens) {
    const ids = tokens.map((token) => token.id);
    const hadAll = this.tokens.every((token) => this.chosen.has(token.id));
    const kept = ids.filter((id) => this.chosen.has(id));
    this.tokens = tokens;
    this.chosen = new Set(hadAll || !kept.length ? ids : kept);
    if (!ids.includes(this.current)) this.current = ids[0] ?? null;
  }

  /** Chooses the tokens with these ids, as far as they exist, and makes one of them (or another) the current one. */
  choose(ids, current = ids[0]) {
    const exists = (id) => this.tokens.some((token) => token.id === id);
    const known = ids.filter(exists);
    if (known.length) this.chosen = new Set(known);
    if (exists(current)) this.current = current;
  }

  /** Position of the current token in the list, -1 without tokens. */
  get index() {
    return this.tokens.findIndex((token) => token.id === this.current);
  }

  /** Positions of the chosen tokens, ascending. */
  get chosenIndices() {
    return this.tokens.flatMap((token, index) => (this.chosen.has(token.id) ? [index] : []));
  }

  has(index) {
    return this.chosen.has(this.tokens[index].id);
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
