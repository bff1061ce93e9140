// Whether a scrolled area stays at its end: as long as one has not scrolled up, whatever comes or changes size.

const AT_END = 40; // pixels

export class Following {
  isOn = true;
  #area;
  #mayBegin;
  #top = 0; // where it was last: only who moves up wants to stay there

  /** @param mayBegin Whether the end of the area is the end of what there is. scrolled: called after each scrolling. */
  constructor(area, mayBegin = () => true, scrolled = () => {}) {
    this.#area = area;
    this.#mayBegin = mayBegin;
    area.addEventListener("scroll", () => {
      this.#look();
      scrolled();
    });
    const sizes = new ResizeObserver(() => this.keep());
    sizes.observe(area);
    for (const child of area.children)
      sizes.observe(child);
  }

  get isAtEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.#area;
    return this.#mayBegin() && scrollHeight - scrollTop - clientHeight < AT_END;
  }

  /** To the end, if that is where one was. */
  keep() {
    if (this.isOn)
      this.#area.scrollTop = this.#area.scrollHeight;
    this.#top = this.#area.scrollTop;
  }

  /** To somewhere else. */
  goTo(top) {
    this.#area.scrollTop = top;
    this.#top = this.#area.scrollTop;
    this.isOn = this.isAtEnd;
  }

  #look() {
    if (this.isAtEnd)
      this.isOn = true;
    else if (this.#area.scrollTop < this.#top - 1)
      this.isOn = false;
    this.#top = this.#area.scrollTop;
  }
}
