// One conversation. Of its messages a stretch without a gap is at hand: what one looks at, and some around it. The rest is the server's.

const AT_HAND = 2_000; // messages, while it is on the screen
const CHARACTERS = 4_000_000; // in them: of very long ones there are fewer at hand
const FEWEST = 300; // but so many
const ELSEWHERE = 100; // while it is not

export class Conversation {
  messages = []; // the stretch; ids rise, and with them the times
  last = null; // the newest of all; the stretch may end before it
  hasOlder = true; // whether the server may have some before the stretch
  isLoaded = false; // whether the stretch came from the server's history
  isLoading = false;
  hasNewer = false; // whether the server has some after the stretch, though none may be known here
  lacksReceipts = false; // some may have come while there was no line
  restUntil = 0; // a page that did not come is not asked for again before; a time of performance.now()
  unread = 0;
  isCounted = true; // false: unread is at least so many
  isOpen = false; // on the screen
  place = null; // where one was in it when it was left, for who shows it: {id: of a message, …}; null: at the end

  constructor(other) {
    this.other = other;
  }

  /** Whether the stretch goes on to the newest message. */
  get reachesEnd() {
    return !this.hasNewer && (this.messages.length === 0 || this.messages.at(-1).id >= this.last.id);
  }

  get(id) {
    const message = this.messages[this.indexOf(id)];
    return message?.id === id ? message : undefined;
  }

  /** Where a message with this id is in the stretch, or would be. */
  indexOf(id) {
    let [low, high] = [0, this.messages.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.messages[middle].id < id)
        low = middle + 1;
      else
        high = middle;
    }

    return low;
  }

  /**
   * A message that has just come. Returns whether it is the newest. It joins the stretch if no gap comes of that. While the stretch is not
   * loaded, all that comes joins: the list may have named the newest before those below it came, and history been asked before all of them.
   */
  add(message) {
    const [reachedEnd, isNewest] = [this.reachesEnd, message.id > (this.last?.id ?? 0)];
    if (isNewest)
      this.last = message;
    const [first, end] = [this.messages[0], this.messages.at(-1)];
    if (isNewest ? reachedEnd : first && message.id <= end.id && (message.id >= first.id || !this.hasOlder || !this.isLoaded))
      this.#insert(message);
    if (!this.isOpen && !this.isLoading && this.messages.length > 2 * ELSEWHERE) // what is on its way joins the ends that were there
      this.#dropOldest(ELSEWHERE);
    return isNewest;
  }

  /** Begins the stretch anew with this page. isEnd: when the server answered there was nothing newer; what came meanwhile is kept. */
  replaceWith(page, { hasOlder, isEnd }) {
    const newest = page.at(-1)?.id ?? 0;
    const cameMeanwhile = isEnd && this.reachesEnd ? this.messages.filter(message => message.id > newest) : [];
    this.messages = [...page, ...cameMeanwhile];
    this.hasOlder = hasOlder;
    this.hasNewer = !isEnd;
    this.isLoaded = true;
    if (newest > (this.last?.id ?? 0))
      this.last = page.at(-1);
  }

  addOlder(page, hasOlder) {
    page.forEach(message => this.#insert(message));
    this.hasOlder = hasOlder;
  }

  /** @param isEnd The server has no more; lastBefore: the newest message known when it was asked. */
  addNewer(page, isEnd, lastBefore) {
    page.forEach(message => this.#insert(message));
    this.hasNewer = !isEnd;
    const end = this.messages.at(-1);
    if (end && (end.id > this.last.id || isEnd && this.last === lastBefore))
      this.last = end; // the one that was the last is not there any more
  }

  #insert(message) {
    const at = this.indexOf(message.id);
    const known = this.messages[at];
    if (known?.id === message.id) {
      known.delivered ||= message.delivered;
      return;
    }

    if (at === this.messages.length)
      this.messages.push(message);
    else
      this.messages.splice(at, 0, message);
  }

  /** Lets go of one end, the one that is far from the screen; in larger pieces, so that it costs little. */
  trim(keepsNewest) {
    const { length } = this.messages;
    if (this.isLoading || length <= 1.5 * FEWEST)
      return;
    const characters = this.messages.reduce((sum, message) => sum + message.text.length, 0);
    const kept = Math.min(AT_HAND, Math.max(FEWEST, Math.floor(CHARACTERS * length / characters)));
    if (length <= 1.5 * kept)
      return;
    if (keepsNewest)
      this.#dropOldest(kept);
    else
      this.messages.length = kept;
  }

  #dropOldest(kept) {
    this.messages.splice(0, this.messages.length - kept);
    this.hasOlder = true;
  }

  /** Nothing is at hand but the newest: what was there may not be true any more. */
  letGo() {
    this.messages = this.last ? [this.last] : [];
    this.hasOlder = true;
    this.hasNewer = this.lacksReceipts = this.isLoaded = false;
  }

  /** The first incoming message above the mark; null if there is none, undefined if the stretch does not go back so far. */
  firstUnread(mark, user) {
    if (this.hasOlder && !(this.messages[0]?.id <= mark + 1))
      return undefined;
    for (let at = this.indexOf(mark + 1); at < this.messages.length; at++) {
      if (this.messages[at].from !== user)
        return this.messages[at];
    }

    return this.reachesEnd ? null : undefined;
  }

  /** How many incoming ones there are above the mark; null if the stretch cannot tell. */
  countUnread(mark, user) {
    if (!this.reachesEnd || this.firstUnread(mark, user) === undefined)
      return null;
    return this.messages.slice(this.indexOf(mark + 1)).filter(message => message.from !== user).length;
  }
}
