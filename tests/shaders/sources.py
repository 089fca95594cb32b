"""One softmax in OpenCL C, in WGSL and in GLSL, right and with one mistake each: a work-group computes a row."""

from __future__ import annotations

# Items of a work-group. Rows of more classes are computed in several steps, the last of which may be a part.
GROUP = 8

# What stands in the three places of a source that matter, by mistake; nothing for the right one.
MISTAKES = {
    "": {},
    "no maximum subtracted": {"maximum": "0.0f"},
    "the tail of a row beyond the last whole work-group left out of the sum": {"end": "(k > 8 ? k - k % 8 : k)"},
    "a fast exponential, its log2(e) in half precision": {"exponential": "exp2((d) * 1.4423828f)"},
}
_RIGHT = {"maximum": "part[0]", "end": "k", "exponential": "exp(d)"}

_OPENCL = """
#define EXPONENTIAL(d) @exponential@

float whole(local float *part, float own, int largest) {
    const int lane = get_local_id(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    part[lane] = own;
    for (int step = 4; step > 0; step /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane < step)
            part[lane] = largest ? fmax(part[lane], part[lane + step]) : part[lane] + part[lane + step];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    return part[0];
}

kernel void softmax(global const float *x, global float *out, int n, int k) {
    local float part[8];
    const int lane = get_local_id(0);
    global const float *row = x + (size_t)get_group_id(0) * k;
    float m = -INFINITY, s = 0.0f;
    for (int j = lane; j < k; j += 8)
        m = fmax(m, row[j]);
    whole(part, m, 1);
    m = @maximum@;
    for (int j = lane; j < @end@; j += 8)
        s += EXPONENTIAL(row[j] - m);
    s = whole(part, s, 0);
    for (int j = lane; j < k; j += 8)
        out[(size_t)get_group_id(0) * k + j] = EXPONENTIAL(row[j] - m) / s;
}
"""

_WGSL = """
struct Sizes { n: u32, k: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> sizes: Sizes;
var<workgroup> part: array<f32, 8>;

fn exponential(d: f32) -> f32 { return @exponential@; }

fn whole(lane: u32, own: f32, largest: bool) {
    workgroupBarrier();
    part[lane] = own;
    for (var step = 4u; step > 0u; step = step / 2u) {
        workgroupBarrier();
        if (lane < step) {
            let other = part[lane + step];
            if (largest) { part[lane] = max(part[lane], other); } else { part[lane] = part[lane] + other; }
        }
    }
    workgroupBarrier();
}

@compute @workgroup_size(8)
fn softmax(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) item: vec3<u32>) {
    let lane = item.x;
    let k = sizes.k;
    let row = group.x * k;
    var m = -3.4028234e38f;
    var s = 0.0f;
    for (var j = lane; j < k; j = j + 8u) { m = max(m, x[row + j]); }
    whole(lane, m, true);
    m = @maximum@;
    for (var j = lane; j < @end@; j = j + 8u) { s = s + exponential(x[row + j] - m); }
    whole(lane, s, false);
    s = part[0];
    for (var j = lane; j < k; j = j + 8u) { out[row + j] = exponential(x[row + j] - m) / s; }
}
"""


_GLSL = """#version 450
layout(local_size_x = 8) in;
layout(std430, set = 0, binding = 0) readonly buffer Given { float x[]; };
layout(std430, set = 0, binding = 1) buffer Result { float result[]; };
layout(std140, set = 0, binding = 2) uniform Sizes { uint n; uint k; };
shared float part[8];

float exponential(float d) { return @exponential@; }

void whole(uint lane, float own, bool largest) {
    barrier();
    part[lane] = own;
    for (uint step = 4u; step > 0u; step = step / 2u) {
        barrier();
        if (lane < step) {
            float other = part[lane + step];
            if (largest) { part[lane] = max(part[lane], other); } else { part[lane] = part[lane] + other; }
        }
    }
    barrier();
}

void main() {
    uint lane = gl_LocalInvocationID.x;
    uint row = gl_WorkGroupID.x * k;
    float m = -3.4028234e38;
    float s = 0.0;
    for (uint j = lane; j < k; j = j + 8u) { m = max(m, x[row + j]); }
    whole(lane, m, true);
    m = @maximum@;
    for (uint j = lane; j < @end@; j = j + 8u) { s = s + exponential(x[row + j] - m); }
    whole(lane, s, false);
    s = part[0];
    for (uint j = lane; j < k; j = j + 8u) { result[row + j] = exponential(x[row + j] - m) / s; }
}
"""


def opencl(mistake: str) -> str:
    """The source in OpenCL C."""
    return _filled(_OPENCL, MISTAKES[mistake])


def wgsl(mistake: str) -> str:
    """The source in WGSL."""
    end = {"end": "select(k, k - k % 8u, k > 8u)"} if "end" in MISTAKES[mistake] else {}
    return _filled(_WGSL, {**MISTAKES[mistake], **end})


def glsl(mistake: str) -> str:
    """The source in GLSL, whose literals are without a suffix."""
    end = {"end": "(k > 8u ? k - k % 8u : k)"} if "end" in MISTAKES[mistake] else {}
    places = {name: text.replace("f)", ")").replace("0.0f", "0.0") for name, text in MISTAKES[mistake].items()}
    return _filled(_GLSL, {**places, **end})


def _filled(source: str, places: dict[str, str]) -> str:
    for name, text in {**_RIGHT, **places}.items():
        source = source.replace(f"@{name}@", text)
    return source
