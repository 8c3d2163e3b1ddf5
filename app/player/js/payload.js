// One bytes blob from Python: magic, header length, JSON header, then 8-byte aligned sections (see payload.py).

const MAGIC = "TLP1";

/**
 * Reads a payload.
 * @param {Uint8Array} bytes - May start at any offset of its buffer.
 * @returns {{header: object, media: () => Blob, maps: Uint8Array, timestamps: Float64Array, heat: Uint8Array}}
 */
export function parsePayload(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = String.fromCharCode(...bytes.subarray(0, 4));
  if (magic !== MAGIC) throw new Error(`This is not a player payload (it starts with "${magic}").`);
  const bodyStart = 8 + view.getUint32(4, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, bodyStart)));
  const section = (name) => {
    const [offset, length] = header.sections[name];
    return bytes.subarray(bodyStart + offset, bodyStart + offset + length);
  };
  return {
    header,
    media: () => new Blob([section("media")], { type: header.media.mime }),
    maps: section("maps"),
    timestamps: new Float64Array(section("timestamps_s").slice().buffer),
    heat: section("heat"),
  };
}
