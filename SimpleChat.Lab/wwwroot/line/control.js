// The control line to the Lab's program. Events: "hello", "entry", "refused" (detail: what came), "gone" (the program is not there).

const AGAIN_AFTER = 2_000; // milliseconds

export class Control extends EventTarget {
  #socket = null;

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  start() {
    const address = new URL("lab", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    address.hash = "";
    this.#socket = new WebSocket(address);
    this.#socket.onmessage = ({ data }) => {
      const said = JSON.parse(data);
      const type = said.kind === "hello" || said.kind === "refused" ? said.kind : "entry";
      this.dispatchEvent(new CustomEvent(type, { detail: said }));
    };
    this.#socket.onclose = () => {
      this.dispatchEvent(new Event("gone"));
      setTimeout(() => this.start(), AGAIN_AFTER);
    };
  }

  /** Tells the program to do something. What came of it is in the record. False if it is not there. */
  do(command) {
    if (!this.isOpen)
      return false;
    this.#socket.send(JSON.stringify(command));
    return true;
  }
}
