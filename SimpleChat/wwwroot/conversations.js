// What the user sent and received, by conversation: repeats dropped by id, in order of sentAt and id, with how far each was read.

const PREFIX = "simplechat.read.";

const compare = (one, other) => one.time - other.time || one.id - other.id;

class Conversation {
  messages = []; // in order
  hasOlder = true; // whether the server may have older ones
  isLoaded = false; // whether its newest page was asked for
  isLoading = false;
  restUntil = 0; // a page of history that did not come is not asked for again before; a time of performance.now()
  #ids = new Map();

  constructor(other) {
    this.other = other;
  }

  add(message) {
    const known = this.#ids.get(message.id);
    if (known) {
      known.delivered ||= message.delivered;
      return false;
    }

    const whole = { ...message, time: Date.parse(message.sentAt) };
    this.#ids.set(message.id, whole);
    let at = this.messages.length;
    while (at > 0 && compare(this.messages[at - 1], whole) > 0)
      at--;
    this.messages.splice(at, 0, whole);
    return true;
  }

  get(id) {
    return this.#ids.get(id);
  }

  get last() {
    return this.messages.at(-1);
  }

  get oldestId() {
    return this.messages.reduce((lowest, message) => Math.min(lowest, message.id), Infinity);
  }
}

export class Conversations {
  #byOther = new Map();
  #key;
  #read = new Map(); // other → the highest id that was read

  constructor(user) {
    this.user = user;
    this.#key = PREFIX + user;
    try {
      this.#read = new Map(Object.entries(JSON.parse(localStorage.getItem(this.#key)) ?? {}));
    } catch {
      // Nothing remembered.
    }
  }

  /** The newest first; those without a message last. */
  get all() {
    const never = { time: 0, id: 0 };
    return [...this.#byOther.values()].sort((one, other) => compare(other.last ?? never, one.last ?? never));
  }

  with(other) {
    let conversation = this.#byOther.get(other);
    if (!conversation)
      this.#byOther.set(other, conversation = new Conversation(other));
    return conversation;
  }

  has(other) {
    return this.#byOther.has(other);
  }

  otherOf(message) {
    return message.from === this.user ? message.to : message.from;
  }

  /** Returns whether the message is news. */
  add(message) {
    return this.with(this.otherOf(message)).add(message);
  }

  markDelivered(id, to) {
    const message = this.#byOther.get(to)?.get(id);
    if (message)
      message.delivered = true;
    return message;
  }

  /** The lowest id of those that the user sent and that are not known to be delivered; null if all are. */
  get oldestUndelivered() {
    let lowest = null;
    for (const conversation of this.#byOther.values()) {
      for (const message of conversation.messages) {
        if (message.from === this.user && !message.delivered && (lowest === null || message.id < lowest))
          lowest = message.id;
      }
    }

    return lowest;
  }

  /** What came from history and still waits in the inbox: to be acknowledged. */
  get undeliveredToMe() {
    return this.all.flatMap(conversation => conversation.messages.filter(message => message.to === this.user && message.delivered === false));
  }

  unread(conversation) {
    const upTo = this.#read.get(conversation.other) ?? 0;
    return conversation.messages.filter(message => message.from !== this.user && message.id > upTo).length;
  }

  get unreadInAll() {
    return this.all.reduce((sum, conversation) => sum + this.unread(conversation), 0);
  }

  markRead(conversation) {
    const last = conversation.messages.reduce((highest, message) => Math.max(highest, message.id), 0);
    if (last > (this.#read.get(conversation.other) ?? 0))
      this.#remember(conversation.other, last);
  }

  /** On a device that knows nothing yet, what was delivered elsewhere counts as read. */
  assumeDeliveredIsRead() {
    for (const conversation of this.#byOther.values()) {
      if (this.#read.has(conversation.other))
        continue;
      const delivered = conversation.messages.filter(message => message.delivered).map(message => message.id);
      this.#remember(conversation.other, Math.max(0, ...delivered));
    }
  }

  /** The database is another one: nothing of this holds any more. */
  clear() {
    this.#byOther.clear();
    this.#read.clear();
  }

  #remember(other, id) {
    this.#read.set(other, id);
    try {
      localStorage.setItem(this.#key, JSON.stringify(Object.fromEntries(this.#read)));
    } catch {
      // Only this page knows, then.
    }
  }
}
