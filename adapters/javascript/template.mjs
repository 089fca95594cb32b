// The adapter of $name for lossproof: it calls the function under test, and compares nothing.
// lossproof run "exec:node $name.mjs"
import { Refusal, serve, tensor, wants } from "./wire.mjs";

// Every operation is rounded to the format, as one that computes in it does.
const ROUND = { float64: (v) => v, float32: Math.fround };

const sum = (a, round) => a.reduce((s, v) => round(s + v), 0);

/** Stands for the function under test; put yours in its place. Logits of one row in, log-probabilities out. */
function logSoftmax(x, round) {
  const top = x.reduce((m, v) => Math.max(m, v), -Infinity);
  const shifted = x.map((v) => round(v - top));
  const log = round(Math.log(sum(shifted.map((d) => round(Math.exp(d))), round)));
  return shifted.map((d) => round(d - log));
}

function softmax(x, round) {
  const top = x.reduce((m, v) => Math.max(m, v), -Infinity);
  const e = x.map((v) => round(Math.exp(round(v - top))));
  const total = sum(e, round);
  return e.map((v) => round(v / total));
}

/** The rows of an array along the class axis, and the way back. */
function rowsOf(array, axis) {
  const { shape, data } = array;
  const at = axis < 0 ? axis + shape.length : axis;
  const k = shape[at], inner = shape.slice(at + 1).reduce((a, b) => a * b, 1);
  const n = shape.reduce((a, b, i) => (i === at ? a : a * b), 1);
  const place = (row, j) => (Math.floor(row / inner) * k + j) * inner + (row % inner);
  const rows = Array.from({ length: n }, (_, row) => Array.from({ length: k }, (_, j) => data[place(row, j)]));
  const back = (found) => found.reduce((out, r, row) => (r.forEach((v, j) => (out[place(row, j)] = v)), out), new Float64Array(n * k));
  return { rows, back, k, outer: shape.filter((_, i) => i !== at) };
}

/** Of each row: its targets q, whether it is kept, and its part of the mean's denominator. */
function targetsOf(problem, { rows, k }, weights) {
  const { target, ignore_index: ignore } = problem;
  if (target.dtype === "<f8") {
    if (target.shape.join() !== problem.x.shape.join()) throw new Refusal("bad_shape", `targets of shape ${target.shape}`);
    return rowsOf(target, problem.axis ?? -1).rows.map((q) => ({ q, kept: true, part: 1 }));
  }
  if (target.data.length !== rows.length) throw new Refusal("bad_shape", `${target.data.length} labels for ${rows.length} rows`);
  return Array.from(target.data, (label) => {
    const kept = ignore === undefined || BigInt(label) !== BigInt(ignore);
    if (kept && (label < 0 || label >= k)) throw new Refusal("bad_label", `label ${label} is out of range for ${k} classes`);
    const q = Array.from({ length: k }, (_, j) => (kept && j === Number(label) ? 1 : 0));
    return { q, kept, part: kept ? weights[Number(label)] : 0 };
  });
}

function crossEntropy(problem, round) {
  const x = rowsOf(problem.x, problem.axis ?? -1), { k } = x;
  const reduction = problem.reduction ?? "mean", eps = problem.label_smoothing ?? 0;
  if (!["none", "sum", "mean"].includes(reduction)) throw new Refusal("bad_option", `no reduction ${reduction}`);
  const weights = problem.weight ? Array.from(problem.weight.data) : Array(k).fill(1);
  if (weights.length !== k) throw new Refusal("bad_shape", `${weights.length} weights for ${k} classes`);
  const targets = targetsOf(problem, x, weights);
  const denominator = reduction === "mean" ? sum(targets.map((t) => t.part), round) : 1;
  const cotangent = problem.cotangent?.data;
  const losses = [], slopes = [];
  x.rows.forEach((logits, row) => {
    const { q, kept } = targets[row];
    const y = logSoftmax(logits, round);
    const c = q.map((v, j) => round(weights[j] * (eps ? round(round((1 - eps) * v) + round(eps / k)) : v)));
    const terms = y.map((v, j) => (c[j] === 0 && !Number.isNaN(v) ? 0 : round(-c[j] * v)));
    losses.push(kept ? sum(terms, round) : 0);
    if (!cotangent) return;
    const p = softmax(logits, round), total = sum(c, round);
    const g = round(cotangent[cotangent.length === 1 ? 0 : row] / denominator);
    slopes.push(p.map((v, j) => (kept ? round(g * round(round(total * v) - c[j])) : 0)));
  });
  const value = reduction === "none" ? losses : [round(sum(losses, round) / denominator)];
  return { value: [value, reduction === "none" ? x.outer : []], vjp: [x.back(slopes), problem.x.shape] };
}

function probabilities(problem, round) {
  const axis = problem.axis ?? -1, x = rowsOf(problem.x, axis);
  const log = problem.op === "log_softmax";
  const value = x.rows.map((row) => (log ? logSoftmax : softmax)(row, round));
  const out = { value: [x.back(value), problem.x.shape] };
  if (!problem.cotangent) return out;
  const v = rowsOf(problem.cotangent, axis).rows;
  const slopes = x.rows.map((row, i) => {
    const p = softmax(row, round);
    const inner = sum(log ? v[i] : v[i].map((w, j) => round(w * p[j])), round);
    return p.map((q, j) => (log ? round(v[i][j] - round(q * inner)) : round(q * round(v[i][j] - inner))));
  });
  return { ...out, vjp: [x.back(slopes), problem.x.shape] };
}

await serve({
  name: "$name",
  capabilities: {
    ops: {
      softmax: { how: "native" },
      log_softmax: { how: "native" },
      cross_entropy: { how: "native", targets: ["index", "probability"] },
    },
    dtypes: Object.keys(ROUND),
    devices: ["cpu"],
    modes: ["plain"],
  },
  open: () => ({ versions: { $name: "0.1.0", node: process.versions.node }, facts: { v8: process.versions.v8 } }),
  evaluate(problem) {
    const round = ROUND[problem.dtype];
    const found = (problem.op === "cross_entropy" ? crossEntropy : probabilities)(problem, round);
    const wanted = Object.entries(found).filter(([name]) => wants(problem, name));
    return Object.fromEntries(wanted.map(([name, [data, shape]]) => [name, tensor(data, shape, problem.dtype)]));
  },
});
