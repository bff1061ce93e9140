// Who is speaking: a name on trust (Development), or a JWT. Where a browser can set no header the token goes into the address.

export class Identity {
  #token;

  constructor(user, token = null) {
    this.user = user;
    this.#token = token;
  }

  /** Reads the user out of a token, as the server will; null if it is none. */
  static fromToken(token) {
    try {
      const payload = token.trim().split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
      const bytes = Uint8Array.from(atob(payload), character => character.charCodeAt(0));
      const { sub } = JSON.parse(new TextDecoder().decode(bytes));
      return typeof sub === "string" && sub ? new Identity(sub, token.trim()) : null;
    } catch {
      return null;
    }
  }

  get hasToken() {
    return this.#token !== null;
  }

  get headers() {
    return this.#token ? { Authorization: `Bearer ${this.#token}` } : {};
  }

  /** An address for fetch, which can set headers. */
  url(path, parameters = {}) {
    return this.#address(path, this.#token ? parameters : { user: this.user, ...parameters });
  }

  /** An address for WebSocket and EventSource, which cannot. */
  openUrl(path, parameters = {}) {
    return this.#address(path, this.#token ? { access_token: this.#token, ...parameters } : { user: this.user, ...parameters });
  }

  /** The same for people to look at: nobody reads a token off a projector. */
  static shown(url) {
    return url.replace(/(access_token=)[^&]+/, "$1…");
  }

  #address(path, parameters) {
    const known = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined);
    const query = new URLSearchParams(known).toString();
    return query ? `${path}?${query}` : path;
  }
}
