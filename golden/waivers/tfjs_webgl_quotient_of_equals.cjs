// On WebGL a / b is 1 where a equals b: the mean of losses whose weights are all 0 is 1, and not NaN.
// Run with node where @tensorflow/tfjs and playwright-core are installed, or with NODE_PATH; CHROMIUM names the browser.
const { chromium } = require("playwright-core");
const flags = "--no-sandbox --use-angle=swiftshader --enable-unsafe-swiftshader --enable-unsafe-webgpu --use-webgpu-adapter=swiftshader --enable-features=Vulkan";
(async () => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: flags.split(" ") });
  const page = await browser.newPage();
  await page.route("**/*", (route) => route.fulfill({ contentType: "text/html", body: "<title>tfjs</title>" }));
  await page.goto("http://localhost/");
  await page.addScriptTag({ path: require.resolve("@tensorflow/tfjs/dist/tf.min.js") });
  const [observed, version] = await page.evaluate(async () => {
    await tf.setBackend("webgl");
    tf.env().set("WEBGL_CPU_FORWARD", false);
    const one = tf.tensor2d([[1, 0]]);
    const found = await tf.losses.softmaxCrossEntropy(one, one, tf.tensor1d([0]), 0, tf.Reduction.MEAN).data();
    return [found[0], tf.version.tfjs];
  });
  await browser.close();
  const right = Number.isNaN(observed);
  console.log("observed", observed, "exact", NaN);
  console.log("tfjs", version);
  process.exit(right ? 0 : 1);
})();
