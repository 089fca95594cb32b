// What the packages of ONNX Runtime for JavaScript have in common: sessions of models with one node, and their tensors.
import { kindsOf, modelOf } from "./onnx_model.mjs";
import { Refusal, serve, tensor } from "./wire.mjs";

export const KEPT = 256;
// What WGSL promises of its elementary functions (docs/bounds.md, section 1).
export const SHADERS = { profiles: new Map(["softmax", "log_softmax", "cross_entropy"].map((op) => [[op, "float32"], "S"])) };
// An exception by the words of ONNX Runtime's messages. Those that adapters/onnxruntime.py has mean the same there, which a
// test compares: the program of another language reads no table of Python's. WebAssembly and JavaScript add some.
const MESSAGES = [
  [/assigned to the default CPU EP|the device does not support it/, "unsupported"],
  [/NOT_IMPLEMENTED|Could not find an implementation/, "unsupported"],
  [/out of data bounds|must be within the inclusive range|out of bounds|Out of range value in index/, "bad_label"],
  [/reduction/, "bad_option"],
  [/shape|dimension/i, "bad_shape"],
  [/Type Error|data type/, "bad_dtype"],
  [/out of memory|allocation/i, "resource"],
];

/** The bits of a number that is one of float16. */
export function halfBits(number) {
  const sign = number < 0 || Object.is(number, -0) ? 0x8000 : 0, size = Math.abs(number);
  if (Number.isNaN(number)) return 0x7e00;
  if (size === Infinity) return sign | 0x7c00;
  if (size < 2 ** -14) return sign | (size * 2 ** 24);
  let power = Math.floor(Math.log2(size));
  power += size < 2 ** power ? -1 : size >= 2 ** (power + 1) ? 1 : 0;
  return sign | ((power + 15) << 10) | ((size / 2 ** power - 1) * 1024);
}

export function halfNumber(bits) {
  const sign = bits & 0x8000 ? -1 : 1, power = (bits >> 10) & 31, rest = bits & 1023;
  if (power === 31) return rest ? NaN : sign * Infinity;
  return sign * (power ? (1 + rest / 1024) * 2 ** (power - 15) : rest * 2 ** -24);
}

const ENTRIES = {
  float64: (data) => Float64Array.from(data),
  float32: (data) => Float32Array.from(data),
  float16: (data) => Uint16Array.from(data, halfBits),
  int64: (data) => BigInt64Array.from(data, BigInt),
  int32: (data) => Int32Array.from(data, Number),
};

function numbersOf(result) {
  const { type, data } = result;
  return type === "float16" && data instanceof Uint16Array ? Float64Array.from(data, halfNumber) : Float64Array.from(data);
}

/** A model run on a provider, with inputs as [name, dtype, data, shape]: a function that keeps its sessions. It uses nothing
 *  around it but what it is given, so that a page can have its text. */
export function runner(ort, provider, kept) {
  const sessions = new Map();
  // A node that the provider has no kernel for would run on the CPU, without a word.
  const elsewhere = ["cpu", "wasm"].includes(provider) ? {} : { extra: { session: { disable_cpu_ep_fallback: "1" } } };
  return async (model, inputs) => {
    let session = sessions.get(model);
    sessions.delete(model);
    const bytes = session ?? Uint8Array.from(atob(model), (c) => c.charCodeAt(0));
    session ??= await ort.InferenceSession.create(bytes, { executionProviders: [provider], logSeverityLevel: 4, ...elsewhere });
    sessions.set(model, session);
    if (sessions.size > kept) {
      const [[oldest, unused]] = sessions;
      sessions.delete(oldest);
      await unused.release();
    }
    const { value } = await session.run(Object.fromEntries(inputs.map(([name, kind, data, shape]) => [name, new ort.Tensor(kind, data, shape)])));
    return { type: value.type, dims: value.dims, data: value.data };
  };
}

/** Serve one of the packages: `connect(device, mode)` resolves to { versions, facts, run } with a runner; `offered` are
 *  further fields of its capabilities. */
export async function serveRuntime({ name, devices, offered = {}, connect }) {
  let run;
  const native = (note) => ({ how: "native", targets: ["index"], note });
  await serve({
    name,
    capabilities: {
      ops: {
        softmax: native("Softmax"),
        log_softmax: native("LogSoftmax"),
        nll_loss: native("NegativeLogLikelihoodLoss"),
        cross_entropy: native("SoftmaxCrossEntropyLoss"),
      },
      dtypes: ["float64", "float32", "float16"],
      devices,
      modes: ["eager"],
      outputs: ["value"],
      compile_cost: "cheap",
      // The bodies of the losses gather, and ONNX's indices count from the end where they are negative.
      wraps_negative_labels: true,
      ...offered,
    },
    async open(device, mode) {
      const { versions, facts, run: connected } = await connect(device, mode);
      run = connected;
      return { versions: { ...versions, node: process.versions.node }, facts };
    },
    async evaluate(problem, device) {
      const kinds = kindsOf(problem);
      // WebGPU has integers of 32 bits.
      if (device === "webgpu" && kinds.target === "int64") {
        if (problem.target.data.some((label) => BigInt.asIntN(32, label) !== label)) throw new Refusal("unsupported", "a label needs 64 bits, which WebGPU has not");
        kinds.target = "int32";
      }
      const inputs = Object.entries(kinds).map(([key, kind]) => [key, kind, ENTRIES[kind](problem[key].data), problem[key].shape]);
      const model = modelOf(problem, kinds).toString("base64");
      try {
        const value = await run(model, inputs);
        return { value: tensor(numbersOf(value), value.dims, value.type) };
      } catch (error) {
        const text = String(error.message ?? error);
        throw new Refusal(MESSAGES.find(([words]) => words.test(text))?.[1] ?? "internal", text);
      }
    },
  });
}
