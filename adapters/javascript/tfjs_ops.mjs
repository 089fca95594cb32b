// What tfjs.mjs asks of TensorFlow.js, in Node and in the page of a browser alike: nothing is imported here.

/** An error that is an answer, of a kind of the protocol. */
function refuse(kind, message) {
  throw Object.assign(new Error(message), { kind });
}

/** Logits with the class axis last, as rows: the losses of TensorFlow.js take matrices. */
function asRows(tf, x, order, k) {
  const last = order.every((a, i) => a === i) ? x : tf.transpose(x, order);
  return tf.reshape(last, [x.size / Math.max(1, k), k]);
}

/** The loss as a function of the logits. Of tf.losses.softmaxCrossEntropy are the row losses and their smoothing; label
 *  weights, ignored rows and reductions are composed, weighted probabilities and weighted smoothing of tf.logSoftmax. */
function lossOf(tf, p, tensors, order, k) {
  const { labels, ignored, reduction, smoothing } = p;
  if (!["none", "sum", "mean"].includes(reduction)) refuse("bad_option", `no reduction ${reduction}`);
  const n = p.x.shape.reduce((a, b) => a * b, 1) / Math.max(1, k);
  const { weight } = tensors;
  if (weight && weight.size !== k) refuse("bad_shape", `${weight.size} weights for ${k} classes`);
  let kept, q;
  if (labels) {
    if (labels.length !== n) refuse("bad_shape", `${labels.length} labels for ${n} rows`);
    const bad = labels.find((y, i) => !ignored[i] && (y < 0 || y >= k));
    if (bad !== undefined) refuse("bad_label", `label ${bad} is out of range for ${k} classes`);
    // An ignored row has some label, and no part in anything. tf.oneHot refuses a single class, and on the backend wasm
    // the bits of its float32 are those of integers.
    const used = tf.tensor1d(labels.map((y, i) => (ignored[i] ? 0 : y)), "int32");
    q = k < 2 ? tf.ones([n, k]) : tf.cast(tf.oneHot(used, k), "float32");
    if (ignored.some((is) => is)) kept = tf.tensor1d(ignored.map((is) => !is), "bool");
  } else {
    if (p.target.shape.join() !== p.x.shape.join()) refuse("bad_shape", `targets of shape ${p.target.shape}`);
    q = asRows(tf, tensors.target, order, k);
  }
  const own = labels && weight ? tf.sum(tf.mul(q, weight), 1) : undefined;
  const composed = weight && (!labels || smoothing !== 0);
  return (x) => {
    const logits = asRows(tf, x, order, k);
    let rows;
    if (p.op === "nll_loss") {
      rows = tf.neg(tf.sum(tf.where(tf.cast(q, "bool"), logits, tf.zerosLike(logits)), 1));
    } else if (composed) {
      const mixed = smoothing === 0 ? q : tf.add(tf.mul(q, 1 - smoothing), smoothing / k);
      rows = tf.neg(tf.sum(tf.mul(tf.mul(mixed, weight), tf.logSoftmax(logits)), 1));
    } else {
      rows = tf.losses.softmaxCrossEntropy(q, logits, undefined, smoothing, tf.Reduction.NONE);
    }
    if (own && !composed) rows = tf.mul(rows, own);
    let part = own;
    if (kept) {
      const zero = tf.zerosLike(rows);
      rows = tf.where(kept, rows, zero);
      part = part ? tf.where(kept, part, zero) : tf.cast(kept, "float32");
    }
    if (reduction === "none") return tf.reshape(rows, p.x.shape.filter((_, i) => i !== order.at(-1)));
    if (reduction === "sum") return tf.sum(rows);
    return part ? tf.div(tf.sum(rows), tf.sum(part)) : tf.mean(rows);
  };
}

function softmaxOf(tf, p, order) {
  const f = p.op === "softmax" ? tf.softmax : tf.logSoftmax;
  if (order.every((a, i) => a === i)) return (x) => f(x);
  const back = order.map((_, i) => order.indexOf(i));
  return (x) => tf.transpose(f(tf.transpose(x, order)), back);
}

/** Evaluate a problem: { op, axis, reduction, smoothing, labels, ignored, wants, x, target, weight, cotangent }, where
 *  arrays are { shape, data }. Resolves to outputs { shape, dtype, data } by name. */
export async function computed(tf, backend, p) {
  const rank = p.x.shape.length, axis = p.axis < 0 ? p.axis + rank : p.axis;
  const order = [...p.x.shape.keys()].filter((i) => i !== axis).concat(axis);
  const made = {};
  for (const name of ["x", "target", "weight", "cotangent"]) {
    if (p[name]) made[name] = tf.tensor(p[name].data, p[name].shape, "float32");
  }
  const isLoss = p.op === "nll_loss" || p.op === "cross_entropy";
  const results = tf.tidy(() => {
    const f = isLoss ? lossOf(tf, p, made, order, p.x.shape[axis]) : softmaxOf(tf, p, order);
    if (!p.wants.includes("vjp")) return { value: f(made.x) };
    const { value, grad } = tf.valueAndGrad(f)(made.x, made.cotangent);
    return p.wants.includes("value") ? { value, vjp: grad } : { vjp: grad };
  });
  const out = {};
  for (const [name, t] of Object.entries(results)) {
    // A tensor lies where it was computed: nothing has gone to another backend.
    const where = tf.engine().state.tensorInfo.get(t.dataId).backend;
    if (tf.getBackend() !== backend || where !== tf.backend()) refuse("internal", `computed on ${tf.getBackend()}, not on ${backend}`);
    out[name] = { shape: t.shape, dtype: t.dtype, data: await t.data() };
  }
  tf.dispose([made, results]);
  return out;
}

/** Choose a backend. Resolves to what is known of the device; throws where the backend is not there. */
export async function chosen(tf, backend) {
  // Small tensors would be computed on the CPU otherwise, without a word.
  for (const flag of ["WEBGL_CPU_FORWARD", "WEBGPU_CPU_FORWARD"]) if (flag in tf.env().flagRegistry) tf.env().set(flag, false);
  if (!(await tf.setBackend(backend).catch(() => false))) throw new Error(`TensorFlow.js has no backend ${backend} here`);
  await tf.ready();
  const facts = { backend: tf.getBackend() };
  if (facts.backend !== backend) throw new Error(`TensorFlow.js chose the backend ${facts.backend}, not ${backend}`);
  if (backend === "webgl") {
    const { gl } = tf.backend().gpgpu;
    const info = gl.getExtension("WEBGL_debug_renderer_info");
    facts.renderer = String(info ? gl.getParameter(info.UNMASKED_RENDERER_WEBGL) : gl.getParameter(gl.RENDERER));
    facts.webgl = String(gl.getParameter(gl.VERSION));
    for (const flag of ["WEBGL_VERSION", "WEBGL_RENDER_FLOAT32_ENABLED", "WEBGL_PACK", "WEBGL_CPU_FORWARD"]) facts[flag] = String(tf.env().get(flag));
    if (facts.WEBGL_RENDER_FLOAT32_ENABLED !== "true") throw new Error(`WebGL renders no float32 on ${facts.renderer}`);
  }
  if (backend === "webgpu") {
    const { info } = await navigator.gpu.requestAdapter();
    const used = tf.backend().device.adapterInfo ?? info;
    facts.renderer = [used.vendor, used.architecture, used.device, used.description].filter((word) => word).join(" ");
    facts.WEBGPU_CPU_FORWARD = String(tf.env().get("WEBGPU_CPU_FORWARD"));
  }
  if (backend === "wasm") {
    for (const flag of ["WASM_HAS_SIMD_SUPPORT", "WASM_HAS_MULTITHREAD_SUPPORT"]) facts[flag] = String(await tf.env().getAsync(flag));
  }
  return facts;
}
