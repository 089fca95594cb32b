// What a worker speaks (docs/adapter-protocol.md): frames on standard input and output, for Node 18 and newer.
// Decoded, a tuple is an array, a map an object, an instance of a class an object of its fields; arrays of numbers are
// { dtype: "<f8", shape, data } with a typed array. The other way an array is a tuple, a Map or an object a map.

const MAGIC = Buffer.from("lossproof\0\x01\n", "latin1");
const TYPES = { f8: Float64Array, f4: Float32Array, i8: BigInt64Array, i4: Int32Array, i2: Int16Array, i1: Int8Array,
  u8: BigUint64Array, u4: Uint32Array, u2: Uint16Array, u1: Uint8Array, b1: Uint8Array };

/** An error of one of the protocol's kinds: bad_label, bad_shape, bad_option, unsupported, resource, ... */
export class Refusal extends Error {
  constructor(kind, message, { last = false } = {}) {
    super(message);
    Object.assign(this, { kind, last });
  }
}

/** An instance of a class of the protocol, such as "Capabilities". */
export const instance = (is, fields) => ({ is, fields });

/** A result in row-major order, with the dtype in which it was computed. */
export const tensor = (data, shape, dtype) =>
  instance("Tensor", { data: { dtype: "<f8", shape, data: Float64Array.from(data) }, dtype });

/** Whether an output is wanted of a problem. */
export const wants = (problem, name) =>
  (!problem.only || problem.only.includes(name)) && (name !== "vjp" || problem.cotangent !== undefined);

function float(text) {
  const [, sign, whole, digits, power] = /^(-?)0x([01])\.([0-9a-f]+)p([+-]\d+)$/.exec(text) ?? [];
  if (power === undefined) return { inf: Infinity, "-inf": -Infinity, nan: NaN }[text];
  const size = Number(`0x${whole}${digits}`) * 2 ** (-4 * digits.length);
  // The power alone may be too large or too small for a number.
  const half = Math.trunc(Number(power) / 2);
  return (sign ? -1 : 1) * (size * 2 ** half) * 2 ** (Number(power) - half);
}

/** A value from the text of a frame; of the bytes of its arrays, those from bytes.at on. */
export function decode(value, bytes) {
  if (Array.isArray(value)) return value.map((v) => decode(v, bytes));
  if (value === null || typeof value !== "object") return value;
  if ("float" in value) return float(value.float);
  if ("integer" in value) return BigInt(value.integer);
  if ("tuple" in value) return value.tuple.map((v) => decode(v, bytes));
  if ("map" in value) return Object.fromEntries(value.map.map(([k, v]) => [decode(k, bytes), decode(v, bytes)]));
  if ("is" in value) return Object.fromEntries(Object.entries(value.fields).map(([k, v]) => [k, decode(v, bytes)]));
  const Type = TYPES[value.array.slice(1)];
  if (value.array[0] === ">") throw new Refusal("internal", "big-endian arrays are not read here");
  const start = bytes.at;
  bytes.at += value.size;
  return { dtype: value.array, shape: value.shape, data: new Type(Uint8Array.from(bytes.subarray(start, bytes.at)).buffer) };
}

function encode(value, blobs) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return { tuple: value.map((v) => encode(v, blobs)) };
  const pairs = (entries) => entries.map(([k, v]) => [encode(k, blobs), encode(v, blobs)]);
  if (value instanceof Map) return { map: pairs([...value]) };
  if ("is" in value) return { is: value.is, fields: Object.fromEntries(pairs(Object.entries(value.fields))) };
  if (!("shape" in value)) return { map: pairs(Object.entries(value)) };
  blobs.push(Buffer.from(value.data.buffer, value.data.byteOffset, value.data.byteLength));
  return { array: value.dtype, shape: value.shape, size: value.data.byteLength };
}

function send(message) {
  const blobs = [];
  const text = Buffer.from(JSON.stringify(encode(message, blobs)));
  const lengths = Buffer.alloc(12);
  lengths.writeUInt32BE(text.length, 0);
  lengths.writeBigUInt64BE(BigInt(blobs.reduce((n, b) => n + b.length, 0)), 4);
  process.stdout.write(Buffer.concat([MAGIC, lengths, text, ...blobs]));
}

async function* messages() {
  let buffer = Buffer.alloc(0), parts = [], size = 0, needed = 24;
  for await (const chunk of process.stdin) {
    parts.push(chunk);
    size += chunk.length;
    while (size >= needed) {
      buffer = Buffer.concat(parts);
      const textAt = 24, arraysAt = textAt + buffer.readUInt32BE(12);
      needed = arraysAt + Number(buffer.readBigUInt64BE(16));
      parts = [buffer];
      if (size < needed) break;
      // Numbers of JSON are floats here: integers that are none keep their digits.
      const text = buffer.toString("utf8", textAt, arraysAt).replace(/(?<=[:,[])-?\d{16,}(?=[,\]}])/g, '{"integer":"$&"}');
      yield decode(JSON.parse(text), Object.assign(buffer.subarray(arraysAt, needed), { at: 0 }));
      parts = [buffer.subarray(needed)];
      size -= needed;
      needed = 24;
    }
  }
}

/** Serve an adapter: { name, capabilities, open, evaluate, script }, of which the last may be left out.
 *  open(device, mode) gets everything ready and resolves to { versions, facts }; evaluate(problem, device, mode)
 *  resolves to the outputs by name. What they throw is an answer. */
export async function serve({ name, capabilities, open, evaluate, script }) {
  console.log = console.info = console.debug = console.warn = console.error;
  const option = (key) => process.argv.find((a) => a.startsWith(`--${key}=`))?.slice(key.length + 3);
  const mode = option("mode") ?? capabilities.modes[0];
  const device = option("device") ?? { ...capabilities, ...capabilities.by_mode?.[mode] }.devices[0];
  try {
    const description = instance("Description", await open(device, mode));
    const own = { ...capabilities, ops: Object.fromEntries(Object.entries(capabilities.ops).map(([op, s]) => [op, instance("Support", s)])) };
    send({ kind: "hello", wire: 1, adapter: name, mode, device, description, capabilities: instance("Capabilities", own) });
  } catch (error) {
    send({ kind: "failed", message: String(error.message ?? error) });
    process.exit();
  }
  for await (const message of messages()) {
    const { kind, id, problem } = message;
    if (kind === "evaluate") {
      const began = performance.now();
      let fields;
      try {
        fields = { outputs: await evaluate(problem, device, mode) };
      } catch (error) {
        fields = { error: error.kind ?? "internal", message: String(error.message ?? error).slice(0, 500), last: error.last ?? false };
      }
      send({ kind: "outcome", id, outcome: instance("Outcome", { ...fields, seconds: (performance.now() - began) / 1000 }) });
      if (fields.last) break;
    } else if (kind === "script") {
      const text = script ? script(problem, device, mode) : "";
      send({ kind: "script", text, error: text ? "" : `${name} writes no programs` });
    } else {
      send(message);
      if (kind === "bye") break;
    }
  }
  process.exit();
}
