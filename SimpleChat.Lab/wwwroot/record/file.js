// A run as a file: JSON lines, an entry each. Also as a link, which holds all of it.

const FORMAT = 1;
const LONGEST_LINK = 60_000; // characters; longer ones are cut off by what links are sent with

/** The entries of a file. Throws an Error that says which line is wrong, for people. */
export function parse(text) {
  const entries = text.split("\n").filter(line => line.trim() !== "").map((line, at) => {
    try {
      return JSON.parse(line);
    } catch {
      throw new Error(`Line ${at + 1} is no JSON. A run is one JSON object a line.`);
    }
  });
  if (entries[0]?.kind !== "run")
    throw new Error("This is no run of the Lab: its first line is not of kind “run”.");
  if (entries[0].format !== FORMAT)
    throw new Error(`This run has format ${entries[0].format}; this Lab reads format ${FORMAT}.`);
  const wrong = entries.findIndex((entry, at) => entry.n !== at + 1 || typeof entry.kind !== "string" || typeof entry.t !== "number");
  if (wrong >= 0)
    throw new Error(`Line ${wrong + 1} has no kind, no time, or not the number ${wrong + 1}.`);
  return entries;
}

export const format = entries => entries.map(entry => `${JSON.stringify(entry)}\n`).join("");

/** Gives the run to the one who looks at the page, as a download. */
export function save(entries, name) {
  const address = URL.createObjectURL(new Blob([format(entries)], { type: "application/jsonl" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** A link to this page that opens the run; null if it would be too long for one. */
export async function linkTo(entries) {
  const bytes = new Uint8Array(await through(new CompressionStream("deflate-raw"), new TextEncoder().encode(format(entries))));
  const packed = btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join("")).replaceAll("+", "-").replaceAll("/", "_");
  return packed.length > LONGEST_LINK ? null : `${location.origin}${location.pathname}#run=${packed}`;
}

/** The run's text that a link holds; null if it holds none. */
export async function linked(hash) {
  const packed = /^#run=([A-Za-z0-9_=-]+)$/.exec(hash)?.[1];
  if (!packed)
    return null;
  const bytes = Uint8Array.from(atob(packed.replaceAll("-", "+").replaceAll("_", "/")), character => character.charCodeAt(0));
  return new TextDecoder().decode(await through(new DecompressionStream("deflate-raw"), bytes));
}

const through = (stream, bytes) => new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer();
