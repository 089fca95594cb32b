// On WebGL the maximum of a row is -1e20 at least: log_softmax of a row below that is no log-probability.
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
    const found = await tf.logSoftmax(tf.tensor2d([[-3e38, -2e38]])).data();
    return [found[1], tf.version.tfjs];
  });
  await browser.close();
  const exact = 0, allowed = 4.1e-7, right = Math.abs(observed - exact) <= allowed;
  console.log("observed", observed, "exact", exact, "allowed error", allowed);
  console.log("tfjs", version);
  process.exit(right ? 0 : 1);
})();
