// A WebSocket frame out of its bytes: RFC 6455, section 5.2.

/** @param bytes A Uint8Array that begins with the frame's head; its payload may be cut short. */
export function frameOf(bytes) {
  const [first, second] = bytes;
  const short = second & 0x7f;
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
  const isMasked = (second & 0x80) !== 0;
  const maskAt = 2 + lengthBytes;
  const payloadAt = maskAt + (isMasked ? 4 : 0);
  const extended = bytes.slice(2, maskAt);
  return {
    first, second, isMasked, short, extended,
    fin: first >> 7, rsv: first >> 4 & 7, opcode: first & 0x0f,
    length: lengthBytes === 0 ? short : extended.reduce((sum, byte) => sum * 256 + byte, 0),
    mask: isMasked ? bytes.slice(maskAt, payloadAt) : null,
    payload: bytes.slice(payloadAt),
  };
}

/** The payload as it was before it was masked: each byte is XORed with one of the four, in turn (section 5.3). */
export const unmasked = ({ mask, payload }) => mask ? payload.map((byte, at) => byte ^ mask[at % 4]) : payload;

export const OPCODES = { 0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong" };

export const fromBase64 = text => Uint8Array.from(atob(text), character => character.charCodeAt(0));

export const hex = byte => byte.toString(16).padStart(2, "0");

/** A byte as a character, where it is one that can be seen. */
export const characterOf = byte => byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : byte === 0x20 ? "␣" : "·";
