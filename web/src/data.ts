// The record in the page: JSON, deflated (zlib's format), in base64, inside of an inert script element.
import type { Page } from "./record";

export const DATA_ID = "gptrace-page";

/** Unpacks the record that is embedded in this document. */
export async function embeddedPage(): Promise<Page> {
  const text = document.getElementById(DATA_ID)?.textContent ?? "";
  const packed = new Blob([bytesOf(text.trim())]).stream();
  const json = await new Response(packed.pipeThrough(new DecompressionStream("deflate"))).text();
  return JSON.parse(json) as Page;
}

/** Decodes base64. */
export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** Decodes base64 of little-endian float32 numbers. */
export function floatsOf(base64: string): Float32Array {
  const view = new DataView(bytesOf(base64).buffer);
  return Float32Array.from({ length: view.byteLength >> 2 }, (_, at) => view.getFloat32(at * 4, true));
}

/** Decodes base64 of little-endian uint16 numbers. */
export function shortsOf(base64: string): Uint16Array {
  const view = new DataView(bytesOf(base64).buffer);
  return Uint16Array.from({ length: view.byteLength >> 1 }, (_, at) => view.getUint16(at * 2, true));
}
