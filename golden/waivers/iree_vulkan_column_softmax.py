# written by hand: the adapter of IREE writes no programs
"""exp(x) over its sum along axis 0, in float32, shape (17, 24), with IREE alone."""
from importlib import metadata
import iree.compiler as compiler, iree.runtime as rt
import numpy as np
program = """func.func @f(%x: tensor<17x24xf32>) -> tensor<17x24xf32> {
  %zero = stablehlo.constant dense<0.0> : tensor<f32>
  %e = stablehlo.exponential %x : tensor<17x24xf32>
  %s = stablehlo.reduce(%e init: %zero) applies stablehlo.add across dimensions = [0] : (tensor<17x24xf32>, tensor<f32>) -> tensor<24xf32>
  %b = stablehlo.broadcast_in_dim %s, dims = [1] : (tensor<24xf32>) -> tensor<17x24xf32>
  %y = stablehlo.divide %e, %b : tensor<17x24xf32>
  return %y : tensor<17x24xf32>
}"""
x = np.zeros((17, 24), np.float32)
config = rt.Config("vulkan")
staged = {"memory_type": int(rt.MemoryType.DEVICE_LOCAL) | int(rt.MemoryType.HOST_VISIBLE)}
staged["allowed_usage"] = int(rt.BufferUsage.DEFAULT) | int(rt.BufferUsage.TRANSFER) | int(rt.BufferUsage.MAPPING)
given, read = (config.device.allocator.allocate_buffer(allocation_size=x.nbytes, **staged) for _ in range(2))
np.asarray(given.map().asarray(x.shape, x.dtype))[...] = x
context = rt.SystemContext(config=config)
context.add_vm_module(rt.VmModule.copy_buffer(context.instance, compiler.compile_str(program, target_backends=["vulkan-spirv"], input_type="stablehlo")))
value = context.modules.module["f"](rt.DeviceArray(config.device, rt.HalBufferView(given, x.shape, rt.HalElementType.FLOAT_32)))
semaphore = config.device.create_semaphore(0)
config.device.queue_copy(value._buffer_view.get_buffer(), read, rt.HalFence.create_at(semaphore, 0), rt.HalFence.create_at(semaphore, 1))
rt.HalFence.create_at(semaphore, 1).wait()
observed = float(np.array(read.map().asarray(x.shape, x.dtype))[3, 5])
print("value[3, 5]: observed", observed, "exact", 1 / 17)
print("iree", metadata.version("iree-base-compiler"))
raise SystemExit(0 if abs(observed * 17 - 1) < 1e-5 else 1)
