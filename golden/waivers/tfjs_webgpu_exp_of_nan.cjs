// On WebGPU (SwiftShader) exp(NaN) is inf: the gradient of a row that holds NaN is infinite.
// Run with node where @tensorflow/tfjs and playwright-core are installed, or with NODE_PATH; CHROMIUM names the browser.
const { chromium } = require("playwright-core");
const flags = "--no-sandbox --use-angle=swiftshader --enable-unsafe-swiftshader --enable-unsafe-webgpu --use-webgpu-adapter=swiftshader --enable-features=Vulkan";
(async () => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: flags.split(" ") });
  const page = await browser.newPage();
  await page.route("**/*", (route) => route.fulfill({ contentType: "text/html", body: "<title>tfjs</title>" }));
  await page.goto("http://localhost/");
  await page.addScriptTag({ path: require.resolve("@tensorflow/tfjs/dist/tf.min.js") });
  await page.addScriptTag({ path: require.resolve("@tensorflow/tfjs-backend-webgpu/dist/tf-backend-webgpu.min.js") });
  const [observed, version] = await page.evaluate(async () => {
    await tf.setBackend("webgpu");
    tf.env().set("WEBGPU_CPU_FORWARD", false);
    const slope = tf.grad((x) => tf.logSoftmax(x));
    const found = await slope(tf.tensor2d([[NaN, 1]]), tf.tensor2d([[1, 1]])).data();
    return [found[1], tf.version.tfjs];
  });
  await browser.close();
  const right = Number.isNaN(observed);
  console.log("observed", observed, "exact", NaN);
  console.log("tfjs", version);
  process.exit(right ? 0 : 1);
})();
